/**
 * hal/linux against a C program that makes the same ioctls. Both run on the kernel's stand-in that the tests use
 * (test/fixtures/native/hardware.c): it enters the kernel once and is done, where a chip's driver takes a microsecond and
 * a bus a hundred. So the ratios are worse than on any board; the differences are what counts.
 */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { FakeMachine } from '../fixtures/fake-machine.ts'
import { compileC, compileHardware, hasGcc } from '../fixtures/native-library.ts'
import { alternate } from './alternate.ts'
import type { Benchmark, BenchmarkContext, Measurement } from './benchmark.ts'
import { quantile } from './quantiles.ts'

const run = promisify(execFile)

type What = 'gpio' | 'i2c' | 'edges'
type Measure = (what: What, count: number) => { ours(): Promise<number[]>; c(): Promise<number[]> }

/** Edges come this often; a program has to be asleep in between, as on a board. */
const edgeEveryUs = 2000
/** A batch takes some milliseconds, an edge 2. */
const runMsMax = 60_000

export const halIo: Benchmark = {
  name: 'hal.io',
  async run({ quick, signal, progress }: BenchmarkContext) {
    if (!hasGcc) {
      progress('gcc is not installed (apt-get install gcc libc6-dev): nothing to compare with, left out')
      return []
    }
    const folder = mkdtempSync(path.join(os.tmpdir(), 'ganglion-hal-io-'))
    const edges = quick ? 500 : 2000
    using machine = new FakeMachine({
      board: 'generic-x64',
      nodes: ['gpiochip0', 'i2c-1'],
      hardware: [
        'chip gpiochip0 bench 32',
        `toggle gpiochip0 17 ${edgeEveryUs} ${edges}`,
        'target i2c-1 0x48',
      ],
    })
    try {
      const measure = prepare(folder, machine, signal)
      const rounds = { rounds: quick ? 3 : 5, warmUps: 1 }
      const batches = quick ? 30 : 100
      return [
        await writes(measure('gpio', batches), rounds),
        await transactions(measure('i2c', batches), rounds),
        await lateness(measure('edges', edges), { ...rounds, warmUps: 0 }),
      ]
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  },
}

/** Both programs, each in a process of its own with the stand-in preloaded. */
function prepare(folder: string, machine: FakeMachine, signal: AbortSignal): Measure {
  const program = compileC(path.join(import.meta.dirname, 'native', 'hal-io.c'), path.join(folder, 'hal-io'))
  const env = { ...process.env, ...machine.environment([compileHardware(folder)]) }
  const ours = fileURLToPath(new URL('programs/hal-io.ts', import.meta.url))
  const numbers = async (command: string, args: string[]) => {
    const { stdout } = await run(command, args, { env, signal, timeout: runMsMax, maxBuffer: 16 << 20 })
    return stdout.trim().split('\n').map(Number)
  }
  return (what, count) => ({
    ours: () =>
      numbers(process.execPath, [
        '--disable-warning=ExperimentalWarning',
        ours,
        what,
        machine.folder,
        String(count),
      ]),
    c: () => numbers(program, [what, machine.path('dev'), String(count)]),
  })
}

type Ways = ReturnType<Measure>
type Rounds = { rounds: number; warmUps: number }

async function writes(ways: Ways, rounds: Rounds): Promise<Measurement> {
  const { ours, c } = await quantiles(ways, rounds)
  return {
    name: 'hal.io-gpio-write',
    value: ours(0.5) / 1000,
    unit: 'µs',
    baseline: c(0.5) / 1000,
    against: 'a C program that makes the same ioctl',
    limit: 'the call from JavaScript into C',
    note: `p99 of batches of 1000: ours ${us(ours(0.99))}, C ${us(c(0.99))}`,
  }
}

async function transactions(ways: Ways, rounds: Rounds): Promise<Measurement> {
  const { ours, c } = await quantiles(ways, rounds)
  return {
    name: 'hal.io-i2c-transaction',
    value: ours(0.5) / 1000,
    unit: 'µs',
    baseline: c(0.5) / 1000,
    against: 'a C program that makes the same combined transaction (1 byte out, 2 in)',
    limit: 'laying out the messages in JavaScript; at 400 kHz the bus itself needs 120 µs',
    note: `p99 of batches of 1000: ours ${us(ours(0.99))}, C ${us(c(0.99))}`,
  }
}

async function lateness(ways: Ways, rounds: Rounds): Promise<Measurement> {
  const { ours, c } = await quantiles(ways, rounds)
  return {
    name: 'hal.io-edge-to-callback',
    value: ours(0.5) / 1000,
    unit: 'µs',
    baseline: c(0.5) / 1000,
    against: 'a C program in poll(2)',
    limit: 'one turn of the event loop between epoll and the callback',
    note: `p99: ours ${us(ours(0.99))}, C ${us(c(0.99))}; an edge every ${edgeEveryUs / 1000} ms, by its timestamp`,
  }
}

async function quantiles(ways: Ways, rounds: Rounds) {
  const { ours, c } = await alternate(ways, rounds)
  return {
    ours: (share: number) => quantile(ours.flat(), share),
    c: (share: number) => quantile(c.flat(), share),
  }
}

const us = (ns: number) => `${(ns / 1000).toFixed(2)} µs`
