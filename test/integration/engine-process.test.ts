/** The life of an engine process: killed, hung, garbled, orphaned. Real pipes, real signals. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { constants, open, readFile, rename, writeFile } from 'node:fs/promises'
import { getPriority } from 'node:os'
import type { Duplex } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import type { EngineModel } from '../../runtime/wire/engine-protocol.ts'
import { addModel } from '../fixtures/onnx.ts'
import {
  add,
  answer,
  children,
  endless,
  errorOf,
  forever,
  isGone,
  kill,
  mainPath,
  openSupervisor,
  path,
  pidOf,
  speech,
  sum,
  talk,
  talker,
  tensorModel,
  until,
  untilBusy,
  value,
  work,
  writers,
} from './engine-setup.ts'

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

test.skipIf(process.platform !== 'linux')(
  '[engine-8] whoever wakes gets a core before the engine',
  async () => {
    const supervisor = await openSupervisor({ start: 'eager' })
    expect(getPriority(pidOf(supervisor))).toBe(10)
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

test('[inference-3] a model that waits for room is given up, and the engine that works meanwhile is left alone', async () => {
  // Beside what speaks it does not fit, by a thousandth of a megabyte.
  const large = { ...add, name: 'large', memoryMb: 99.999 }
  const options = { models: [talker, large], budgetMb: 100, loadDeadlineMs: 500 }
  const supervisor = await openSupervisor({ ...options, start: 'eager' })
  const pid = pidOf(supervisor)
  for await (const chunk of supervisor.infer(talk, forever)) {
    expect(chunk.final).toBe(false)
    expect(await errorOf(supervisor.preload('large'))).toMatchObject({
      code: 'memory',
      message: 'model large did not load within 500 ms',
    })
    break
  }
  expect(await value(supervisor, { ...sum(2, 3), model: 'large' })).toBe(5)
  expect(pidOf(supervisor)).toBe(pid)
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
