/** What goes wrong between devices and gateways, provoked: workers that die, floods, slow readers. */
import { connectAsync } from 'mqtt'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Broker } from '../../gateway/broker/broker.ts'
import { realClock, VirtualClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { type InferChunk, InferError } from '../../runtime/wire/infer.ts'
import {
  advertLifeMs,
  encodeMessage,
  parseMessage,
  reply as replySchema,
  silentMsMax,
} from '../../runtime/wire/offload.ts'
import { Peer, startAedes, type TestBroker } from '../fixtures/broker.ts'
import { type Behaviour, echo, final, floats, never, part, ScriptedServing } from '../fixtures/serving.ts'
import {
  all,
  anySignal,
  asked,
  eventually,
  failure,
  offered,
  openDevice,
  openWorker,
  type TestDevice,
} from './offload-setup.ts'

const small = floats('x', new Float32Array(100))
const large = floats('x', new Float32Array(100_000))
let stack: AsyncDisposableStack
let broker: TestBroker

beforeEach(async () => {
  stack = new AsyncDisposableStack()
  broker = stack.use(await startAedes())
})
afterEach(() => stack.disposeAsync())

const worker = async (
  name: string,
  serving: ScriptedServing,
  options: Parameters<typeof openWorker>[3] = {},
) => stack.use(await openWorker(broker.url, name, serving, options))
const device = async (options: Parameters<typeof openDevice>[2] = {}) =>
  stack.use(await openDevice(broker.url, 'd1', options))
const infer = (from: TestDevice, model: string, changes: Parameters<typeof asked>[2] = {}) =>
  from.client.infer(asked(model, [small], changes), anySignal())
const bothThere = (from: TestDevice) =>
  eventually(() => expect(from.client.stats().workers.toSorted()).toEqual(['w1', 'w2']))

/** Parts as they are released, then the end. */
function staged(): { answer: Behaviour; release: (parts: number) => void } {
  let allowed = 0
  let wake = () => {}
  return {
    release(parts) {
      allowed += parts
      wake()
    },
    async *answer(_, signal) {
      signal.addEventListener('abort', () => wake())
      for (let sent = 0; sent < 3; sent += 1) {
        while (sent >= allowed && !signal.aborted)
          await new Promise<void>((resolve) => {
            wake = resolve
          })
        signal.throwIfAborted()
        yield sent === 2 ? final(small) : part(small)
      }
    },
  }
}

test('[offload-5] what a worker that stops had not answered, another one answers', async () => {
  const stuck = new ScriptedServing({ m: { answer: never } })
  const w1 = await worker('w1', stuck)
  const from = await device()
  await offered(from, 'm')
  const answers = Promise.all(Array.from({ length: 8 }, () => all(infer(from, 'm'))))
  await eventually(() => expect(stuck.running).toBe(8))
  const healthy = new ScriptedServing({ m: { answer: echo } })
  await worker('w2', healthy)
  await bothThere(from)
  await w1[Symbol.asyncDispose]()
  expect((await answers).map((chunks) => chunks.at(-1)?.route)).toEqual(Array(8).fill('gateway/w2'))
  expect(healthy.began).toHaveLength(8)
  expect(from.client.stats()).toMatchObject({ answered: 8, moved: 8, failed: 0, waiting: 0, unanswered: 0 })
})

test('[offload-5] a model that may not run twice fails honestly when its worker stops', async () => {
  const stuck = new ScriptedServing({ m: { answer: never, idempotent: false } })
  const w1 = await worker('w1', stuck)
  const from = await device()
  await offered(from, 'm')
  const failed = failure(infer(from, 'm'))
  await eventually(() => expect(stuck.running).toBe(1))
  const other = new ScriptedServing({ m: { answer: echo, idempotent: false } })
  await worker('w2', other)
  await bothThere(from)
  await w1[Symbol.asyncDispose]()
  const error = await failed
  expect(error.code).toBe('engine-lost')
  expect(error.message).toContain('may not run twice')
  expect(other.began).toHaveLength(0)
})

test('[offload-5] one that was refused never ran, and is asked elsewhere whatever its model', async () => {
  const busy = new ScriptedServing({
    m: {
      idempotent: false,
      // biome-ignore lint/correctness/useYield: it refuses before its first chunk
      async *answer() {
        throw new InferError('overloaded', 'the queue is full', { retryAfterMs: 60_000 })
      },
    },
  })
  await worker('w1', busy)
  const from = await device()
  await offered(from, 'm')
  const alone = await failure(infer(from, 'm'))
  expect(alone).toMatchObject({ code: 'overloaded', retryAfterMs: 60_000 })
  await worker('w2', new ScriptedServing({ m: { answer: echo, idempotent: false } }))
  await bothThere(from)
  const routes = await Promise.all(Array.from({ length: 4 }, () => all(infer(from, 'm'))))
  expect(routes.map((chunks) => chunks[0]?.route)).toEqual(Array(4).fill('gateway/w2'))
})

test('[offload-6] a worker that vanishes in the middle of an answer is an honest error, and nothing is said twice', async () => {
  const one = staged()
  const serving = new ScriptedServing({ m: { answer: one.answer } })
  const w1 = await worker('w1', serving)
  const other = new ScriptedServing({ m: { answer: echo } })
  const from = await device()
  await offered(from, 'm')
  const chunks = infer(from, 'm')[Symbol.asyncIterator]()
  one.release(1)
  expect((await chunks.next()).value).toMatchObject({ final: false })
  await worker('w2', other)
  await bothThere(from)
  await w1[Symbol.asyncDispose]()
  const error: InferError = await chunks.next().then(
    () => expect.fail('it went on'),
    (thrown: InferError) => thrown,
  )
  expect(error.code).toBe('engine-lost')
  expect(error.message).toContain('in the middle of the answer')
  expect(other.began).toHaveLength(0)
})

test('[offload-6] an answer of which nothing was read starts over, and its reader never knows', async () => {
  const one = staged()
  const serving = new ScriptedServing({ m: { answer: one.answer } })
  const w1 = await worker('w1', serving)
  const from = await device()
  await offered(from, 'm')
  const chunks = infer(from, 'm')[Symbol.asyncIterator]()
  const first = chunks.next()
  await eventually(() => expect(serving.running).toBe(1))
  await worker('w2', new ScriptedServing({ m: { answer: echo } }))
  await bothThere(from)
  await w1[Symbol.asyncDispose]()
  expect((await first).value).toMatchObject({ final: true, route: 'gateway/w2' })
})

test('[offload-7] a device never has more unanswered than its credits, and the rest waits its turn', async () => {
  const gates: (() => void)[] = []
  let unanswered = 0
  let unansweredMax = 0
  const serving = new ScriptedServing({
    m: {
      async *answer() {
        unanswered += 1
        unansweredMax = Math.max(unansweredMax, unanswered)
        await new Promise<void>((resolve) => gates.push(resolve))
        unanswered -= 1
        yield final()
      },
    },
  })
  const w1 = await worker('w1', serving, { shares: { requestsPerDeviceMax: 3 } })
  const from = await device()
  await offered(from, 'm')
  const answers = Array.from({ length: 10 }, () => all(infer(from, 'm')))
  for (let answered = 0; answered < 10; answered += 1) {
    await eventually(() => expect(gates.length).toBeGreaterThan(0))
    gates.shift()?.()
    await Promise.race(answers)
  }
  await Promise.all(answers)
  expect(unansweredMax).toBe(3)
  await eventually(() => expect(w1.listener.stats()).toMatchObject({ refused: 0, dropped: 0, answered: 10 }))
})

test('[offload-7] a slow gateway fills no memory: beyond the bound it is overloaded at once, background first', async () => {
  const serving = new ScriptedServing({ m: { answer: never } })
  await worker('w1', serving, { shares: { requestsPerDeviceMax: 1 } })
  const from = await device({ requestsMax: 3 })
  await offered(from, 'm')
  const stop = new AbortController()
  const ask = (priority: 'background' | 'interactive') =>
    failure(from.client.infer(asked('m', [small], { priority }), stop.signal))
  const first = ask('interactive')
  await eventually(() => expect(serving.running).toBe(1))
  const background = ask('background')
  const second = ask('interactive')
  expect(from.client.stats()).toMatchObject({ waiting: 2, unanswered: 1 })
  const third = ask('interactive')
  expect(await background).toMatchObject({ code: 'overloaded', retryAfterMs: 1000 })
  expect((await ask('interactive')).code).toBe('overloaded')
  expect(from.client.stats()).toMatchObject({ waiting: 2, unanswered: 1 })
  stop.abort()
  expect((await Promise.all([first, second, third])).map(({ code }) => code)).toEqual(
    Array(3).fill('cancelled'),
  )
  expect(from.client.stats()).toMatchObject({ waiting: 0, unanswered: 0, bytes: 0 })
})

test('[offload-8] a device that floods is told so, then ignored; the others never notice', async () => {
  const held = new ScriptedServing({ hold: { answer: never }, echo: { answer: echo } })
  const w1 = await worker('w1', held, { shares: { requestsPerDeviceMax: 4 } })
  const peer = stack.use(await Peer.connect(broker.url, ['ganglion/mad/reply/k']))
  const message = (n: number) =>
    encodeMessage({
      id: `flood-${n}`,
      replyTo: 'ganglion/mad/reply/k',
      model: 'hold',
      priority: 'control',
      deadlineMs: 20_000,
      privacy: 'site',
      inputs: [],
    })
  const flood = Array.from({ length: 500 }, (_, n) => peer.say('ganglion/gateway/w1/infer/mad', message(n)))
  const good = await device()
  await offered(good, 'echo')
  for (let n = 0; n < 20; n += 1) expect(await all(infer(good, 'echo'))).toHaveLength(1)
  await Promise.all(flood)
  await eventually(() => {
    const { refused, dropped } = w1.listener.stats()
    expect(refused + dropped).toBe(496)
  })
  const { refused, dropped, running } = w1.listener.stats()
  expect(running).toBe(4)
  expect(dropped).toBeGreaterThan(refused)
  expect(w1.bad.length).toBe(dropped)
  await peer.until('the refusals', () => peer.heard.length >= refused)
  const told = peer.heard.map(({ payload }) => parseMessage(replySchema, payload))
  const refusal = told.find((one) => one.ok && one.value.t === 'failed')
  expect(refusal).toMatchObject({ ok: true, value: { error: { code: 'overloaded', retryAfterMs: 1000 } } })
})

test('[offload-8] many who ask for large tickets and never send keep nobody out', async () => {
  const w1 = await worker('w1', new ScriptedServing({ m: { answer: echo } }), {
    shares: { bytesMax: 1_000_000, bytesPerDeviceMax: 500_000 },
  })
  const idle = ['i1', 'i2', 'i3', 'i4', 'i5', 'i6']
  const peer = stack.use(
    await Peer.connect(
      broker.url,
      idle.map((id) => `ganglion/${id}/reply/k`),
    ),
  )
  for (const id of idle) {
    const ask = { id: `t-${id}`, replyTo: `ganglion/${id}/reply/k`, bytes: 490_000 }
    await peer.say(`ganglion/gateway/w1/ticket/${id}`, encodeMessage(ask))
  }
  await peer.until('six tickets', () => peer.heard.length >= idle.length)
  const given = peer.heard.map(({ payload }) => parseMessage(replySchema, payload))
  expect(given.map((one) => one.ok && one.value.t)).toEqual(Array(idle.length).fill('ticket'))
  const good = await device({ gatewayUrls: [w1.http] })
  await offered(good, 'm')
  expect(await all(good.client.infer(asked('m', [large]), anySignal()))).toHaveLength(1)
})

test('[offload-8] a reader that falls behind loses its answer, not our memory', async () => {
  const piece = floats('y', new Float32Array(25_000))
  const serving = new ScriptedServing({
    m: {
      async *answer() {
        for (let n = 0; n < 2000; n += 1) yield part(piece)
        yield final()
      },
    },
  })
  await worker('w1', serving)
  const from = await device()
  await offered(from, 'm')
  const chunks: AsyncIterator<InferChunk> = infer(from, 'm')[Symbol.asyncIterator]()
  await chunks.next()
  await eventually(() => expect(from.client.stats().unanswered).toBe(0))
  await expect(chunks.next()).rejects.toMatchObject({ code: 'overloaded' })
  await eventually(() => expect(serving.running).toBe(0))
})

test('[offload-10] what is labelled device never leaves it, and is refused by a gateway that gets it all the same', async () => {
  const serving = new ScriptedServing({ m: { answer: echo } })
  await worker('w1', serving)
  const from = await device()
  await offered(from, 'm')
  expect((await failure(infer(from, 'm', { privacy: 'device' }))).code).toBe('refused')
  const peer = stack.use(await Peer.connect(broker.url, ['ganglion/d9/reply/k']))
  const request = { id: 'private', replyTo: 'ganglion/d9/reply/k', model: 'm', priority: 'control' }
  await peer.say(
    'ganglion/gateway/w1/infer/d9',
    encodeMessage({ ...request, deadlineMs: 1000, privacy: 'device', inputs: [small] }),
  )
  const answer = await peer.hear('the refusal', () => true)
  expect(parseMessage(replySchema, answer.payload)).toMatchObject({ value: { error: { code: 'refused' } } })
  expect(serving.began).toHaveLength(0)
})

test('a label may be tightened by the gateway, and never loosened', async () => {
  const serving = new ScriptedServing({
    tight: {
      async *answer() {
        yield { ...final(), privacy: 'site' }
      },
    },
    loose: {
      async *answer() {
        yield { ...final(), privacy: 'cloud' }
      },
    },
  })
  await worker('w1', serving)
  const from = await device()
  await offered(from, 'tight')
  const [tight] = await all(infer(from, 'tight', { privacy: 'cloud' }))
  const [loose] = await all(infer(from, 'loose', { privacy: 'site' }))
  expect([tight?.privacy, loose?.privacy]).toEqual(['site', 'site'])
})

test('models that run in the cloud only are another route', async () => {
  await worker('w1', new ScriptedServing({ m: { answer: echo, load: { reach: 'cloud', price: 0.01 } } }))
  const from = await device()
  await eventually(() => expect(from.client.offer('m', 'cloud')).toMatchObject({ usable: true, price: 0.01 }))
  expect(from.client.offer('m', 'site')).toMatchObject({
    usable: false,
    whyNot: 'the gateways run m in the cloud',
  })
  expect((await failure(infer(from, 'm'))).code).toBe('unavailable')
  const cloud = from.client.infer(asked('m', [small]), anySignal(), 'cloud')
  expect((await failure(cloud)).code).toBe('refused')
})

test('[offload-11] a large request goes to the configured address alone, and nowhere where there is none', async () => {
  const serving = new ScriptedServing({ m: { answer: echo } })
  await worker('w1', serving)
  const from = await device()
  await offered(from, 'm')
  const error = await failure(from.client.infer(asked('m', [large]), anySignal()))
  expect(error.message).toContain('no HTTP address of a gateway is configured')
})

test('[offload-11] of two workers a large request goes to one whose address answers', async () => {
  const one = new ScriptedServing({ m: { answer: echo } })
  const two = new ScriptedServing({ m: { answer: echo } })
  await worker('w1', one)
  const second = await worker('w2', two)
  const from = await device({ gatewayUrls: [second.http, 'http://127.0.0.1:1'] })
  await bothThere(from)
  for (let n = 0; n < 4; n += 1)
    expect(await all(from.client.infer(asked('m', [large]), anySignal()))).toMatchObject([
      { route: 'gateway/w2' },
    ])
  expect(one.began).toHaveLength(0)
})

test('[broker-8] where a broker has users only gateways offer inference, and read what devices ask', async () => {
  const users = [
    { username: 'home', password: 'a-password' },
    { username: 'second', password: 'another-one', gateway: true },
  ]
  const guarded = stack.use(
    await Broker.open(
      { clock: realClock, log: silentLog },
      { host: '127.0.0.1', port: 0, users, base: 'ganglion' },
      anySignal(),
    ),
  )
  const as = (user: number) =>
    guarded.url.replace('mqtt://', `mqtt://${users[user]?.username}:${users[user]?.password}@`)
  const serving = new ScriptedServing({ m: { answer: echo } })
  stack.use(await openWorker(guarded.url, 'w1', serving, { username: 'second', password: 'another-one' }))
  const from = stack.use(await openDevice(as(0), 'd1'))
  const curious = await connectAsync(as(0), { clientId: 'curious', reconnectPeriod: 0 })
  stack.defer(() => curious.endAsync(true).then(() => {}))
  const heard: string[] = []
  curious.on('message', (topic) => heard.push(topic))
  await curious.subscribeAsync('#', { qos: 1 })
  await offered(from, 'm')
  expect(await all(infer(from, 'm'))).toHaveLength(1)
  await curious.publishAsync('ganglion/mark', 'x', { qos: 1 })
  await eventually(() => expect(heard).toContain('ganglion/mark'))
  expect(heard).toContain('ganglion/gateway/w1/advert')
  expect(heard.filter((topic) => topic.includes('/infer/'))).toEqual([])
  // A forged advert is a violation: it closes the connection.
  const closed = new Promise<void>((resolve) => curious.once('close', () => resolve()))
  curious.publish('ganglion/gateway/evil/advert', '{}', { qos: 0, retain: true })
  await closed
  expect(from.client.stats().workers).toEqual(['w1'])
})

test('[offload-5] a worker that is silent about a request has lost it; one that speaks of it has not', async () => {
  const clock = new VirtualClock()
  const from = await device({ clock })
  // Advertises, and hears nothing of what it is asked.
  const deaf = stack.use(await Peer.connect(broker.url, ['ganglion/gateway/deaf/#']))
  const model = { name: 'm', version: '1', reach: 'site', queueMs: 0, queued: 0, loaded: true }
  const models = [{ ...model, idempotent: true, price: 0 }]
  const value = { v: 1, worker: 'deaf', models, credits: { requests: 4, bytes: 1e6 } }
  await deaf.say('ganglion/gateway/deaf/advert', JSON.stringify(value), { retain: true })
  await offered(from, 'm')
  const answer = all(infer(from, 'm', { deadlineMs: 60_000 }))
  await deaf.hear('the request', (m) => m.topic === 'ganglion/gateway/deaf/infer/d1')
  const gates: (() => void)[] = []
  const serving = new ScriptedServing({
    m: {
      async *answer() {
        await new Promise<void>((resolve) => gates.push(resolve))
        yield final()
      },
    },
  })
  await worker('w1', serving)
  const sniffer = stack.use(await Peer.connect(broker.url, ['ganglion/d1/reply/#']))
  await eventually(() => expect(from.client.stats().workers).toContain('w1'))
  clock.advance(silentMsMax + 1000)
  await eventually(() => expect(serving.running).toBe(1))
  expect(from.client.stats().moved).toBe(1)
  await deaf.hear('that nobody waits', (m) => m.topic === 'ganglion/gateway/deaf/cancel/d1')
  const signs = () => sniffer.heard.filter(({ payload }) => payload.length > 1)
  for (let heard = 1; heard <= 2; heard += 1) {
    clock.advance(silentMsMax - 1000)
    await sniffer.until('a sign of life', () => signs().length >= heard)
    // The device has read it once it has complained of what came behind it.
    await sniffer.say(String(signs()[0]?.topic), '?')
    await eventually(() => expect(from.link.stats().badMessages).toBe(heard))
  }
  expect(from.client.stats().moved).toBe(1)
  gates[0]?.()
  expect((await answer)[0]?.route).toBe('gateway/w1')
})

test('[offload-2] a worker whose adverts cease is not there any more', async () => {
  const clock = new VirtualClock()
  const from = await device({ clock })
  await worker('w1', new ScriptedServing({ m: { answer: echo } }))
  await offered(from, 'm')
  clock.advance(advertLifeMs + 1)
  expect(from.client.offer('m', 'site')).toMatchObject({ usable: false, whyNot: 'no gateway offers m' })
  expect((await failure(infer(from, 'm'))).code).toBe('unavailable')
})
