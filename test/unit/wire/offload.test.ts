/** Messages between devices and the workers of gateways, and their topics. */
import { describe, expect, test } from 'vitest'
import { encodeCbor } from '../../../runtime/wire/cbor.ts'
import type { Tensor } from '../../../runtime/wire/infer.ts'
import { check } from '../../../runtime/wire/messages.ts'
import {
  advert,
  encodeMessage,
  inferMessage,
  parseAdvert,
  parseMessage,
  reply,
  tensorBytes,
  ticketMessage,
} from '../../../runtime/wire/offload.ts'
import { Topics } from '../../../runtime/wire/topics.ts'

const tensors: Tensor[] = [
  { name: 'a', datatype: 'FP32', shape: [2], data: Float32Array.of(1.5, -0) },
  { name: 'b', datatype: 'INT64', shape: [1], data: BigInt64Array.of(-(2n ** 62n)) },
  { name: 'c', datatype: 'BYTES', shape: [2], data: ['', 'grün'] },
]
const request = {
  id: 'r-1',
  replyTo: 'ganglion/d1/reply/k',
  model: 'm',
  priority: 'control',
  deadlineMs: 12.5,
  privacy: 'site',
  inputs: tensors,
}

describe('offload messages', () => {
  test('[wire-4] a request arrives as it was sent, and unknown fields are ignored', () => {
    const parsed = parseMessage(inferMessage, encodeMessage({ ...request, hue: 1, parameters: { k: true } }))
    expect(parsed).toEqual({ ok: true, value: { v: 1, ...request, parameters: { k: true } } })
  })

  test.each([
    ['another version', { v: 2 }, 'v: '],
    ['no id', { id: undefined }, 'id'],
    ['an id that climbs', { id: '../x' }, 'id: is not an id'],
    ['a negative deadline', { deadlineMs: -1 }, 'deadlineMs'],
    ['a deadline that is no number', { deadlineMs: Number.NaN }, 'deadlineMs'],
    ['a label that is none', { privacy: 'galaxy' }, 'privacy'],
    ['inputs that are no list', { inputs: 7 }, 'inputs'],
    ['a parameter that is an object', { parameters: { k: {} } }, 'parameters.k'],
  ])('[wire-5] %s refuses the message with a line that names it', (_, change, words) => {
    const parsed = parseMessage(inferMessage, encodeMessage({ ...request, ...change }))
    expect(parsed).toMatchObject({ ok: false, reason: expect.stringContaining(words) })
  })

  test('[wire-3] a message over the limit is refused unread', () => {
    const parsed = parseMessage(inferMessage, new Uint8Array(128 * 1024 + 1))
    expect(parsed).toMatchObject({ ok: false, reason: expect.stringContaining('more than') })
  })

  test('a chunk has outputs that are tensors', () => {
    const chunk = { t: 'chunk', id: 'r-1', seq: 0, final: true }
    expect(parseMessage(reply, encodeMessage({ ...chunk, outputs: tensors }))).toMatchObject({ ok: true })
    const wrong = [{ ...tensors[0], shape: [3] }]
    expect(parseMessage(reply, encodeMessage({ ...chunk, outputs: wrong }))).toMatchObject({ ok: false })
    expect(parseMessage(reply, encodeMessage({ ...chunk, seq: -1 }))).toMatchObject({ ok: false })
  })

  test('a ticket is asked for with a size', () => {
    const ask = { id: 'r-1', replyTo: 'ganglion/d1/reply/k' }
    expect(parseMessage(ticketMessage, encodeMessage({ ...ask, bytes: 10 }))).toMatchObject({ ok: true })
    expect(parseMessage(ticketMessage, encodeMessage({ ...ask, bytes: 0 }))).toMatchObject({ ok: false })
  })

  test('an advert is JSON, of a worker whose id is a topic level of its own', () => {
    const model = {
      name: 'm',
      version: '',
      reach: 'site',
      queueMs: 0,
      queued: 0,
      loaded: true,
      idempotent: true,
      price: 0,
    }
    const value = { v: 1, worker: 'w1', models: [model], credits: { requests: 1, bytes: 1 } }
    expect(parseAdvert(Buffer.from(JSON.stringify(value)))).toEqual({ ok: true, value })
    expect(check(advert, { ...value, worker: 'state' })).toMatchObject({ ok: false })
    expect(check(advert, { ...value, models: [{ ...model, queueMs: -1 }] })).toMatchObject({ ok: false })
    expect(parseAdvert(Buffer.from('{'))).toMatchObject({ ok: false })
  })

  test('the size of tensors is never told too small, so that a ticket asked for by it has room', () => {
    const texts: Tensor = { name: 't', datatype: 'BYTES', shape: [3], data: ['€'.repeat(1000), 'x', ''] }
    for (const list of [tensors, [texts], [], tensors.slice(0, 1)])
      expect(tensorBytes(list) + 16).toBeGreaterThanOrEqual(encodeCbor(list).byteLength)
  })
})

describe('[wire-1] topics of gateways', () => {
  const topics = new Topics('site/one')

  test('what is built is read back', () => {
    expect(topics.parseGateway(topics.gatewayAdvert('w1'))).toEqual({ kind: 'advert', worker: 'w1' })
    for (const kind of ['infer', 'ticket', 'cancel'] as const)
      expect(topics.parseGateway(topics.gatewayAsk('w1', kind, 'd1'))).toEqual({
        kind,
        worker: 'w1',
        device: 'd1',
      })
    expect(topics.replyOf(topics.reply('d1'))).toBe('d1')
    expect(topics.replyOf(topics.reply('d1', 'key'))).toBe('d1')
  })

  test.each([
    'site/one/gateway/w1',
    'site/one/gateway/w1/advert/x',
    'site/one/gateway/w1/infer',
    'site/one/gateway/w1/infer/',
    'site/one/gateway/w1/infer/d1/x',
    'site/one/gateway/state/advert',
    'site/one/other/w1/advert',
    'site/two/gateway/w1/advert',
  ])('%s is none of them', (topic) => {
    expect(topics.parseGateway(topic)).toBeUndefined()
  })

  test('[wire-2] a worker cannot be called like a level that means something else, nor climb', () => {
    for (const worker of ['state', 'set', 'reply', 'a/b', '#', ''])
      expect(() => topics.gatewayAdvert(worker)).toThrow('not a worker id')
  })

  test.each(['site/one/d1/reply/a/b', 'site/one/d1/set/x', 'site/one/d1/reply/', 'x/d1/reply'])(
    '%s is no reply topic',
    (topic) => {
      expect(topics.replyOf(topic)).toBeUndefined()
    },
  )
})
