/** Requests to an engine process: answers, order, bounds, deadlines, cancelling. */
import { expect, test } from 'vitest'
import {
  add,
  answer,
  endless,
  errorOf,
  f32,
  forever,
  isGone,
  kill,
  logged,
  openSupervisor,
  pidOf,
  type Request,
  slow,
  sum,
  talk,
  talker,
  tensorModel,
  untilBusy,
  value,
  work,
} from './engine-setup.ts'

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

test('preload() says why a model cannot be loaded', async () => {
  const supervisor = await openSupervisor({ models: [tensorModel('nowhere'), add] })
  expect(await errorOf(supervisor.preload('sub'))).toMatchObject({
    code: 'model-unknown',
    message: 'no model is named sub; there are: nowhere, add',
  })
  const error = await errorOf(supervisor.preload('nowhere'))
  expect(error).toMatchObject({ code: 'model-load', message: expect.stringContaining('nowhere.onnx') })
  expect((await supervisor.status()).models[0]).toMatchObject({
    name: 'nowhere',
    state: 'failed',
    reason: error.message,
  })
})

test('setModels() and unload() take effect on the running engine', async () => {
  const supervisor = await openSupervisor({ models: [add] })
  await supervisor.preload('add')
  supervisor.unload('add')
  expect((await supervisor.status()).models).toMatchObject([{ name: 'add', state: 'present' }])
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
  await supervisor.preload('slow')
  // A busy machine may let one run out of time before it has begun: that is no hang.
  while (!logged.join('\n').includes("silent for 300 ms after a request's deadline")) {
    expect((await errorOf(answer(supervisor, work(endless, { deadlineMs: 300 })))).code).toBe('deadline')
    expect(await value(supervisor, sum(2, 3))).toBe(5)
  }
  expect(pidOf(supervisor)).not.toBe(pid)
})

test('[inference-3] a model in which two engines hung is refused for a while, and others are served', {
  timeout: 60_000,
}, async () => {
  const supervisor = await openSupervisor({ graceMs: 500 })
  await supervisor.preload('slow')
  const hang = () => errorOf(answer(supervisor, work(endless, { deadlineMs: 600.4 })))
  let refused = await hang()
  expect(refused.message).toBe('slow did not answer within 600 ms')
  // A busy machine may let one run out of time before it has begun: that is no hang.
  while (refused.code === 'deadline') {
    expect(await value(supervisor, sum(2, 3))).toBe(5)
    refused = await hang()
  }
  expect(refused).toMatchObject({
    code: 'run',
    message: 'model slow: it ran on past its deadline 2 times, and the engine was ended for it',
  })
  const { restarts } = await supervisor.status()
  expect(await hang()).toMatchObject({ code: 'run' })
  expect(supervisor.outlook('slow')).toMatchObject({ state: 'failed' })
  expect(await value(supervisor, sum(2, 3))).toBe(5)
  expect((await supervisor.status()).restarts).toBe(restarts)
})

test('[inference-3] an engine that was stopped by a signal is replaced', async () => {
  const supervisor = await openSupervisor({ start: 'eager', graceMs: 300 })
  kill(supervisor, 'SIGSTOP')
  expect((await errorOf(answer(supervisor, { ...sum(2, 3), deadlineMs: 300 }))).code).toBe('deadline')
  expect(await value(supervisor, sum(2, 3))).toBe(5)
})

test('[inference-3] a long run within its deadline is not taken for a hang when a request behind it expires', async () => {
  const supervisor = await openSupervisor({ start: 'eager', graceMs: 50 })
  // So long that it is still under way when this process, on a busy machine, comes to ask.
  const long = value(supervisor, work(100_000))
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
  // It reads nothing before all three are there, however long this process is kept from writing them.
  kill(supervisor, 'SIGSTOP')
  const others = [
    ask('background', { ...sum(1, 1), priority: 'background' }),
    ask('interactive', sum(1, 1)),
    ask('control', { ...sum(1, 1), priority: 'control' }),
  ]
  kill(supervisor, 'SIGCONT')
  await Promise.all([running, ...others])
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
