/** [broker-7] A subscriber that does not read neither holds up the others nor loses what it was promised. */
import type { MqttClient } from 'mqtt'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Broker } from '../../gateway/broker/broker.ts'
import { connectPacket, openBroker, openClient, RawClient, subscribePacket, until } from './broker-raw.ts'

const payload = Buffer.alloc(16 * 1024, 120)
/** Far more than socket buffers and the forwarding limit hold: 32 MB. */
const messages = 2000

let broker: Broker
let publisher: MqttClient
async function open(slowGraceMs: number): Promise<void> {
  broker = await openBroker({ limits: { slowGraceMs, offlineBytesPerClientMax: 16 * 1024 * 1024 } })
  publisher = await openClient(broker.url)
}
async function close(): Promise<void> {
  publisher.end(true)
  await broker[Symbol.asyncDispose]()
}
async function reopen(slowGraceMs: number): Promise<void> {
  await close()
  await open(slowGraceMs)
}
beforeEach(() => open(1_000))
afterEach(close)

/** Numbers of the messages that a client heard. */
function hearing(client: MqttClient): number[] {
  const heard: number[] = []
  client.on('message', (_topic, received) => heard.push(received.readUInt32BE(0)))
  return heard
}

async function publishNumbered(qos: 0 | 1, from: number, to: number): Promise<void> {
  for (let n = from; n < to; n += 1) {
    const numbered = Buffer.from(payload)
    numbered.writeUInt32BE(n, 0)
    await publisher.publishAsync('flood', numbered, { qos })
  }
}

async function stalled(options: { id: string; clean: boolean; qos: number }): Promise<RawClient> {
  const client = await RawClient.connected(broker.port, options)
  client.socket.write(subscribePacket(['flood'], options.qos))
  await client.untilReceived(5)
  client.socket.pause()
  return client
}

const numbers = (count: number) => Array.from({ length: count }, (_, n) => n)

describe.each([0, 1] as const)('a flood with QoS %i', (qos) => {
  it('reaches a healthy subscriber whole and in order while a stalled one is cut off', async () => {
    const healthy = await openClient(broker.url)
    const heard = hearing(healthy)
    await healthy.subscribeAsync('flood', { qos })
    using slow = await stalled({ id: 'stalled', clean: true, qos })
    await publishNumbered(qos, 0, messages)
    await until('all heard', () => heard.length === messages)
    expect(heard).toEqual(numbers(messages))
    await until('cut off', () => broker.stats().refused['slow-subscriber'] === 1)
    expect(broker.stats().withheld).toBeGreaterThan(0)
    slow.socket.resume()
    await slow.untilClosed()
    await healthy.endAsync()
  })
})

/** Numbers of the messages in what a raw client received. */
function numbersIn(received: Buffer): number[] {
  const found: number[] = []
  for (let at = 0; at + 5 < received.length; ) {
    let length = 0
    let header = 1
    for (let shift = 0; ; shift += 7, header += 1) {
      const byte = received[at + header] as number
      length += (byte & 127) * 2 ** shift
      if (byte < 128) break
    }
    const body = at + header + 1
    at = body + length
    // PUBLISH with QoS 1 on `flood`: topic length (2), topic (5), packet id (2).
    if ((received[body - header - 1] as number) >> 4 === 3 && at <= received.length)
      found.push(received.readUInt32BE(body + 9))
  }
  return found
}

describe('what was withheld from a stalled persistent session', () => {
  const count = 900

  it('waits in its queue and comes when it is back, though it is slow to read again', async () => {
    const slow = await stalled({ id: 'sleeper', clean: false, qos: 1 })
    await publishNumbered(1, 0, count)
    await until('cut off', () => broker.stats().refused['slow-subscriber'] === 1)
    slow.socket.destroy()
    await until('gone', () => broker.stats().clients === 1)
    expect(broker.stats().queued).toMatchObject({ messages: count, dropped: 0 })
    using back = await RawClient.open(broker.port)
    back.socket.pause()
    back.socket.write(connectPacket({ id: 'sleeper', clean: false }))
    await until('known', () => broker.stats().clients === 2)
    // The replay runs in this process: after so many turns of its loop it waits for the socket.
    for (let turn = 0; turn < 20 * count; turn += 1) await new Promise((resolve) => setImmediate(resolve))
    back.socket.resume()
    await until('all heard', () => numbersIn(back.received).length === count)
    expect(numbersIn(back.received)).toEqual(numbers(count))
  })

  it('is not overtaken by later messages when it reads again in time', async () => {
    // Long enough for it to catch up before it is judged, on a busy machine too.
    await reopen(10_000)
    const slow = await stalled({ id: 'sleeper', clean: false, qos: 1 })
    await publishNumbered(1, 0, count)
    expect(broker.stats().withheld).toBeGreaterThan(0)
    const { withheld } = broker.stats()
    slow.socket.resume()
    await until('caught up', () => numbersIn(slow.received).length === count - withheld)
    await publishNumbered(1, count, count + 5)
    await slow.untilClosed()
    expect(numbersIn(slow.received)).toEqual(numbers(count - withheld))
    using back = await RawClient.open(broker.port)
    back.socket.write(connectPacket({ id: 'sleeper', clean: false }))
    await until('all heard', () => numbersIn(back.received).at(-1) === count + 4)
    expect(numbersIn(back.received)).toEqual(numbers(count + 5))
  })
})

it('a client that sends and never reads its acknowledgements does not stop the broker', async () => {
  using greedy = await RawClient.connected(broker.port, { id: 'greedy' })
  greedy.socket.pause()
  const pings = Buffer.alloc(64 * 1024)
  for (let at = 0; at < pings.length; at += 2) pings[at] = 0xc0
  for (let n = 0; n < 50; n += 1) greedy.socket.write(pings)
  const other = await openClient(broker.url)
  const heard = hearing(other)
  await other.subscribeAsync('flood')
  await publishNumbered(0, 0, 1)
  await until('served', () => heard.length === 1)
  await other.endAsync()
})
