/** The broker survives whatever bytes arrive, and what is torn off in the middle. */
import fc from 'fast-check'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { Broker } from '../../gateway/broker/broker.ts'
import {
  connectPacket,
  openBroker,
  openClient,
  packet,
  publishPacket,
  RawClient,
  string,
  subscribePacket,
  until,
} from './broker-raw.ts'

let broker: Broker
beforeEach(async () => {
  broker = await openBroker()
})
afterEach(() => broker[Symbol.asyncDispose]())

async function send(bytes: Uint8Array): Promise<void> {
  using client = await RawClient.open(broker.port)
  client.socket.end(bytes)
  await client.untilClosed()
}

async function expectServing(): Promise<void> {
  const client = await openClient(broker.url, { clientId: 'honest' })
  const heard = new Promise((resolve) =>
    client.once('message', (_topic, payload) => resolve(payload.toString())),
  )
  await client.subscribeAsync('alive', { qos: 1 })
  await client.publishAsync('alive', 'yes', { qos: 1 })
  expect(await heard).toBe('yes')
  await client.endAsync()
}

const id = fc.constantFrom('a', 'b', 'honest2')
const topic = fc.oneof(
  fc.constantFrom('t', 't/u', '#', '+/u', '$share/g/t', ''),
  fc.string({ maxLength: 20 }),
)
const messageId = fc.nat({ max: 3 }).map((n) => Buffer.from([0, n]))
const wellFormed = fc.oneof(
  fc.record({ id, clean: fc.boolean(), keepaliveS: fc.nat({ max: 65_535 }) }).map(connectPacket),
  fc.record({ id, willTopic: topic }).map(connectPacket),
  fc.tuple(topic, fc.string({ maxLength: 50 })).map(([of, payload]) => publishPacket(of, payload)),
  fc
    .tuple(fc.constantFrom(0x32, 0x33, 0x34, 0x3b), topic, messageId)
    .map(([first, of, mid]) => packet(first, string(of), mid)),
  fc
    .tuple(fc.array(topic, { maxLength: 5 }), fc.nat({ max: 3 }))
    .map(([of, qos]) => subscribePacket(of, qos)),
  fc
    .tuple(fc.array(topic, { maxLength: 5 }), messageId)
    .map(([of, mid]) => packet(0xa2, mid, ...of.map(string))),
  fc.tuple(fc.constantFrom(0x40, 0x50, 0x62, 0x70), messageId).map(([first, mid]) => packet(first, mid)),
  fc.constantFrom(packet(0xc0), packet(0xe0), packet(0xd0), packet(0x20, Buffer.from([0, 0]))),
)
/** A connection's packets in any order, and sometimes a byte changed or the end missing. */
const session = fc
  .tuple(
    fc.boolean(),
    fc.array(wellFormed, { maxLength: 12 }),
    fc.option(fc.tuple(fc.nat(), fc.nat({ max: 255 }))),
    fc.option(fc.nat()),
  )
  .map(([connectFirst, packets, change, end]) => {
    const bytes = Buffer.concat(connectFirst ? [connectPacket({ id: 'a' }), ...packets] : packets)
    if (change && bytes.length > 0) bytes[change[0] % bytes.length] = change[1]
    return end === null ? bytes : bytes.subarray(0, end % (bytes.length + 1))
  })

it('random sessions neither stop the broker nor leave anything connected', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(session, { minLength: 1, maxLength: 8 }), async (sessions) => {
      await Promise.all(sessions.map(send))
    }),
    { numRuns: 60 },
  )
  await until('all gone', () => broker.stats().connections === 0)
  await until('all forgotten', () => broker.stats().clients === 0)
  await expectServing()
})

it('random bytes do not stop the broker', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => send(bytes)),
    { numRuns: 100 },
  )
  await expectServing()
})

it('clients that take the same id from each other end with exactly one that is served', async () => {
  const subscribe = subscribePacket(Array.from({ length: 20 }, (_, n) => `t${n}`))
  for (let round = 0; round < 5; round += 1) {
    const clients = await Promise.all(Array.from({ length: 10 }, () => RawClient.open(broker.port)))
    // In turns, so that some arrive while an earlier takeover is still closing what it replaces.
    for (const client of clients) {
      client.socket.write(Buffer.concat([connectPacket({ id: 'twin' }), subscribe]))
      await new Promise((resolve) => setImmediate(resolve))
    }
    await until('one is left', () => clients.filter(({ closed }) => !closed).length === 1)
    await until('one is known', () => broker.stats().clients === 1)
    const [left] = clients.filter(({ closed }) => !closed)
    await left?.untilReceived(4 + 4 + 20)
    left?.socket.write(publishPacket('t0'))
    await left?.untilReceived(4 + 4 + 20 + 7)
    for (const client of clients) client[Symbol.dispose]()
    await until('gone', () => broker.stats().clients === 0)
  }
  await expectServing()
})
