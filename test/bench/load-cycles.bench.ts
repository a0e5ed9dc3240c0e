/** Does the engine grow when models come and go? Its memory after loading, running and unloading three models over and over. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { realClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { EngineSupervisor } from '../../runtime/inference/supervisor/engine-supervisor.ts'
import { pssMb } from '../../runtime/observe/memory.ts'
import type { Tensor } from '../../runtime/wire/infer.ts'
import { floats, node, onnxModel, value } from '../fixtures/onnx.ts'
import type { Benchmark, BenchmarkContext, Measurement } from './benchmark.ts'
import { median } from './quantiles.ts'

const layers = [1, 3, 6]
const width = 512
/** Memory is read this often; the median of each tenth of the run counts, since garbage comes and goes. */
const readEvery = 5

export const loadCycles: Benchmark = {
  name: 'engine.load-cycles',
  async run(context) {
    const folder = await mkdtemp(join(tmpdir(), 'bench-cycles-'))
    try {
      return [await measured(folder, context)]
    } finally {
      await rm(folder, { recursive: true })
    }
  },
}

async function measured(folder: string, { quick, signal, progress }: BenchmarkContext): Promise<Measurement> {
  const cycles = quick ? 200 : 1000
  const models = layers.map((count) => ({
    name: `layers-${count}`,
    pipeline: 'tensor',
    files: { model: join(folder, `${count}.onnx`) },
  }))
  for (const count of layers) await writeFile(join(folder, `${count}.onnx`), network(count))
  const deps = { clock: realClock, log: silentLog }
  await using supervisor = await EngineSupervisor.open(deps, { models, start: 'eager' }, signal)
  const readings: number[] = []
  for (let cycle = 0; cycle < cycles; cycle += 1) {
    const name = models[cycle % models.length]?.name ?? ''
    await supervisor.preload(name, signal)
    await runOnce(supervisor, name, signal)
    supervisor.unload(name)
    if (cycle % readEvery === 0) readings.push(await readMb(supervisor))
    if (cycle % 100 === 0) progress(`${cycle} of ${cycles} cycles`)
  }
  if ((await supervisor.status()).restarts > 0) throw new Error('the engine was replaced meanwhile')
  const tenths = Array.from({ length: 10 }, (_, at) => tenth(readings, at))
  return {
    name: 'engine.load-cycles',
    value: tenths[9] ?? Number.NaN,
    unit: 'MB',
    baseline: tenths[1] ?? Number.NaN,
    against: `the same process during its second tenth of ${cycles} cycles`,
    budget: { of: 'ratio', max: 1.1 },
    limit: 'free memory that the C library keeps between allocations of other sizes',
    note: `PSS during each tenth: ${tenths.map((mb) => mb.toFixed(1)).join(', ')}; models of ${layers.map((count) => count).join(', ')} MB`,
  }
}

function network(count: number): Uint8Array {
  const names = Array.from({ length: count }, (_, at) => `w${at}`)
  return onnxModel({
    inputs: [value('x', 'FP32', [1, width])],
    outputs: [value('y', 'FP32', [1, width])],
    nodes: names.map((name, at) =>
      node('MatMul', [at === 0 ? 'x' : `v${at}`, name], [at === count - 1 ? 'y' : `v${at + 1}`]),
    ),
    constants: names.map((name) => floats(name, [width, width], Array(width * width).fill(0.001))),
  })
}

async function runOnce(supervisor: EngineSupervisor, model: string, signal: AbortSignal): Promise<void> {
  const x: Tensor = { name: 'x', datatype: 'FP32', shape: [1, width], data: new Float32Array(width) }
  const request = {
    model,
    priority: 'interactive',
    deadlineMs: 10_000,
    privacy: 'device',
    inputs: [x],
  } as const
  for await (const { outputs } of supervisor.infer(request, signal))
    if (outputs[0]?.data.length !== width) throw new Error(`${model} gave no answer`)
}

async function readMb(supervisor: EngineSupervisor): Promise<number> {
  const mb = supervisor.pid === undefined ? undefined : await pssMb(supervisor.pid)
  if (mb === undefined) throw new Error('the memory of the engine cannot be read: not Linux, or it ended')
  return mb
}

function tenth(readings: readonly number[], at: number): number {
  const from = Math.floor((readings.length * at) / 10)
  return median(readings.slice(from, Math.floor((readings.length * (at + 1)) / 10)))
}
