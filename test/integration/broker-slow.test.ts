/** [broker-7] A subscriber that does not read neither holds up the others nor loses what it was promised. */
import type { MqttClient } from 'mqtt'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Broker } from '../../gateway/broker/broker.ts'
import { openBroker, openClient, RawClient, subscribePacket, until } from './broker-raw.ts'

const payload = Buffer.alloc(16 * 1024, 120)
/** Far more than socket buffers and the forwarding limit hold: 32 MB. */
const messages = 2000

let broker: Broker
let publisher: MqttClient
beforeEach(async () => {
  broker = await openBroker({ limits: { slowGraceMs: 500, offlineBytesPerClientMax: 16 * 1024 * 1024 } })
  publisher = await openClient(broker.url)
})
afterEach(async () => {
  publisher.end(true)
  await broker[Symbol.asyncDispose]()
})

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

it('what was withheld from a stalled persistent session waits in its queue and comes when it is back', async () => {
  const slow = await stalled({ id: 'sleeper', clean: false, qos: 1 })
  const count = 600
  await publishNumbered(1, 0, count)
  await until('cut off', () => broker.stats().refused['slow-subscriber'] === 1)
  slow.socket.destroy()
  expect(broker.stats().queued.dropped).toBe(0)
  const { default: mqtt } = await import('mqtt')
  const back = mqtt.connect(broker.url, { clientId: 'sleeper', clean: false, protocolVersion: 4 })
  const heard = hearing(back)
  await until('all heard', () => new Set(heard).size === count)
  await until('acknowledged', () => broker.stats().queued.messages === 0)
  await back.endAsync()
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
