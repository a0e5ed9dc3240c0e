/** What a thousand sensors read once a second cost a device: processor time of the whole process, and memory. */
import { alternate } from './alternate.ts'
import type { Benchmark, Measurement } from './benchmark.ts'
import { median } from './quantiles.ts'
import { settledMemory } from './settled-memory.ts'
import { Worker } from './worker.ts'

const sensors = 1_000

interface Answer {
  readonly cpuPercent: number
  /** Grows while samples arrive. */
  readonly moved: number
  readonly reports: number
}

export const sensorsBench: Benchmark = {
  name: 'sensors',
  async run({ quick, signal, progress }) {
    progress(`${sensors} emulated sensors start`)
    const program = new URL('programs/sensors.ts', import.meta.url)
    const open = (how: string) => Worker.open(program, [how, String(sensors)])
    await using attached = await open('attached')
    await using bare = await open('bare')
    await using nothing = await open('nothing')
    const measureMs = quick ? 4_000 : 10_000
    const ask = (worker: Worker, ms = measureMs) => worker.ask<Answer>({ measureMs: ms })
    // Warm: every sensor was opened and sampled, code is compiled.
    for (const worker of [attached, bare]) await ask(worker, 5_000)
    progress('they are measured')
    const answers = await alternate(
      { attached: () => ask(attached), bare: () => ask(bare), nothing: () => ask(nothing) },
      { rounds: quick ? 1 : 3, warmUps: 0 },
    )
    for (const answer of [...answers.attached, ...answers.bare])
      if (answer.moved <= 0) throw new Error('no samples arrived')
    const settle = quick ? { settleMs: 500, readings: 2 } : { settleMs: 2_000, readings: 5 }
    const pids = { attached: attached.pid, bare: bare.pid, nothing: nothing.pid }
    const memory = await settledMemory(pids, settle, signal)
    return [cpu(answers), ram(memory)]
  },
}

function cpu(answers: Record<'attached' | 'bare' | 'nothing', readonly Answer[]>): Measurement {
  const percent = (list: readonly Answer[]) => median(list.map(({ cpuPercent }) => cpuPercent))
  return {
    name: 'sensors.cpu-1000-at-1hz',
    value: percent(answers.attached),
    unit: '% of one core',
    baseline: percent(answers.bare),
    against: 'the same drivers on the same emulated parts, one setInterval a sensor, in one thread',
    budget: { of: 'value', max: 25 },
    limit: 'the drivers and their emulated parts, then passing results between threads',
    note: `${sensors} TMP102, each one-shot, 35 ms of conversion and four transfers a sample; the process alone ${percent(answers.nothing).toFixed(2)} %`,
  }
}

function ram(memory: Record<'attached' | 'bare' | 'nothing', { readonly pssMb: number }>): Measurement {
  return {
    name: 'sensors.memory-1000',
    value: memory.attached.pssMb - memory.nothing.pssMb,
    unit: 'MB',
    baseline: memory.bare.pssMb - memory.nothing.pssMb,
    against: 'the same drivers and emulated parts in one thread',
    budget: { of: 'value', max: 60 },
    limit: 'a second V8 for the thread, then a component, its telemetry and its part of the loop a sensor',
    note: `over a process that only imports the same (${memory.nothing.pssMb.toFixed(0)} MB); of it the emulated parts themselves are most of the baseline`,
  }
}
