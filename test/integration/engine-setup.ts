/** The engine as a process, on tiny graphs in the real ONNX Runtime: what its tests share. */
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { type FileHandle, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll } from 'vitest'
import { realClock } from '../../runtime/base/clock.ts'
import { createLog } from '../../runtime/base/log.ts'
import type { Inference } from '../../runtime/inference/inference.ts'
import { EngineSupervisor } from '../../runtime/inference/supervisor/engine-supervisor.ts'
import type { EngineSupervisorOptions } from '../../runtime/inference/supervisor/supervisor-options.ts'
import type { EngineModel } from '../../runtime/wire/engine-protocol.ts'
import { type InferChunk, InferError, type InferRequest, type Tensor } from '../../runtime/wire/infer.ts'
import { addModel, moonshineShapedDecoder, moonshineShapedEncoder, slowModel } from '../fixtures/onnx.ts'

export const folder = mkdtempSync(join(tmpdir(), 'engine-'))
export const path = (name: string) => join(folder, `${name}.onnx`)
export const tensorModel = (name: string): EngineModel => ({
  name,
  pipeline: 'tensor',
  files: { model: path(name) },
})
export const add = tensorModel('add')
export const slow = tensorModel('slow')
/** Says 60 words, some 20 ms each. */
export const speaker: EngineModel = {
  name: 'speaker',
  pipeline: 'moonshine',
  files: { encoder: path('encoder'), decoder: path('decoder') },
}
/** Says 398 words, some 200 ms each: nothing waits for its end. */
export const talker: EngineModel = {
  name: 'talker',
  pipeline: 'moonshine',
  files: { encoder: path('encoder'), decoder: path('talk') },
}
export const mainPath = fileURLToPath(new URL('../../runtime/inference/engine/main.ts', import.meta.url))
export const forever = new AbortController().signal
/** Long enough for any machine: what is waited for either happens or the test fails. */
export const waitMs = 25_000

beforeAll(async () => {
  await writeFile(path('add'), addModel())
  await writeFile(path('slow'), slowModel())
  await writeFile(path('encoder'), moonshineShapedEncoder())
  await writeFile(path('talk'), moonshineShapedDecoder(Array(400).fill(373), 8000))
  await writeFile(path('decoder'), moonshineShapedDecoder([...Array(60).fill(373), 2], 500))
})
afterAll(() => rm(folder, { recursive: true }))

const started: EngineSupervisor[] = []
export const children: ChildProcess[] = []
export const writers: FileHandle[] = []
afterEach(async () => {
  for (const supervisor of started.splice(0)) await supervisor[Symbol.asyncDispose]()
  for (const child of children.splice(0)) child.kill('SIGKILL')
  for (const writer of writers.splice(0)) await writer.close()
  logged.length = 0
})

export const logged: string[] = []
export const log = createLog({
  level: 'debug',
  json: false,
  write: (line) => logged.push(line),
  nowMs: () => 0,
})

export async function openSupervisor(
  options: Partial<EngineSupervisorOptions> = {},
): Promise<EngineSupervisor> {
  const supervisor = await EngineSupervisor.open(
    { clock: realClock, log },
    { models: [add, slow, speaker], restart: { firstMs: 10, maxMs: 100 }, ...options },
    forever,
  )
  started.push(supervisor)
  return supervisor
}

export type Request = Omit<InferRequest, 'id'>
export const base = { priority: 'interactive', deadlineMs: waitMs, privacy: 'device' } as const
export const f32 = (name: string, data: Float32Array): Tensor => ({
  name,
  datatype: 'FP32',
  shape: [data.length],
  data,
})
export const sum = (a: number, b: number): Request => ({
  ...base,
  model: 'add',
  inputs: [f32('a', Float32Array.of(a)), f32('b', Float32Array.of(b))],
})
/** One native run of some 20 to 50 µs a round. */
export const work = (rounds: number, more: Partial<Request> = {}): Request => ({
  ...base,
  model: 'slow',
  inputs: [
    { name: 'rounds', datatype: 'INT64', shape: [], data: BigInt64Array.of(BigInt(rounds)) },
    f32('x', Float32Array.of(7)),
  ],
  ...more,
})
export const endless = 1e9
export const speech: Request = {
  ...base,
  model: 'speaker',
  inputs: [{ name: 'audio', datatype: 'FP32', shape: [1, 160_000], data: new Float32Array(160_000) }],
}

export const talk: Request = {
  ...base,
  deadlineMs: 10 * waitMs,
  model: 'talker',
  inputs: [{ name: 'audio', datatype: 'FP32', shape: [1, 960_000], data: new Float32Array(960_000) }],
}

export async function answer(
  supervisor: Inference,
  request: Request,
  signal = forever,
): Promise<InferChunk[]> {
  const chunks: InferChunk[] = []
  for await (const chunk of supervisor.infer(request, signal)) chunks.push(chunk)
  return chunks
}

export async function value(supervisor: Inference, request: Request): Promise<unknown> {
  return (await answer(supervisor, request)).at(-1)?.outputs[0]?.data[0]
}

/** The error's code: resolves for tests that go on, so that nothing is unhandled meanwhile. */
export async function errorOf(promise: Promise<unknown>): Promise<InferError> {
  const error = await promise.then(
    () => new Error('it did not fail'),
    (reason: unknown) => reason,
  )
  if (error instanceof InferError) return error
  throw error
}

export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const limit = Date.now() + waitMs
  while (!(await condition())) {
    if (Date.now() > limit) throw new Error(`waited too long until ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** Waits until the slow model was loaded `times` times in this test: its run follows at once. */
export function untilBusy(times = 1): Promise<void> {
  return until('the engine is busy', () => {
    return logged.filter((line) => line.includes('model loaded model=slow')).length >= times
  })
}

export async function isGone(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') Z')
  return stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z')
}

export function pidOf(supervisor: EngineSupervisor): number {
  if (supervisor.pid === undefined) throw new Error('no engine runs')
  return supervisor.pid
}

export function kill(supervisor: EngineSupervisor, signal: NodeJS.Signals = 'SIGKILL'): void {
  process.kill(pidOf(supervisor), signal)
}
