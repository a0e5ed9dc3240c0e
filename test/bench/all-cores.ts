/** Inference on every core without pause: in engine processes, as a device with one worker a core, or bare in this process. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node'
import { realClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { programPath } from '../../runtime/base/program.ts'
import { EngineSupervisor } from '../../runtime/inference/supervisor/engine-supervisor.ts'
import type { Tensor } from '../../runtime/wire/infer.ts'
import { slowModel } from '../fixtures/onnx.ts'

const cores = availableParallelism()
/** Some 5 ms of products in one native run, with next to nothing to send. */
const rounds = 600

const inputs: Tensor[] = [
  { name: 'rounds', datatype: 'INT64', shape: [], data: BigInt64Array.of(BigInt(rounds)) },
  { name: 'x', datatype: 'FP32', shape: [1], data: Float32Array.of(1) },
]

/** Runs that wait at each engine, so that it has no pause until a round is over. */
const queued = 8

/** A round of work: some runs on each engine, tens of milliseconds. They end with this process. */
export async function enginesOnAllCores(signal: AbortSignal): Promise<() => Promise<unknown>> {
  return withModel(async (path) => {
    const models = [{ name: 'busy', pipeline: 'tensor', files: { model: path } }]
    const deps = { clock: realClock, log: silentLog }
    const options = { models, entry: programPath('engine'), start: 'eager' } as const
    const engines = await Promise.all(
      Array.from({ length: cores }, () => EngineSupervisor.open(deps, options, signal)),
    )
    for (const engine of engines) await engine.preload('busy', signal)
    const runs = engines.flatMap((engine) => Array<EngineSupervisor>(queued).fill(engine))
    return () => Promise.all(runs.map((engine) => runOnce(engine, signal)))
  })
}

async function runOnce(engine: EngineSupervisor, signal: AbortSignal): Promise<void> {
  const request = {
    model: 'busy',
    priority: 'background',
    deadlineMs: 60_000,
    privacy: 'device',
    inputs,
  } as const
  for await (const { outputs } of engine.infer(request, signal))
    if (outputs[0]?.data.length !== 1) throw new Error('the engine gave no answer')
}

/** A round of work: a run on as many threads as there are cores, in this process. */
export async function bareOnAllCores(): Promise<() => Promise<unknown>> {
  return withModel(async (path) => {
    const session = await InferenceSession.create(path, { intraOpNumThreads: cores, interOpNumThreads: 1 })
    const feeds = {
      rounds: new OrtTensor('int64', BigInt64Array.of(BigInt(rounds)), []),
      x: new OrtTensor('float32', Float32Array.of(1), [1]),
    }
    return () => session.run(feeds)
  })
}

/** The model is read when it is loaded; its file may go then. */
async function withModel<T>(open: (path: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-busy-'))
  try {
    const path = join(folder, 'busy.onnx')
    await writeFile(path, slowModel())
    return await open(path)
  } finally {
    await rm(folder, { recursive: true })
  }
}
