/** Tickets of large requests, misused over real HTTP. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { encodeMessage, parseMessage, reply as replySchema } from '../../runtime/wire/offload.ts'
import { Peer, startAedes, type TestBroker } from '../fixtures/broker.ts'
import { echo, floats, ScriptedServing } from '../fixtures/serving.ts'
import { eventually, openWorker } from './offload-setup.ts'

const small = floats('x', new Float32Array(100))
let stack: AsyncDisposableStack
let broker: TestBroker

beforeEach(async () => {
  stack = new AsyncDisposableStack()
  broker = stack.use(await startAedes())
})
afterEach(() => stack.disposeAsync())

/** Asks w1 for a ticket in the name of d9; the worker's lives `lifeMs`. */
async function ticketFor(bytes: number, lifeMs?: number) {
  const serving = new ScriptedServing({ m: { answer: echo } })
  const limits = lifeMs === undefined ? {} : { tickets: { lifeMs } }
  const options = { shares: { requestsPerDeviceMax: 1 }, ...limits }
  const w1 = stack.use(await openWorker(broker.url, 'w1', serving, options))
  const peer = stack.use(await Peer.connect(broker.url, ['ganglion/d9/reply/k']))
  const ask = { id: 'upload', replyTo: 'ganglion/d9/reply/k' }
  await peer.say('ganglion/gateway/w1/ticket/d9', encodeMessage({ ...ask, bytes }))
  const answer = await peer.hear('the ticket', () => true)
  const parsed = parseMessage(replySchema, answer.payload)
  if (!parsed.ok) throw new Error(parsed.reason)
  const ticket = parsed.value.t === 'ticket' ? parsed.value.ticket : ''
  const request = {
    ...ask,
    model: 'm',
    priority: 'interactive',
    deadlineMs: 5000,
    privacy: 'site',
    inputs: [small],
  }
  const put = (body: Uint8Array, id = ticket) =>
    fetch(`${w1.http}/api/tickets/${id}`, {
      method: 'PUT',
      headers: { 'content-type': 'application/cbor' },
      body: Buffer.from(body),
    }).then(({ status }) => status)
  return { w1, serving, peer, parsed: parsed.value, put, request, ask }
}

test('[offload-12] a ticket is good once', async () => {
  const { put, request, serving, peer } = await ticketFor(10_000)
  expect(await put(encodeMessage(request))).toBe(202)
  await peer.until('the answer', () => peer.heard.length === 2)
  expect(await put(encodeMessage(request))).toBe(404)
  expect(serving.began).toHaveLength(1)
})

test('[offload-12] a guessed ticket is none, and is counted', async () => {
  const { put, request, w1, serving } = await ticketFor(10_000)
  expect(await put(encodeMessage(request), 'A'.repeat(32))).toBe(404)
  expect(w1.listener.stats().ticketsRefused).toBe(1)
  expect(serving.began).toHaveLength(0)
})

test('[offload-12] more than was announced is refused, and so is another request than the one announced', async () => {
  const { put, request, w1, serving } = await ticketFor(200)
  expect(await put(encodeMessage(request))).toBe(413)
  expect(serving.began).toHaveLength(0)
  await w1[Symbol.asyncDispose]()
})

test('[offload-12] a ticket takes the request that it was asked for', async () => {
  const { put, request, serving } = await ticketFor(10_000)
  expect(await put(encodeMessage({ ...request, replyTo: 'ganglion/d9/reply/other' }))).toBe(400)
  expect(serving.began).toHaveLength(0)
})

test('[offload-12] a ticket that is never used expires, and gives back what it held', async () => {
  const { put, request, peer, ask } = await ticketFor(10_000, 50)
  await eventually(() => {
    void peer.say(
      'ganglion/gateway/w1/ticket/d9',
      encodeMessage({ ...ask, id: `again-${peer.heard.length}`, bytes: 10 }),
    )
    const kinds = peer.heard.map(({ payload }) => {
      const parsed = parseMessage(replySchema, payload)
      return parsed.ok ? parsed.value.t : ''
    })
    expect(kinds.filter((kind) => kind === 'ticket').length).toBeGreaterThan(1)
  })
  expect(await put(encodeMessage(request))).toBe(404)
})

test('[offload-12] a gigabyte gets no ticket', async () => {
  const { parsed } = await ticketFor(1024 ** 3)
  expect(parsed).toMatchObject({ t: 'failed', error: { code: 'bad-input' } })
})
