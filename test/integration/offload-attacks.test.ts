/** What a hostile, broken or unlucky device, gateway or link does to requests, answers and tickets; over a real broker and real HTTP. */
import { once } from 'node:events'
import { createServer, request as httpRequest, type Server } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { chunkMessage } from '../../gateway/offload/answer-messages.ts'
import { type Clock, realClock, VirtualClock } from '../../runtime/base/clock.ts'
import { InferError, type Tensor } from '../../runtime/wire/infer.ts'
import {
  encodeMessage,
  inferMessage,
  parseMessage,
  type Reply,
  reply as replySchema,
  ticketMessage,
} from '../../runtime/wire/offload.ts'
import { type Heard, Peer, startAedes, type TestBroker } from '../fixtures/broker.ts'
import { echo, final, floats, never, part, ScriptedServing } from '../fixtures/serving.ts'
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
const infer = (from: TestDevice, model: string, inputs: readonly Tensor[] = [small], changes = {}) =>
  from.client.infer(asked(model, inputs, changes), anySignal())

/** A worker that says and hears what the test wants. */
async function scriptedWorker(name: string, idempotent = true) {
  const peer = stack.use(await Peer.connect(broker.url, [`ganglion/gateway/${name}/#`]))
  const model = { name: 'm', version: '1', reach: 'site', queueMs: 0, queued: 0, loaded: true }
  const advert = { v: 1, worker: name, models: [{ ...model, idempotent, price: 0 }] }
  const credits = { requests: 4, bytes: 64e6 }
  await peer.say(`ganglion/gateway/${name}/advert`, JSON.stringify({ ...advert, credits }), { retain: true })
  const hear = (ask: string) => peer.hear(ask, ({ topic }) => topic.includes(`/${ask}/`))
  return { peer, hear }
}

const idIn = ({ payload }: Heard) => {
  const parsed = parseMessage(inferMessage, payload)
  if (!parsed.ok) throw new Error(parsed.reason)
  return parsed.value
}

test('[offload-6] answers that are repeated, late, out of turn, or of nobody change nothing', async () => {
  const { peer, hear } = await scriptedWorker('w1')
  const from = await device()
  await offered(from, 'm')
  const answer = all(infer(from, 'm'))
  const { id, replyTo } = idIn(await hear('infer'))
  const say = (message: object) => peer.say(replyTo, encodeMessage(message))
  const chunk = { t: 'chunk', id, seq: 0, final: false, outputs: [small] }
  await say({ ...chunk, id: 'of-nobody', final: true, credits: { requests: 0, bytes: 0 } })
  await say({ t: 'ticket', id, ticket: 'A'.repeat(32) })
  await say(chunk)
  await say(chunk)
  const last = { ...chunk, seq: 1, final: true }
  await say(last)
  await say(last)
  await say({ t: 'failed', id, error: { code: 'run', message: 'after the end' } })
  expect((await answer).map((one) => one.final)).toEqual([false, true])
  expect(from.client.stats()).toMatchObject({ answered: 1, failed: 0, moved: 0, waiting: 0, unanswered: 0 })
  expect(from.link.stats().badMessages).toBe(0)
})

test('[offload-6] an answer with a gap is no answer: it is asked again', async () => {
  const { peer, hear } = await scriptedWorker('w1')
  const from = await device()
  await offered(from, 'm')
  const answer = all(infer(from, 'm'))
  const first = idIn(await hear('infer'))
  const chunk = { t: 'chunk', final: true, outputs: [small] }
  await peer.say(first.replyTo, encodeMessage({ ...chunk, id: first.id, seq: 1 }))
  const again = idIn(
    await peer.hear('it again', (m) => m.topic.includes('/infer/') && idIn(m).id !== first.id),
  )
  // The old attempt answers after all: nobody waits for that any more.
  await peer.say(first.replyTo, encodeMessage({ ...chunk, id: first.id, seq: 0, outputs: [large] }))
  await peer.say(again.replyTo, encodeMessage({ ...chunk, id: again.id, seq: 0 }))
  expect((await answer)[0]?.outputs).toEqual([small])
  expect(from.client.stats()).toMatchObject({ answered: 1, moved: 1 })
})

test('[offload-9] an answer that is retained or makes no sense is counted, and waited past', async () => {
  const { peer, hear } = await scriptedWorker('w1')
  const from = await device()
  await offered(from, 'm')
  const answer = all(infer(from, 'm'))
  const { id, replyTo } = idIn(await hear('infer'))
  await peer.say(replyTo, 'garbage')
  await peer.say(replyTo, encodeMessage({ t: 'chunk', id, seq: 0, final: true, outputs: [{ name: 'x' }] }))
  await eventually(() => expect(from.link.stats().badMessages).toBe(2))
  await peer.say(replyTo, encodeMessage({ t: 'chunk', id, seq: 0, final: true, outputs: [] }))
  expect(await answer).toHaveLength(1)
})

test('[offload-8] a device that sends rubbish is looked at a few times a second, and the others never notice', async () => {
  const serving = new ScriptedServing({ m: { answer: echo } })
  const w1 = await worker('w1', serving, { shares: { requestsPerDeviceMax: 4 } })
  const peer = stack.use(await Peer.connect(broker.url, []))
  const rubbish = Array.from({ length: 300 }, () =>
    peer.say('ganglion/gateway/w1/infer/mad', new Uint8Array(10_000)),
  )
  const good = await device()
  await offered(good, 'm')
  expect(await all(infer(good, 'm'))).toHaveLength(1)
  await Promise.all(rubbish)
  await eventually(() => expect(w1.bad).toHaveLength(300))
  expect(w1.bad[0]).not.toContain('more requests')
  expect(w1.listener.stats().dropped).toBeGreaterThan(200)
})

test('[offload-4] the clocks of device and gateway may differ by years', async () => {
  const years: Clock = {
    ...realClock,
    nowMs: () => realClock.nowMs() - 9e11,
    monotonicMs: () => realClock.monotonicMs() + 5e11,
  }
  const serving = new ScriptedServing({ echo: { answer: echo }, hold: { answer: never } })
  await worker('w1', serving)
  const from = await device({ clock: years })
  await offered(from, 'hold')
  expect(await all(infer(from, 'echo', [small], { deadlineMs: 5_000 }))).toHaveLength(1)
  expect(serving.began[0]?.deadlineMs).toBeGreaterThan(1_000)
  expect(serving.began[0]?.deadlineMs).toBeLessThanOrEqual(5_000)
  expect((await failure(infer(from, 'hold', [small], { deadlineMs: 200 }))).code).toBe('deadline')
})

/** All that one device may have there is one upload. */
const uploadBytes = 10_000
const shares = { requestsPerDeviceMax: 5_000, bytesPerDeviceMax: uploadBytes }

/** Asks `w1` for a ticket in the name of d9, whose one request it would be. */
async function ticketOf(options: Parameters<typeof openWorker>[3] = {}) {
  const serving = new ScriptedServing({ m: { answer: echo } })
  const w1 = await worker('w1', serving, { shares, ...options })
  const peer = stack.use(await Peer.connect(broker.url, ['ganglion/d9/reply/k']))
  const replies = () => peer.heard.map(({ payload }) => parseMessage(replySchema, payload))
  const askFor = async (id: string): Promise<Reply> => {
    const ask = { id, replyTo: 'ganglion/d9/reply/k', bytes: uploadBytes }
    await peer.say('ganglion/gateway/w1/ticket/d9', encodeMessage(ask))
    let found: Reply | undefined
    await peer.until('its ticket', () => {
      found = replies().flatMap((one) =>
        one.ok && 'id' in one.value && one.value.id === id ? [one.value] : [],
      )[0]
      return found !== undefined
    })
    return found as Reply
  }
  const given = await askFor('upload')
  if (given.t !== 'ticket') throw new Error('no ticket')
  const url = `${w1.http}/api/tickets/${given.ticket}`
  const body = (id = 'upload', replyTo = 'ganglion/d9/reply/k') => {
    const rest = { model: 'm', priority: 'interactive', deadlineMs: 5000, privacy: 'site', inputs: [small] }
    return Buffer.from(encodeMessage({ id, replyTo, ...rest }))
  }
  const put = (bytes: Buffer) =>
    fetch(url, {
      method: 'PUT',
      headers: { 'content-type': 'application/cbor' },
      body: new Uint8Array(bytes),
    })
  /** The device may ask again: what it had there was given back. */
  let asks = 0
  const creditIsBack = () =>
    vi.waitFor(async () => expect((await askFor(`again-${asks++}`)).t).toBe('ticket'), {
      timeout: 10_000,
    })
  return { w1, serving, peer, url, body, put, creditIsBack }
}

/** An upload that began, and of which the second half never comes. */
async function halfOf(url: string, bytes: Buffer) {
  const { hostname, port, pathname } = new URL(url)
  const socket: Socket = connect(Number(port), hostname)
  stack.defer(() => void socket.destroy())
  socket.on('error', () => {})
  await once(socket, 'connect')
  const closed = once(socket, 'close')
  const headers = ['host: localhost', 'content-type: application/cbor', `content-length: ${bytes.byteLength}`]
  socket.write(`PUT ${pathname} HTTP/1.1\r\n${headers.join('\r\n')}\r\nexpect: 100-continue\r\n\r\n`)
  const [answer] = await once(socket, 'data')
  expect(String(answer)).toContain('100 Continue')
  socket.write(bytes.subarray(0, 100))
  return { socket, closed }
}

test('[offload-12] the ticket of another device takes no request of mine', async () => {
  const { put, body, serving, creditIsBack } = await ticketOf()
  expect((await put(body('mine', 'ganglion/d8/reply/k'))).status).toBe(400)
  expect(serving.began).toHaveLength(0)
  await creditIsBack()
})

test('[offload-12] a smaller upload than announced is taken, and what it held is given back', async () => {
  const { put, body, serving, w1, creditIsBack } = await ticketOf()
  expect((await put(body())).status).toBe(202)
  await eventually(() => expect(w1.listener.stats().answered).toBe(1))
  expect(serving.began).toHaveLength(1)
  await creditIsBack()
})

test('[offload-12] an upload that breaks off runs nothing, and what it held is given back', async () => {
  const { url, body, serving, creditIsBack } = await ticketOf()
  const upload = await halfOf(url, body())
  upload.socket.destroy()
  await creditIsBack()
  expect(serving.began).toHaveLength(0)
})

test('[offload-12] an upload that drips is cut off, and what it held is given back', async () => {
  const { url, body, serving, creditIsBack } = await ticketOf({ tickets: { uploadMs: 100 } })
  const upload = await halfOf(url, body())
  await upload.closed
  await creditIsBack()
  expect(serving.began).toHaveLength(0)
})

test('[offload-3] a request that is given up while it is uploaded never runs', async () => {
  const { url, body, serving, peer, creditIsBack } = await ticketOf()
  const upload = await halfOf(url, body())
  await peer.say('ganglion/gateway/w1/cancel/d9', encodeMessage({ ids: ['upload'] }))
  await upload.closed
  await creditIsBack()
  expect(serving.began).toHaveLength(0)
})

test('[offload-3] a device that goes away leaves no ticket behind', async () => {
  const { put, body, peer, creditIsBack, serving } = await ticketOf()
  await peer.say('ganglion/d9/availability', 'offline')
  await creditIsBack()
  expect((await put(body())).status).toBe(404)
  expect(serving.began).toHaveLength(0)
})

test('[offload-5] a gateway that vanishes between its ticket and the upload never ran it: another is asked, whatever the model', async () => {
  const gone = createServer((_, response) => response.end(JSON.stringify({ worker: 'w1' })))
  gone.listen(0, '127.0.0.1')
  await once(gone, 'listening')
  const { peer, hear } = await scriptedWorker('w1', false)
  const from = await device({ gatewayUrls: [`http://127.0.0.1:${(gone.address() as AddressInfo).port}`] })
  await eventually(() => expect(from.client.offer('m', 'site')).toMatchObject({ bytesMax: 48 * 1024 * 1024 }))
  const stop = new AbortController()
  const failed = failure(from.client.infer(asked('m', [large]), stop.signal))
  const asking = parseMessage(ticketMessage, (await hear('ticket')).payload)
  if (!asking.ok) throw new Error(asking.reason)
  gone.closeAllConnections()
  await new Promise((resolve) => gone.close(resolve))
  const { id, replyTo } = asking.value
  await peer.say(replyTo, encodeMessage({ t: 'ticket', id, ticket: 'A'.repeat(32) }))
  await hear('cancel')
  // It waits for another one; a model that may not run twice would have failed had it run.
  expect(from.client.stats()).toMatchObject({ moved: 1, failed: 0, waiting: 1 })
  stop.abort()
  expect((await failed).code).toBe('cancelled')
})

test('[offload-5] a gateway that stops runs nothing more, and says so: it is asked elsewhere, whatever the model', async () => {
  const slow = Promise.withResolvers<void>()
  const serving = new ScriptedServing({
    m: {
      idempotent: false,
      // biome-ignore lint/correctness/useYield: it never answers
      async *answer() {
        await slow.promise
        throw new InferError('run', 'too late')
      },
    },
  })
  const w1 = await openWorker(broker.url, 'w1', serving)
  const from = await device()
  await offered(from, 'm')
  const first = failure(infer(from, 'm'))
  await eventually(() => expect(serving.running).toBe(1))
  const peer = stack.use(await Peer.connect(broker.url, ['ganglion/d9/reply/k']))
  const request = { id: 'late', replyTo: 'ganglion/d9/reply/k', model: 'm', priority: 'control' }
  const closing = w1.listener[Symbol.asyncDispose]()
  const rest = { deadlineMs: 5000, privacy: 'site', inputs: [] }
  await peer.say('ganglion/gateway/w1/infer/d9', encodeMessage({ ...request, ...rest }))
  const answer = await peer.hear('its answer', () => true)
  expect(parseMessage(replySchema, answer.payload)).toMatchObject({
    value: { error: { code: 'unavailable' } },
  })
  expect(serving.began).toHaveLength(1)
  slow.resolve()
  await closing
  await w1[Symbol.asyncDispose]()
  expect((await first).code).toBe('engine-lost')
})

/** The HTTP side of `target`, of whose answers the first ones break off. */
async function brokenPath(target: string, breaks: number): Promise<string> {
  let left = breaks
  const server: Server = createServer((request, response) => {
    const { method, url, headers } = request
    const onward = httpRequest(`${target}${url}`, { method: method ?? 'GET', headers }, (answer) => {
      const cut = method === 'GET' && url !== '/api/tickets/worker' && left > 0
      if (cut) left -= 1
      response.writeHead(answer.statusCode ?? 500, answer.headers)
      if (!cut) answer.pipe(response)
      else
        answer.once('data', (bytes: Buffer) => {
          answer.destroy()
          response.write(bytes.subarray(0, 10), () => response.destroy())
        })
    })
    onward.on('error', () => response.destroy())
    request.pipe(onward)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  stack.defer(() => void server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

test('[offload-12] an answer whose download breaks off is fetched again, and the model runs once', async () => {
  // Larger than what a socket takes at once: the gateway sees that it did not get through.
  const answer = floats('y', new Float32Array(4_000_000))
  const serving = new ScriptedServing({
    m: {
      idempotent: false,
      async *answer() {
        yield final(answer)
      },
    },
  })
  const w1 = await worker('w1', serving)
  const from = await device({ gatewayUrls: [await brokenPath(w1.http, 2)] })
  await offered(from, 'm')
  const [chunk] = await all(infer(from, 'm'))
  expect(chunk?.outputs[0]?.data).toHaveLength(4_000_000)
  expect(serving.began).toHaveLength(1)
})

test('an answer that could not reach the device is refused before the model runs, where its size is known', async () => {
  const outputs = [{ name: 'y', datatype: 'FP32' as const, shape: [1, 100_000] }]
  const serving = new ScriptedServing({ m: { answer: echo, outputs } })
  await worker('w1', serving)
  const from = await device()
  await offered(from, 'm')
  const error = await failure(infer(from, 'm'))
  expect(error.code).toBe('unavailable')
  expect(error.message).toMatch(/^an answer of m has 400000 bytes or more.*no HTTP address/)
  expect(serving.began).toHaveLength(0)
})

test('an answer that turns out too large for the device is said so, and the model is not run again for it', async () => {
  const serving = new ScriptedServing({
    m: {
      async *answer() {
        yield part(large)
        yield final()
      },
    },
  })
  await worker('w1', serving)
  const from = await device()
  await offered(from, 'm')
  const error = await failure(infer(from, 'm'))
  expect(error.code).toBe('run')
  expect(error.message).toMatch(/^the answer has 4000\d\d bytes, too many for a message.*no HTTP address/)
  expect(serving.began).toHaveLength(1)
})

test('[offload-5] an answer for which the gateway has no room did run: only a model that may run twice is asked elsewhere', () => {
  const refuse = () =>
    chunkMessage(
      { id: '', final: true, outputs: [large] },
      { id: 'r', seq: 0 },
      { device: 'd1', tickets: { keep: () => undefined } },
    )
  expect(refuse).toThrow(expect.objectContaining({ code: 'engine-lost', retryAfterMs: 1000 }))
})

test('a large request that no configured address takes says so', async () => {
  const serving = new ScriptedServing({ m: { answer: echo } })
  await worker('w1', serving)
  const clock = new VirtualClock()
  const from = await device({ clock, gatewayUrls: ['http://127.0.0.1:1'] })
  await offered(from, 'm')
  const failed = failure(infer(from, 'm', [large]))
  clock.advance(6_000)
  const error = await failed
  expect(error).toMatchObject({ code: 'unavailable', message: expect.stringContaining('HTTP address') })
})

test('what is no tensor is named before anything is sent', async () => {
  const serving = new ScriptedServing({ m: { answer: echo } })
  await worker('w1', serving)
  const from = await device()
  await offered(from, 'm')
  for (const wrong of [{ name: 'x' }, { ...small, shape: [7] }, undefined])
    expect(await failure(infer(from, 'm', [wrong as unknown as Tensor]))).toMatchObject({ code: 'bad-input' })
  expect(serving.began).toHaveLength(0)
})

test('what a gateway decided for a request comes with its answer', async () => {
  const served = { backend: 'b2', failed: [{ backend: 'b1', code: 'run' as const }], cached: false }
  const times = { queueMs: 1.5, runMs: 20 }
  const serving = new ScriptedServing({
    m: {
      async *answer() {
        yield { ...final(small), served: { ...served, ...times } }
      },
    },
  })
  await worker('w1', serving)
  const from = await device()
  await offered(from, 'm')
  const chunks = await all(infer(from, 'm'))
  expect(chunks.at(-1)?.served).toEqual({ ...served, ...times })
})
