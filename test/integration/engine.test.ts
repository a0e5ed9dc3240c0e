/** The engine as a process: real pipes, real signals, real ONNX Runtime on tiny graphs. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync } from 'node:fs'
import { constants, type FileHandle, open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { realClock } from '../../runtime/base/clock.ts'
import { createLog } from '../../runtime/base/log.ts'
import { EngineSupervisor, type EngineSupervisorOptions } from '../../runtime/inference/engine-supervisor.ts'
import type { EngineModel } from '../../runtime/wire/engine-protocol.ts'
import { type InferChunk, InferError, type InferRequest, type Tensor } from '../../runtime/wire/infer.ts'
import { addModel, moonshineShapedDecoder, moonshineShapedEncoder, slowModel } from '../fixtures/onnx.ts'

const folder = mkdtempSync(join(tmpdir(), 'engine-'))
const path = (name: string) => join(folder, `${name}.onnx`)
const tensorModel = (name: string): EngineModel => ({
  name,
  pipeline: 'tensor',
  files: { model: path(name) },
})
const add = tensorModel('add')
const slow = tensorModel('slow')
/** Says 60 words, some 20 ms each. */
const speaker: EngineModel = {
  name: 'speaker',
  pipeline: 'moonshine',
  files: { encoder: path('encoder'), decoder: path('decoder') },
}
/** Says 398 words, some 200 ms each: nothing waits for its end. */
const talker: EngineModel = {
  name: 'talker',
  pipeline: 'moonshine',
  files: { encoder: path('encoder'), decoder: path('talk') },
}
const mainPath = fileURLToPath(new URL('../../runtime/inference/engine/main.ts', import.meta.url))
const forever = new AbortController().signal
/** Long enough for any machine: what is waited for either happens or the test fails. */
const waitMs = 25_000

beforeAll(async () => {
  await writeFile(path('add'), addModel())
  await writeFile(path('slow'), slowModel())
  await writeFile(path('encoder'), moonshineShapedEncoder())
  await writeFile(path('talk'), moonshineShapedDecoder(Array(400).fill(373), 8000))
  await writeFile(path('decoder'), moonshineShapedDecoder([...Array(60).fill(373), 2], 500))
})
afterAll(() => rm(folder, { recursive: true }))

const started: EngineSupervisor[] = []
const children: ChildProcess[] = []
const writers: FileHandle[] = []
afterEach(async () => {
  for (const supervisor of started.splice(0)) await supervisor[Symbol.asyncDispose]()
  for (const child of children.splice(0)) child.kill('SIGKILL')
  for (const writer of writers.splice(0)) await writer.close()
  logged.length = 0
})

const logged: string[] = []
const log = createLog({ level: 'debug', json: false, write: (line) => logged.push(line), nowMs: () => 0 })

async function openSupervisor(options: Partial<EngineSupervisorOptions> = {}): Promise<EngineSupervisor> {
  const supervisor = await EngineSupervisor.open(
    { clock: realClock, log },
    { models: [add, slow, speaker], restart: { firstMs: 10, maxMs: 100 }, ...options },
    forever,
  )
  started.push(supervisor)
  return supervisor
}

type Request = Omit<InferRequest, 'id'>
const base = { priority: 'interactive', deadlineMs: waitMs, privacy: 'device' } as const
const f32 = (name: string, data: Float32Array): Tensor => ({
  name,
  datatype: 'FP32',
  shape: [data.length],
  data,
})
const sum = (a: number, b: number): Request => ({
  ...base,
  model: 'add',
  inputs: [f32('a', Float32Array.of(a)), f32('b', Float32Array.of(b))],
})
/** One native run of some 20 to 50 µs a round. */
const work = (rounds: number, more: Partial<Request> = {}): Request => ({
  ...base,
  model: 'slow',
  inputs: [
    { name: 'rounds', datatype: 'INT64', shape: [], data: BigInt64Array.of(BigInt(rounds)) },
    f32('x', Float32Array.of(7)),
  ],
  ...more,
})
const endless = 1e9
const speech: Request = {
  ...base,
  model: 'speaker',
  inputs: [{ name: 'audio', datatype: 'FP32', shape: [1, 160_000], data: new Float32Array(160_000) }],
}

const talk: Request = {
  ...base,
  deadlineMs: 10 * waitMs,
  model: 'talker',
  inputs: [{ name: 'audio', datatype: 'FP32', shape: [1, 960_000], data: new Float32Array(960_000) }],
}

async function answer(
  supervisor: EngineSupervisor,
  request: Request,
  signal = forever,
): Promise<InferChunk[]> {
  const chunks: InferChunk[] = []
  for await (const chunk of supervisor.infer(request, signal)) chunks.push(chunk)
  return chunks
}

async function value(supervisor: EngineSupervisor, request: Request): Promise<unknown> {
  return (await answer(supervisor, request)).at(-1)?.outputs[0]?.data[0]
}

/** The error's code: resolves for tests that go on, so that nothing is unhandled meanwhile. */
async function errorOf(promise: Promise<unknown>): Promise<InferError> {
  const error = await promise.then(
    () => new Error('it did not fail'),
    (reason: unknown) => reason,
  )
  if (error instanceof InferError) return error
  throw error
}

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const limit = Date.now() + waitMs
  while (!(await condition())) {
    if (Date.now() > limit) throw new Error(`waited too long until ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** Waits until the slow model was loaded `times` times in this test: its run follows at once. */
function untilBusy(times = 1): Promise<void> {
  return until('the engine is busy', () => {
    return logged.filter((line) => line.includes('model loaded model=slow')).length >= times
  })
}

async function isGone(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') Z')
  return stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z')
}

function pidOf(supervisor: EngineSupervisor): number {
  if (supervisor.pid === undefined) throw new Error('no engine runs')
  return supervisor.pid
}

function kill(supervisor: EngineSupervisor, signal: NodeJS.Signals = 'SIGKILL'): void {
  process.kill(pidOf(supervisor), signal)
}

test('an eager supervisor has a running engine, answers, says its state, and leaves nothing behind', async () => {
  const supervisor = await openSupervisor({ start: 'eager' })
  const pid = pidOf(supervisor)
  expect(await value(supervisor, sum(2, 3))).toBe(5)
  expect(await supervisor.status()).toMatchObject({
    state: 'running',
    pid,
    restarts: 0,
    inFlight: 0,
    models: [
      { name: 'add', state: 'loaded' },
      { name: 'slow', state: 'present' },
      { name: 'speaker', state: 'present' },
    ],
    rssMb: expect.any(Number),
  })
  await supervisor[Symbol.asyncDispose]()
  await supervisor[Symbol.asyncDispose]()
  expect(await isGone(pid)).toBe(true)
})

test('a lazy supervisor starts its engine at the first request', async () => {
  const supervisor = await openSupervisor()
  expect(supervisor.pid).toBeUndefined()
  expect((await supervisor.status()).state).toBe('idle')
  expect(await value(supervisor, sum(1, 1))).toBe(2)
})

test('the engine gets nothing of our environment that it does not need', async () => {
  process.env['SOME_SECRET'] = 'of ours'
  const supervisor = await openSupervisor({ start: 'eager' })
  delete process.env['SOME_SECRET']
  const environment = await readFile(`/proc/${pidOf(supervisor)}/environ`, 'utf8')
  expect(environment).toContain('MALLOC_ARENA_MAX=1')
  expect(environment).not.toMatch(/SOME_SECRET|PATH=|HOME=/)
})

test.skipIf(process.platform !== 'linux')(
  '[engine-8] short of memory, the kernel takes the engine first',
  async () => {
    const supervisor = await openSupervisor({ start: 'eager' })
    expect(await readFile(`/proc/${pidOf(supervisor)}/oom_score_adj`, 'utf8')).toBe('500\n')
  },
)

test('[inference-1] an engine killed while idle comes back with the models that it had loaded', async () => {
  const supervisor = await openSupervisor()
  await supervisor.preload('add')
  const pid = pidOf(supervisor)
  kill(supervisor)
  await until('the model is back', async () => {
    const status = await supervisor.status()
    return status.pid !== pid && status.models[0]?.state === 'loaded'
  })
  expect((await supervisor.status()).restarts).toBe(1)
  expect(await value(supervisor, sum(2, 3))).toBe(5)
})

test('[inference-2] a request that streamed nothing when the engine died is answered by the next engine', async () => {
  const supervisor = await openSupervisor()
  const answered = value(supervisor, work(40_000))
  await untilBusy()
  kill(supervisor)
  expect(await answered).toBe(7)
  expect((await supervisor.status()).restarts).toBe(1)
})

test('[inference-2] a request whose engine dies twice fails as engine-lost', async () => {
  const supervisor = await openSupervisor()
  const lost = errorOf(answer(supervisor, work(endless)))
  for (const death of [1, 2]) {
    await untilBusy(death)
    kill(supervisor)
  }
  expect(await lost).toMatchObject({
    code: 'engine-lost',
    message: 'the engine ended by SIGKILL',
    retryable: true,
  })
  expect(await value(supervisor, sum(2, 3))).toBe(5)
})

test('[inference-2] a request that had streamed when the engine died fails as engine-lost, and is not run again', async () => {
  const supervisor = await openSupervisor()
  let chunks = 0
  const run = async () => {
    for await (const chunk of supervisor.infer(speech, forever)) {
      expect(chunk.final).toBe(false)
      chunks += 1
      if (chunks === 1) kill(supervisor)
    }
  }
  expect((await errorOf(run())).code).toBe('engine-lost')
  expect(chunks).toBeGreaterThan(0)
  expect(await value(supervisor, sum(2, 3))).toBe(5)
})

/** A model whose load hangs: its file is a named pipe. `reached` resolves once the engine reads it. */
function hangingModel(name: string): { model: EngineModel; reached: () => Promise<void> } {
  execFileSync('mkfifo', [path(name)])
  const reached = () =>
    until('the engine reads the file', async () => {
      // Opening the writing end fails until somebody reads.
      const writer = await open(path(name), constants.O_WRONLY | constants.O_NONBLOCK).catch(() => undefined)
      if (writer) writers.push(writer)
      return writer !== undefined
    })
  return { model: tensorModel(name), reached }
}

test('[inference-1] an engine killed while it loads a model loads it again', async () => {
  const { model, reached } = hangingModel('hanging-once')
  const supervisor = await openSupervisor({ models: [model] })
  const loaded = supervisor.preload(model.name)
  await reached()
  await writeFile(path('ready'), addModel())
  await rename(path('ready'), path('hanging-once'))
  kill(supervisor)
  await loaded
  expect(await value(supervisor, { ...sum(2, 3), model: model.name })).toBe(5)
})

test('[inference-1] a model that ends the engine twice while loading is not tried again by itself', async () => {
  const { model, reached } = hangingModel('hanging')
  const supervisor = await openSupervisor({ models: [model, add] })
  const failed = errorOf(supervisor.preload(model.name))
  await reached()
  const pid = pidOf(supervisor)
  kill(supervisor)
  await until('the next engine runs', () => supervisor.pid !== undefined && supervisor.pid !== pid)
  await reached()
  kill(supervisor)
  expect(await failed).toMatchObject({
    code: 'model-load',
    message: 'the engine ended 2 times while loading it',
  })
  expect(await value(supervisor, sum(2, 3))).toBe(5)
  expect((await supervisor.status()).models[0]).toMatchObject({ name: model.name, state: 'failed' })
})

test('[inference-3] a model that does not load in time is given up and its engine replaced', async () => {
  const { model } = hangingModel('hanging-long')
  const supervisor = await openSupervisor({ models: [model, add], start: 'eager', loadDeadlineMs: 300 })
  expect((await errorOf(supervisor.preload(model.name))).message).toBe(
    'model hanging-long did not load within 300 ms',
  )
  expect(await value(supervisor, sum(2, 3))).toBe(5)
})

test('preload() says why a model cannot be loaded', async () => {
  const supervisor = await openSupervisor({ models: [tensorModel('nowhere'), add] })
  expect(await errorOf(supervisor.preload('sub'))).toMatchObject({
    code: 'model-unknown',
    message: 'no model is named sub; there are: nowhere, add',
  })
  const error = await errorOf(supervisor.preload('nowhere'))
  expect(error).toMatchObject({ code: 'model-load', message: expect.stringContaining('nowhere.onnx') })
  expect((await supervisor.status()).models[0]).toEqual({
    name: 'nowhere',
    state: 'failed',
    reason: error.message,
  })
})

test('setModels() and unload() take effect on the running engine', async () => {
  const supervisor = await openSupervisor({ models: [add] })
  await supervisor.preload('add')
  supervisor.unload('add')
  expect((await supervisor.status()).models).toEqual([{ name: 'add', state: 'present' }])
  expect(await value(supervisor, sum(2, 3))).toBe(5)
  supervisor.setModels([slow])
  expect((await errorOf(answer(supervisor, sum(2, 3)))).code).toBe('model-unknown')
  expect(await value(supervisor, work(1))).toBe(7)
})

test('[inference-4] leaving the loop early frees the engine', async () => {
  const supervisor = await openSupervisor({ models: [add, talker] })
  for await (const chunk of supervisor.infer(talk, forever)) {
    expect(chunk.final).toBe(false)
    break
  }
  // Of the same class: it would wait for the end of what was left.
  expect(await value(supervisor, { ...sum(2, 3), deadlineMs: 10_000 })).toBe(5)
  expect(await supervisor.status()).toMatchObject({ restarts: 0, inFlight: 0 })
})

test('[inference-4] aborting the signal fails the request as cancelled and frees the engine', async () => {
  const supervisor = await openSupervisor({ models: [add, talker] })
  const controller = new AbortController()
  const run = async () => {
    for await (const _ of supervisor.infer(talk, controller.signal)) controller.abort()
  }
  expect((await errorOf(run())).code).toBe('cancelled')
  expect((await errorOf(answer(supervisor, sum(1, 1), AbortSignal.abort()))).code).toBe('cancelled')
  expect(await value(supervisor, { ...sum(2, 3), deadlineMs: 10_000 })).toBe(5)
  expect(await supervisor.status()).toMatchObject({ restarts: 0, inFlight: 0 })
})

test('[inference-3] a request past its deadline fails; an engine that then answers lives on', async () => {
  const supervisor = await openSupervisor({ start: 'eager' })
  const error = await errorOf(answer(supervisor, work(40_000, { deadlineMs: 100 })))
  expect(error).toMatchObject({ code: 'deadline', retryable: true })
  expect(await value(supervisor, sum(2, 3))).toBe(5)
  expect((await supervisor.status()).restarts).toBe(0)
})

test('[inference-3] an engine that hangs in native code is replaced', async () => {
  const supervisor = await openSupervisor({ start: 'eager', graceMs: 300 })
  const pid = pidOf(supervisor)
  expect((await errorOf(answer(supervisor, work(endless, { deadlineMs: 300 })))).code).toBe('deadline')
  expect(await value(supervisor, sum(2, 3))).toBe(5)
  expect(pidOf(supervisor)).not.toBe(pid)
  expect(logged.join('\n')).toContain("silent for 300 ms after a request's deadline")
})

test('[inference-3] an engine that was stopped by a signal is replaced', async () => {
  const supervisor = await openSupervisor({ start: 'eager', graceMs: 300 })
  kill(supervisor, 'SIGSTOP')
  expect((await errorOf(answer(supervisor, { ...sum(2, 3), deadlineMs: 300 }))).code).toBe('deadline')
  expect(await value(supervisor, sum(2, 3))).toBe(5)
})

test('[inference-3] a long run within its deadline is not taken for a hang when a request behind it expires', async () => {
  const supervisor = await openSupervisor({ start: 'eager', graceMs: 50 })
  const long = value(supervisor, work(40_000))
  await untilBusy()
  expect((await errorOf(answer(supervisor, { ...sum(2, 3), deadlineMs: 50 }))).code).toBe('deadline')
  expect(await long).toBe(7)
  expect((await supervisor.status()).restarts).toBe(0)
})

test('[inference-5] requests over the bound fail at once as overloaded', async () => {
  const supervisor = await openSupervisor({ queueMax: 2 })
  const two = [value(supervisor, sum(1, 1)), value(supervisor, sum(2, 2))]
  expect(await errorOf(answer(supervisor, sum(3, 3)))).toMatchObject({ code: 'overloaded', retryable: true })
  expect(await Promise.all(two)).toEqual([2, 4])
  expect(await value(supervisor, sum(3, 3))).toBe(6)
})

test('[inference-5] inputs too large for a frame are refused and harm nothing', async () => {
  const supervisor = await openSupervisor()
  const huge = f32('a', new Float32Array(17 * 2 ** 20))
  const error = await errorOf(
    answer(supervisor, { ...sum(1, 1), inputs: [huge, f32('b', Float32Array.of(1))] }),
  )
  expect(error).toMatchObject({
    code: 'bad-input',
    message: expect.stringContaining('more than the 67108864 allowed'),
  })
  expect(await value(supervisor, sum(2, 3))).toBe(5)
})

test('[inference-5] many large requests at once all come back whole through a pipe that fills up', async () => {
  const supervisor = await openSupervisor()
  const length = 300_000
  const sums = await Promise.all(
    Array.from({ length: 12 }, async (_, index) => {
      const a = new Float32Array(length).fill(index)
      const b = Float32Array.from({ length }, (_, i) => i)
      const [chunk] = await answer(supervisor, { ...sum(0, 0), inputs: [f32('a', a), f32('b', b)] })
      return chunk?.outputs[0]?.data as Float32Array
    }),
  )
  for (const [index, data] of sums.entries()) {
    expect(data.length).toBe(length)
    expect([data[0], data[1], data.at(-1)]).toEqual([index, index + 1, index + length - 1])
  }
})

test('[engine-4] the most urgent request is answered first', async () => {
  const supervisor = await openSupervisor({ start: 'eager' })
  await supervisor.preload('add')
  const order: string[] = []
  const ask = async (name: string, request: Request) => {
    await answer(supervisor, request)
    order.push(name)
  }
  const running = ask('running', work(20_000, { priority: 'control' }))
  await untilBusy()
  await Promise.all([
    running,
    ask('background', { ...sum(1, 1), priority: 'background' }),
    ask('interactive', sum(1, 1)),
    ask('control', { ...sum(1, 1), priority: 'control' }),
  ])
  expect(order).toEqual(['running', 'control', 'interactive', 'background'])
})

test('[inference-6] our own timers fire while the engine is busy', async () => {
  const supervisor = await openSupervisor({ start: 'eager' })
  const busy = value(supervisor, work(20_000))
  await untilBusy()
  let ticks = 0
  const timer = setInterval(() => {
    ticks += 1
  }, 1)
  await busy
  clearInterval(timer)
  expect(ticks).toBeGreaterThan(10)
})

test('disposing fails what is under way as engine-stopped, and everything after', async () => {
  const supervisor = await openSupervisor({ stopDeadlineMs: 200 })
  const stopped = errorOf(answer(supervisor, work(endless)))
  await untilBusy()
  await supervisor[Symbol.asyncDispose]()
  expect((await stopped).code).toBe('engine-stopped')
  expect((await errorOf(answer(supervisor, sum(1, 1)))).code).toBe('engine-stopped')
  expect((await errorOf(supervisor.preload('add'))).code).toBe('engine-stopped')
})

const brokenEntry = new URL('../fixtures/engine-broken.ts', import.meta.url)

test.for([
  ['garbage', /its pipe broke: not CBOR/],
  ['oversized', /its pipe broke: a frame of 4294967295 bytes is announced/],
  ['silent', /not ready within 1500 ms/],
  ['exits', /ended with code 7: Error: no such library/],
] as const)('[inference-1] an eager open() says why an engine does not start: %s', async ([way, reason]) => {
  const broken = { entry: brokenEntry, execArgv: [`--title=${way}`], startDeadlineMs: 1500 }
  const error = await errorOf(openSupervisor({ ...broken, start: 'eager' }))
  expect(error).toMatchObject({ code: 'engine-lost', message: expect.stringMatching(reason) })
})

test('[inference-1] an engine that never starts is started again and again, and requests fail by their deadline', async () => {
  const supervisor = await openSupervisor({ entry: brokenEntry, execArgv: ['--title=exits'] })
  const error = await errorOf(answer(supervisor, { ...sum(1, 1), deadlineMs: 1500 }))
  expect(error.code).toBe('deadline')
  await until('it was restarted', async () => (await supervisor.status()).restarts > 1)
})

function startBare(stdio: 'pipe' | 'ignore' = 'pipe'): { child: ChildProcess; pipe: Duplex } {
  const child = spawn(process.execPath, [mainPath], { stdio: ['ignore', 'ignore', 'ignore', stdio] })
  children.push(child)
  return { child, pipe: child.stdio[3] as Duplex }
}

test.for([
  ['garbage', Uint8Array.of(0, 0, 0, 2, 0xff, 0xff), 3],
  ['an oversized frame', Uint8Array.of(0xff, 0xff, 0xff, 0xff), 3],
  ['the end of the pipe', undefined, 0],
] as const)('[engine-2] the engine process ends on %s', async ([, bytes, code]) => {
  const { child, pipe } = startBare()
  const exit = once(child, 'exit')
  await once(pipe, 'data')
  if (bytes) pipe.write(bytes)
  else pipe.end()
  expect(await exit).toEqual([code, null])
})

test('[engine-8] signals that go to the whole process group do not end the engine', async () => {
  const supervisor = await openSupervisor({ start: 'eager' })
  const pid = pidOf(supervisor)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) kill(supervisor, signal)
  expect(await value(supervisor, sum(2, 3))).toBe(5)
  expect(pidOf(supervisor)).toBe(pid)
})

test('[engine-8] the engine ends when its parent is killed', async () => {
  const parent = fileURLToPath(new URL('../fixtures/engine-parent.ts', import.meta.url))
  const child = spawn(process.execPath, [parent], { stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  const [line] = await once(child.stdout, 'data')
  const pid = Number(String(line))
  expect(await isGone(pid)).toBe(false)
  child.kill('SIGKILL')
  await until('the engine is gone', () => isGone(pid))
})
