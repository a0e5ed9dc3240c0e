/** One request in, an answer from whichever backend may and can: policy, retries, circuits, deadlines; on a virtual clock. */
import { beforeEach, describe, expect, test } from 'vitest'
import { ResultCache } from '../../../../gateway/offload/result-cache.ts'
import { InferenceService } from '../../../../gateway/offload/service.ts'
import type { ServingRequest } from '../../../../gateway/offload/serving.ts'
import { lastOf, textTensor } from '../../../../gateway/offload/tasks.ts'
import { VirtualClock } from '../../../../runtime/base/clock.ts'
import { silentLog } from '../../../../runtime/base/log.ts'
import { type InferChunk, InferError } from '../../../../runtime/wire/infer.ts'
import { model, number, type Script, ScriptedBackend, type Step } from './scripted-backend.ts'

const never = new AbortController().signal
let clock: VirtualClock
beforeEach(() => {
  clock = new VirtualClock()
})

const serve = (...backends: ScriptedBackend[]) =>
  new InferenceService(
    { clock, log: silentLog, backends, cache: new ResultCache(clock) },
    { queueMax: 10, bytesMax: 1000 },
  )
const asked = (more: Partial<ServingRequest> = {}): ServingRequest => ({
  caller: 'device-1',
  model: 'm',
  priority: 'interactive',
  deadlineMs: 10_000,
  privacy: 'cloud',
  inputs: [number(1)],
  ...more,
})
const chunksOf = async (service: InferenceService, request: ServingRequest, signal = never) => {
  const chunks: InferChunk[] = []
  for await (const chunk of service.infer(request, signal)) chunks.push(chunk)
  return chunks
}
/** The last chunk, or the error; time passes as it must. */
const ask = (service: InferenceService, more: Partial<ServingRequest> = {}, signal = never) =>
  clock.run(() =>
    chunksOf(service, asked(more), signal).then(
      (chunks) => chunks.at(-1) as InferChunk,
      (error: unknown) => error as InferError,
    ),
  )
const retryable = (code: InferError['code'], more: object = {}) =>
  new InferError(code, `${code} for the test`, { retryable: true, ...more })
const always = (...steps: Step[]) => ({ script: () => steps })
const settle = () => new Promise((resolve) => setImmediate(resolve))

describe('[serving-1] policy', () => {
  test('what is labelled device is refused, wherever the model is', async () => {
    const near = new ScriptedBackend('near')
    expect(await ask(serve(near), { privacy: 'device' })).toMatchObject({ code: 'refused' })
    expect(near.requests).toEqual([])
  })

  test('what is labelled site never goes to a cloud, also when the site is away or fails', async () => {
    const cloud = new ScriptedBackend('cloud', { reach: 'cloud' })
    expect(await ask(serve(cloud), { privacy: 'site' })).toMatchObject({
      code: 'refused',
      message: expect.stringMatching(/cloud only.*labelled site/),
    })
    const near = new ScriptedBackend('near', always(retryable('unavailable')))
    expect(await ask(serve(cloud, near), { privacy: 'site' })).toMatchObject({ code: 'unavailable' })
    near.state = { state: 'away', reason: 'unplugged', running: 0, queued: 0 }
    expect(await ask(serve(cloud, near), { privacy: 'site' })).toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/near: unplugged/),
    })
    expect(cloud.requests).toEqual([])
  })

  test('near comes before far, and what is labelled cloud may go far when near fails', async () => {
    const cloud = new ScriptedBackend('cloud', { reach: 'cloud' })
    const near = new ScriptedBackend('near')
    const service = serve(cloud, near)
    expect(await ask(service)).toMatchObject({ final: true, route: 'near' })
    near.script = () => [retryable('unavailable')]
    expect(await ask(service)).toMatchObject({ final: true, route: 'cloud' })
  })

  test('what the site is only too busy with waits for it: a cloud takes over from what fails, not from what is full', async () => {
    const cloud = new ScriptedBackend('cloud', { reach: 'cloud' })
    const near = new ScriptedBackend('near', always('hang'))
    const service = serve(cloud, near)
    const gone = new AbortController()
    const asking = Array.from({ length: 6 }, () => chunksOf(service, asked(), gone.signal).catch(() => {}))
    await settle()
    expect([near.requests.length, cloud.requests.length]).toEqual([4, 0])
    expect(service.load()).toMatchObject([{ running: 4, queued: 2 }])
    gone.abort()
    await Promise.all(asking)
  })

  test('no backend gets more at once than it takes, while another one has room', async () => {
    const [busy, idle] = [new ScriptedBackend('a', always('hang')), new ScriptedBackend('b', always('hang'))]
    // Of other models; it says nothing of the room for this one.
    idle.state = { state: 'ok', running: 40, queued: 0 }
    const service = serve(busy, idle)
    const gone = new AbortController()
    const asking = Array.from({ length: 8 }, () => chunksOf(service, asked(), gone.signal).catch(() => {}))
    await settle()
    expect([busy.requests.length, idle.requests.length]).toEqual([4, 4])
    gone.abort()
    await Promise.all(asking)
  })

  test('a model that nobody has is unknown, and the ones that there are are named', async () => {
    expect(await ask(serve(new ScriptedBackend('near')), { model: 'x' })).toMatchObject({
      code: 'model-unknown',
      message: 'no model is named x; there are: m',
    })
  })

  test('a name is shown once, as the first backend offers it', () => {
    const first = new ScriptedBackend('a', { models: [model('m', { task: 'chat' })] })
    expect(serve(first, new ScriptedBackend('b')).models()).toEqual(first.served)
  })

  test('inputs beyond the bound, and a deadline that is none, are bad input', async () => {
    const service = serve(new ScriptedBackend('near'))
    const big = { name: 'x', datatype: 'UINT8', shape: [1001], data: new Uint8Array(1001) } as const
    expect(await ask(service, { inputs: [big] })).toMatchObject({ code: 'bad-input' })
    for (const deadlineMs of [0, -1, Number.NaN, Number.POSITIVE_INFINITY])
      expect(await ask(service, { deadlineMs })).toMatchObject({ code: 'bad-input' })
  })
})

describe('[serving-3] trying again', () => {
  test('elsewhere at once, where there is another', async () => {
    const [a, b] = [new ScriptedBackend('a', always(retryable('run'))), new ScriptedBackend('b')]
    expect(await ask(serve(a, b))).toMatchObject({ route: 'b' })
    expect(clock.monotonicMs()).toBe(0)
    expect([a.requests.length, b.requests.length]).toEqual([1, 1])
  })

  test('at the same one after a back-off, three times in all', async () => {
    const only = new ScriptedBackend('only', always(retryable('engine-lost')))
    expect(await ask(serve(only))).toMatchObject({ code: 'engine-lost' })
    expect(only.requests).toHaveLength(3)
    expect(clock.monotonicMs()).toBeGreaterThanOrEqual(25 + 50)
    // Each attempt has what is left of the time, and an id of its own.
    const [first, second] = only.requests
    expect(second?.deadlineMs).toBeLessThan(first?.deadlineMs ?? 0)
    expect(second?.id).not.toBe(first?.id)
  })

  test('never once something was streamed: no word comes twice', async () => {
    const a = new ScriptedBackend('a', always(1, 2, retryable('engine-lost')))
    const b = new ScriptedBackend('b')
    const seen: number[] = []
    const error = await clock.run(async () => {
      try {
        for await (const { outputs } of serve(a, b).infer(asked(), never))
          seen.push(Number(outputs[0]?.data[0]))
      } catch (error) {
        return error
      }
    })
    expect([seen, (error as InferError).code, b.requests.length]).toEqual([[1, 2], 'engine-lost', 0])
  })

  test('not what may have begun and does not bear repeating; but what never began', async () => {
    const models = [model('m', { idempotent: false })]
    const lost = [
      new ScriptedBackend('a', { models, ...always(retryable('engine-lost')) }),
      new ScriptedBackend('b', { models }),
    ] as const
    expect(await ask(serve(...lost))).toMatchObject({ code: 'engine-lost' })
    expect(lost[1].requests).toEqual([])
    const full = [
      new ScriptedBackend('a', { models, ...always(retryable('overloaded')) }),
      new ScriptedBackend('b', { models }),
    ] as const
    expect(await ask(serve(...full))).toMatchObject({ route: 'b' })
  })

  test('what may have begun at a backend that is away by then is lost, not unavailable: its caller may not ask again', async () => {
    const a = new ScriptedBackend('a', { models: [model('m', { idempotent: false })] })
    a.script = () => {
      a.state = { state: 'away', reason: 'it crashed', running: 0, queued: 0 }
      return [retryable('engine-lost')]
    }
    expect(await ask(serve(a))).toMatchObject({ code: 'engine-lost' })
  })

  test.each(['bad-input', 'refused', 'run'] as const)(
    'not a mistake of the caller, or of the model (%s)',
    async (code) => {
      const a = new ScriptedBackend('a', always(new InferError(code, 'no')))
      const b = new ScriptedBackend('b')
      expect(await ask(serve(a, b))).toMatchObject({ code })
      expect([a.requests.length, b.requests.length]).toEqual([1, 0])
    },
  )

  test('not when the back-off, or the time that the server asks for, is longer than what is left', async () => {
    const only = new ScriptedBackend('only', always(retryable('overloaded', { retryAfterMs: 30_000 })))
    expect(await ask(serve(only), { deadlineMs: 5_000 })).toMatchObject({
      code: 'overloaded',
      retryAfterMs: 30_000,
    })
    expect(only.requests).toHaveLength(1)
    expect(clock.monotonicMs()).toBe(0)
  })

  test('a server that asks for more than two seconds is believed, and its caller told, not kept waiting here', async () => {
    const only = new ScriptedBackend('only', always(retryable('overloaded', { retryAfterMs: 2_001 })))
    const service = serve(only)
    expect(await ask(service, { deadlineMs: 600_000 })).toMatchObject({ retryAfterMs: 2_001 })
    expect([only.requests.length, clock.monotonicMs()]).toEqual([1, 0])
    only.script = () => [retryable('overloaded', { retryAfterMs: 1_500 })]
    await ask(service, { deadlineMs: 600_000 })
    expect([only.requests.length, clock.monotonicMs()]).toEqual([4, 3_000])
  })

  test('another one whose circuit is open is nowhere to go: the time that the server asks for holds', async () => {
    const ill = new ScriptedBackend('ill', always(retryable('unavailable')))
    const full = new ScriptedBackend('full', always(retryable('overloaded', { retryAfterMs: 1_500 })))
    const service = serve(ill, full)
    while (service.health().backends[0]?.open.length === 0) await ask(service)
    const before = [clock.monotonicMs(), full.requests.length] as const
    await ask(service)
    expect(full.requests.length - before[1]).toBeGreaterThan(1)
    const waitedMs = clock.monotonicMs() - before[0]
    expect(waitedMs).toBeGreaterThanOrEqual(1_500 * (full.requests.length - before[1] - 1))
  })

  test('not without a budget: where everything fails, retries are a tenth of the requests', async () => {
    const only = new ScriptedBackend('only', always(retryable('overloaded')))
    const service = serve(only)
    for (let n = 0; n < 200; n += 1) await ask(service)
    expect(only.requests.length).toBeLessThanOrEqual(200 * 1.1 + 10)
    expect(only.requests.length).toBeGreaterThan(200)
  })

  test('an answer that ends without its end is lost, not done', async () => {
    expect(await ask(serve(new ScriptedBackend('a', always(1, 'end'))))).toMatchObject({
      code: 'engine-lost',
    })
  })
})

describe('[serving-4] circuits', () => {
  test('a backend that keeps failing with a model is left alone, then tried, then used', async () => {
    const a = new ScriptedBackend('a', {
      models: [model('m'), model('n')],
      ...always(retryable('unavailable')),
    })
    const service = serve(a)
    while (service.health().backends[0]?.open.length === 0) await ask(service)
    const before = a.requests.length
    const refused = (await ask(service)) as InferError
    expect(refused).toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/failed lately at a/),
    })
    expect(refused.retryAfterMs).toBeGreaterThan(4_000)
    expect([a.requests.length, service.health().backends[0]?.open]).toEqual([before, ['m']])
    a.script = () => [{ final: 1 }]
    // Another model there is another matter.
    expect(await ask(service, { model: 'n' })).toMatchObject({ route: 'a' })
    clock.advance(5_000)
    expect(await ask(service)).toMatchObject({ route: 'a' })
    expect(service.health().backends[0]?.open).toEqual([])
  })

  test('an answer is a good one also where its reader leaves at the last chunk, as most do', async () => {
    const a = new ScriptedBackend('a')
    const service = serve(a)
    const last = () => clock.run(() => lastOf(service.infer(asked(), never)))
    for (let n = 0; n < 15; n += 1) await last()
    a.script = () => [new InferError('unavailable', 'for the test')]
    for (let n = 0; n < 5; n += 1) await ask(service)
    expect(service.health().backends[0]?.open).toEqual([])
    for (let n = 0; n < 15; n += 1) await ask(service)
    expect(service.health().backends[0]?.open).toEqual(['m'])
    clock.advance(60_000)
    a.script = () => [{ final: 1 }]
    await last()
    expect(service.health().backends[0]?.open).toEqual([])
  })

  test('bad input opens no circuit, and neither does a full backend', async () => {
    for (const code of ['bad-input', 'overloaded'] as const) {
      const service = serve(new ScriptedBackend('a', always(new InferError(code, 'no'))))
      for (let n = 0; n < 50; n += 1) expect(await ask(service)).toMatchObject({ code })
      expect(service.health().backends[0]?.open).toEqual([])
    }
  })

  test('a backend that hangs opens it; callers who have no patience do not', async () => {
    const hangs = new ScriptedBackend('a', always('hang'))
    const service = serve(hangs)
    for (let n = 0; n < 50; n += 1) await ask(service, { deadlineMs: 100 })
    expect(service.health().backends[0]?.open).toEqual([])
    for (let n = 0; n < 5; n += 1) await ask(service, { deadlineMs: 6_000 })
    expect(service.health().backends[0]?.open).toEqual(['m'])
    expect(hangs.cancelled).toBe(55)
  })
})

describe('[serving-5] time and leaving', () => {
  test('the deadline goes along, and whoever is late is cancelled there', async () => {
    const a = new ScriptedBackend('a', always('hang'))
    expect(await ask(serve(a), { deadlineMs: 700 })).toMatchObject({ code: 'deadline' })
    expect([a.requests[0]?.deadlineMs, a.cancelled, clock.monotonicMs()]).toEqual([700, 1, 700])
  })

  test('aborting cancels at the backend, and gives the place back', async () => {
    const a = new ScriptedBackend('a', always('hang'))
    const service = serve(a)
    const gone = new AbortController()
    const answer = chunksOf(service, asked(), gone.signal).catch((error: InferError) => error.code)
    await new Promise((resolve) => setImmediate(resolve))
    gone.abort()
    expect([await answer, a.cancelled]).toEqual(['cancelled', 1])
    expect(service.load()).toMatchObject([{ running: 0, queued: 0 }])
  })

  test('leaving the loop ends it there too', async () => {
    const a = new ScriptedBackend('a', always(1, 'hang'))
    const service = serve(a)
    for await (const chunk of service.infer(asked(), never)) {
      expect(chunk.final).toBe(false)
      break
    }
    await new Promise((resolve) => setImmediate(resolve))
    expect(a.ended).toBe(1)
    expect(service.load()).toMatchObject([{ running: 0, queued: 0 }])
  })

  test('a reader who does not come back, or is slow to read the end, holds no place', async () => {
    const a = new ScriptedBackend('a', always(1, 'hang'))
    const service = serve(a)
    const running = () => service.load()[0]?.running
    const stalled = service.infer(asked({ deadlineMs: 500 }), never)
    await stalled.next()
    expect(running()).toBe(1)
    clock.advance(500)
    expect([running(), a.cancelled]).toEqual([0, 0])
    await expect(stalled.next()).rejects.toMatchObject({ code: 'deadline' })
    a.script = () => [{ final: 1 }]
    const slow = service.infer(asked(), never)
    expect([(await slow.next()).value?.final, running()]).toEqual([true, 0])
    await slow.return()
  })

  test('a backend that ignores being cancelled holds up nobody', async () => {
    const deaf = new ScriptedBackend('deaf')
    deaf.infer = async function* () {
      await new Promise(() => {})
    }
    expect(await ask(serve(deaf), { deadlineMs: 300 })).toMatchObject({ code: 'deadline' })
  })

  test('closing tells everybody and closes the backends once', async () => {
    const a = new ScriptedBackend('a', always('hang'))
    const service = serve(a)
    const answer = chunksOf(service, asked()).catch((error: InferError) => error.code)
    await new Promise((resolve) => setImmediate(resolve))
    await Promise.all([service[Symbol.asyncDispose](), service[Symbol.asyncDispose]()])
    expect([await answer, a.closed]).toEqual(['engine-stopped', 1])
    expect(await ask(service)).toMatchObject({ code: 'engine-stopped' })
  })
})

describe('[serving-5] whatever becomes of a request, its place, its bytes and its backend are free afterwards', () => {
  const big = { name: 'x', datatype: 'UINT8', shape: [900], data: new Uint8Array(900) } as const
  const hung = new InferError('cancelled', 'for the test')
  test.each<[string, Script, number]>([
    ['an answer', () => [1, { final: 2 }], 5_000],
    ['a mistake of its caller', () => [new InferError('bad-input', 'no')], 5_000],
    ['a failure in the middle', () => [1, retryable('engine-lost')], 5_000],
    ['failures until nobody tries again', () => [retryable('run')], 5_000],
    ['an end without an answer', () => ['end'], 5_000],
    ['a mistake of ours', () => [1, new TypeError('for the test')], 5_000],
    ['its deadline', () => [1, 'hang'], 300],
    ['a backend that cancels by itself', () => [hung], 5_000],
  ])('%s', async (_what, script, deadlineMs) => {
    const a = new ScriptedBackend('a', { script })
    const service = serve(a)
    const taken: number[] = []
    const infer = a.infer.bind(a)
    a.infer = (...args) => {
      taken.push(service.load()[0]?.running ?? 0)
      return infer(...args)
    }
    // Twice as many as there are places, each with nearly all the bytes that there are.
    for (let n = 0; n < 8; n += 1) await ask(service, { inputs: [big], deadlineMs })
    expect([Math.max(...taken), service.load()[0]]).toEqual([
      1,
      expect.objectContaining({ running: 0, queued: 0 }),
    ])
    a.script = () => [{ final: 1 }]
    clock.advance(60_000)
    expect(await ask(service, { inputs: [big] })).toMatchObject({ route: 'a' })
  })

  test('one that may not leave', async () => {
    const service = serve(new ScriptedBackend('far', { reach: 'cloud' }))
    const deep = textTensor('x', `${'['.repeat(40)}"a"${']'.repeat(40)}`)
    expect(await ask(service, { inputs: [deep] })).toMatchObject({ code: 'bad-input' })
    expect(service.load()).toMatchObject([{ running: 0, queued: 0 }])
  })
})

test('[serving-6] load has what runs, what waits and quantiles of the time in the model, for the advert', async () => {
  const a = new ScriptedBackend('a', { models: [model('m', { loaded: false })] })
  const service = serve(a)
  expect(service.load()).toEqual([
    { model: 'm', queued: 0, running: 0, queueMs: 0, loaded: false, reach: 'site' },
  ])
  await ask(service)
  expect(service.load()).toEqual([
    { model: 'm', queued: 0, running: 0, queueMs: 0, p50Ms: 5, p95Ms: 5, loaded: false, reach: 'site' },
  ])
  clock.advance(5 * 60_000 + 1)
  expect(service.load()[0]?.p50Ms).toBeUndefined()
})

test('[serving-6] load has what loading took, and the price of the dearest place where it may run', () => {
  const models = (price?: number) => [model('m', { loaded: false, loadMs: 300, price })]
  const cloud = new ScriptedBackend('cloud', { reach: 'cloud', models: models(5) })
  const [near, dear] = [models(), models(0.02)].map(
    (served, at) => new ScriptedBackend(`near-${at}`, { models: served }),
  ) as [ScriptedBackend, ScriptedBackend]
  expect(serve(near).load()[0]).not.toHaveProperty('price')
  expect(serve(near, cloud).load()[0]).not.toHaveProperty('price')
  expect(serve(cloud, near, dear).load()).toMatchObject([{ reach: 'site', loadMs: 300, price: 0.02 }])
  expect(serve(cloud).load()).toMatchObject([{ reach: 'cloud', price: 5 }])
})

describe('[serving-12] what was decided goes along with the answer', () => {
  test('who answered, who did not, how long it waited and ran', async () => {
    const a = new ScriptedBackend('a', always(retryable('engine-lost')))
    const b = new ScriptedBackend('b', { script: () => [1, { final: 2 }] })
    const service = serve(a, b)
    const chunks = await clock.run(() => chunksOf(service, asked()))
    expect(chunks[0]).not.toHaveProperty('served')
    expect(chunks[1]?.served).toEqual({
      ...{
        backend: 'b',
        failed: [{ backend: 'a', code: 'engine-lost' }],
        cached: false,
        queueMs: 0,
        runMs: 0,
      },
    })
  })

  test('waiting for a place is one thing, being served the other; an answer that was kept took neither', async () => {
    const models = [model('m', { cacheS: 60 })]
    const a = new ScriptedBackend('a', { models, script: (_, call) => [call === 1 ? { final: 1 } : 'hang'] })
    const service = serve(a)
    await ask(service)
    const served = { backend: 'a', failed: [], cached: true, queueMs: 0, runMs: 0 }
    expect(await ask(service)).toMatchObject({ cached: true, served })
    for (const x of [2, 3, 4, 5]) void ask(service, { inputs: [number(x)], deadlineMs: 300 })
    a.script = (_, call) => [call <= 5 ? 'hang' : { final: 1 }]
    const waited = (await ask(service, { inputs: [number(6)] })) as InferChunk
    expect(waited.served).toEqual({ ...served, cached: false, queueMs: 300 })
  })
})

test('[serving-7] an answer that may be kept is given again without asking anybody; another question is not', async () => {
  const a = new ScriptedBackend('a', { models: [model('m', { cacheS: 60 })] })
  const service = serve(a)
  expect((await ask(service)) as InferChunk).not.toHaveProperty('cached')
  expect(await ask(service)).toMatchObject({ cached: true, route: 'a', outputs: [number(1)] })
  await ask(service, { inputs: [number(2)] })
  expect(a.requests).toHaveLength(2)
  clock.advance(60_001)
  await ask(service)
  expect(a.requests).toHaveLength(3)
})

test('[serving-7] what a cloud answered is never given for what the site would have', async () => {
  const models = [model('m', { cacheS: 60 })]
  const near = new ScriptedBackend('near', { models, script: () => [{ final: 1 }] })
  const cloud = new ScriptedBackend('cloud', { reach: 'cloud', models, script: () => [{ final: 2 }] })
  const service = serve(near, cloud)
  near.state = { ...near.state, state: 'away' }
  expect(await ask(service)).toMatchObject({ route: 'cloud', outputs: [number(2)] })
  expect(await ask(service)).toMatchObject({ cached: true, outputs: [number(2)] })
  near.state = { ...near.state, state: 'ok' }
  expect(await ask(service, { privacy: 'site' })).toMatchObject({ route: 'near', outputs: [number(1)] })
  expect(await ask(service)).toMatchObject({ cached: true, outputs: [number(1)] })
  expect([near.requests.length, cloud.requests.length]).toEqual([1, 1])
})
