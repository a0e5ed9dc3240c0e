/** The broker's rules, each provoked with real packets; the numbers are those of gateway/broker/README.md. */
import { type AddressInfo, createServer } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Broker } from '../../gateway/broker/broker.ts'
import { hashPassword } from '../../runtime/base/password.ts'
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

/** The broker still serves others after what was done to it. */
async function expectServing(): Promise<void> {
  const client = await openClient(broker.url)
  const heard = new Promise((resolve) => client.once('message', (topic) => resolve(topic)))
  await client.subscribeAsync('alive')
  await client.publishAsync('alive', '1')
  expect(await heard).toBe('alive')
  await client.endAsync()
}

async function reopen(options: Parameters<typeof openBroker>[0]): Promise<void> {
  await broker[Symbol.asyncDispose]()
  broker = await openBroker(options)
}

describe('[broker-1] packets are measured before they are parsed', () => {
  it('a packet that announces more than allowed closes the connection before its body arrives', async () => {
    using client = await RawClient.open(broker.port)
    // CONNECT with a remaining length of 268,435,455, the largest there is, and not a byte of it.
    client.socket.write(Buffer.from([0x10, 0xff, 0xff, 0xff, 0x7f]))
    await client.untilClosed()
    expect(broker.stats().refused['oversize-packet']).toBe(1)
    await expectServing()
  })

  it('a publish one byte too large is refused, one that just fits is delivered', async () => {
    await reopen({ limits: { packetBytesMax: 1000 } })
    using client = await RawClient.connected(broker.port)
    const fits = publishPacket('t', 'x'.repeat(1000 - 3))
    client.socket.write(Buffer.concat([subscribePacket(['t']), fits]))
    await client.untilReceived(5 + fits.length)
    client.socket.write(publishPacket('t', 'x'.repeat(1000 - 2)))
    await client.untilClosed()
    expect(broker.stats().refused['oversize-packet']).toBe(1)
  })

  it('a packet of a reserved type closes the connection', async () => {
    using client = await RawClient.open(broker.port)
    client.socket.write(Buffer.from([0xf0, 0]))
    await client.untilClosed()
    expect(broker.stats().refused['malformed-packet']).toBe(1)
  })
})

describe('[broker-2] who may connect', () => {
  it('an empty client id without a clean session is answered with return code 2', async () => {
    using client = await RawClient.open(broker.port)
    client.socket.write(connectPacket({ id: '', clean: false }))
    await client.untilClosed()
    expect([...client.received]).toEqual([0x20, 2, 0, 2])
  })

  it('an empty client id with a clean session is accepted', async () => {
    using client = await RawClient.connected(broker.port, { id: '', clean: true })
    expect(client.closed).toBe(false)
  })

  it('a client id that is too long is answered with return code 2', async () => {
    using client = await RawClient.open(broker.port)
    client.socket.write(connectPacket({ id: 'x'.repeat(129) }))
    await client.untilClosed()
    expect([...client.received]).toEqual([0x20, 2, 0, 2])
  })

  it.each([
    ['empty', ''],
    ['with a wildcard', 'a/#'],
    ['of the broker', '$SYS/x'],
    ['not UTF-8', Buffer.from([0x61, 0xff])],
  ])('a will topic that is %s closes the connection', async (_name, willTopic) => {
    using client = await RawClient.open(broker.port)
    client.socket.write(connectPacket({ willTopic }))
    await client.untilClosed()
    expect(client.received.length).toBe(0)
    expect(broker.stats().refused.will).toBe(1)
  })

  it('a client id that is not UTF-8 closes the connection', async () => {
    using client = await RawClient.open(broker.port)
    client.socket.write(connectPacket({ id: Buffer.from([0xc0, 0x80]) }))
    await client.untilClosed()
    expect(broker.stats().refused.identifier).toBe(1)
  })

  it('MQTT 5 is answered with return code 1', async () => {
    using client = await RawClient.open(broker.port)
    const head = Buffer.concat([string('MQTT'), Buffer.from([5, 2, 0, 0, 0])])
    client.socket.write(packet(0x10, head, string('five')))
    await client.untilClosed()
    expect(client.received.subarray(0, 1)).toEqual(Buffer.from([0x20]))
    expect(client.received[3]).toBe(1)
  })

  it('a connection that never says CONNECT is closed', async () => {
    await reopen({ limits: { connectTimeoutMs: 50 } })
    using client = await RawClient.open(broker.port)
    await client.untilClosed()
  })

  it('a client that goes silent is closed after its keep-alive, and its will is published', async () => {
    const watcher = await openClient(broker.url)
    await watcher.subscribeAsync('gone')
    const heard = new Promise((resolve) => watcher.once('message', (topic) => resolve(topic)))
    using client = await RawClient.connected(broker.port, { keepaliveS: 1, willTopic: 'gone' })
    await client.untilClosed()
    expect(await heard).toBe('gone')
    await watcher.endAsync()
  })

  it('a client that asks for no keep-alive gets the longest one', async () => {
    await reopen({ limits: { keepaliveMaxS: 1 } })
    using client = await RawClient.connected(broker.port, { keepaliveS: 0 })
    await client.untilClosed()
  })

  it('more connections than allowed are closed at once', async () => {
    await reopen({ limits: { connectionsMax: 2 } })
    using first = await RawClient.connected(broker.port, { id: 'a' })
    using second = await RawClient.connected(broker.port, { id: 'b' })
    using third = await RawClient.open(broker.port)
    await third.untilClosed()
    expect(broker.stats().refused['connections-max']).toBe(1)
    expect([first.closed, second.closed]).toEqual([false, false])
  })

  it('a persistent session more than allowed is answered with return code 3', async () => {
    await reopen({ limits: { sessionsMax: 1 } })
    using _first = await RawClient.connected(broker.port, { id: 'a', clean: false })
    using second = await RawClient.open(broker.port)
    second.socket.write(connectPacket({ id: 'b', clean: false }))
    await second.untilClosed()
    expect([...second.received]).toEqual([0x20, 2, 0, 3])
  })

  it('a session that was away too long makes room for a new one', async () => {
    await reopen({ limits: { sessionsMax: 1, sessionIdleMsMax: 0 } })
    const first = await RawClient.connected(broker.port, { id: 'a', clean: false })
    first.socket.destroy()
    await until('gone', () => broker.stats().clients === 0)
    using _second = await RawClient.connected(broker.port, { id: 'b', clean: false })
    expect(broker.stats().clients).toBe(1)
  })
})

describe('[broker-3] takeover', () => {
  it('a second connection with the same id closes the first, whose will comes before the second is answered', async () => {
    const watcher = await openClient(broker.url)
    const heard: string[] = []
    watcher.on('message', (_topic, payload) => heard.push(payload.toString()))
    await watcher.subscribeAsync('presence')
    using first = await RawClient.connected(broker.port, { id: 'twin', willTopic: 'presence' })
    using second = await RawClient.connected(broker.port, { id: 'twin' })
    second.socket.write(publishPacket('presence', 'here'))
    await first.untilClosed()
    await until('both heard', () => heard.length === 2)
    expect(heard).toEqual(['gone', 'here'])
    expect(broker.stats().refused.takeover).toBe(1)
    await watcher.endAsync()
  })

  it("nobody else may use the gateway's own client ids", async () => {
    using client = await RawClient.open(broker.port)
    client.socket.write(connectPacket({ id: 'ganglion-gateway-main' }))
    await client.untilClosed()
    expect([...client.received]).toEqual([0x20, 2, 0, 4])
    const own = await openClient(broker.url, { clientId: 'ganglion-gateway-main', ...broker.own })
    expect(own.connected).toBe(true)
    await own.endAsync()
  })

  it('a client id that belongs to another user is refused', async () => {
    const users = [
      { username: 'ada', password: 'a' },
      { username: 'bob', password: 'b' },
    ]
    await reopen({ users })
    const ada = await openClient(broker.url, { clientId: 'x', username: 'ada', password: 'a' })
    await expect(openClient(broker.url, { clientId: 'x', username: 'bob', password: 'b' })).rejects.toThrow(
      /Identifier rejected/,
    )
    expect(ada.connected).toBe(true)
    await ada.endAsync()
  })
})

describe('[broker-4] users', () => {
  beforeEach(async () => {
    await reopen({ users: [{ username: 'ada', password: await hashPassword('right') }] })
  })

  it.each([
    ['nothing', {}],
    ['a wrong password', { username: 'ada', password: 'wrong' }],
    ['an unknown name', { username: 'eve', password: 'right' }],
    ["the gateway's name and a guess", { username: 'ganglion-gateway', password: 'guess' }],
  ])('a client with %s is refused', async (_name, options) => {
    await expect(openClient(broker.url, options)).rejects.toThrow(/Bad username or password/)
    expect(broker.stats().refused.credentials).toBe(1)
  })

  it('a client with the right password may publish', async () => {
    const client = await openClient(broker.url, { username: 'ada', password: 'right' })
    await client.publishAsync('t', 'x', { qos: 1 })
    await client.endAsync()
  })

  it('beyond loopback a broker without users does not open', async () => {
    await expect(openBroker({ host: '0.0.0.0' })).rejects.toThrow(/mqtt\.users is empty/)
  })
})

describe('[broker-5] topics', () => {
  it.each([
    ['empty', ''],
    ['with a wildcard', 'a/+'],
    ['of the broker', '$SYS/broker/load'],
    ['not UTF-8', Buffer.from([0x61, 0xed, 0xa0, 0x80])],
    ['with a null character', 'a\u0000b'],
    ['too long', 'x'.repeat(513)],
    ['too deep', 'a/'.repeat(16)],
  ])('a publish to a topic that is %s closes the connection', async (_name, topic) => {
    using client = await RawClient.connected(broker.port)
    client.socket.write(publishPacket(topic))
    await client.untilClosed()
    await expectServing()
  })

  it.each(['a/#/b', 'a#', 'a+/b', '', Buffer.from([0xff])])(
    'a subscription to %o closes the connection',
    async (filter) => {
      using client = await RawClient.connected(broker.port)
      client.socket.write(subscribePacket([filter]))
      await client.untilClosed()
      await expectServing()
    },
  )

  it('$share and $SYS are refused with 0x80 while the other filters of the packet are granted', async () => {
    using client = await RawClient.connected(broker.port)
    client.socket.write(subscribePacket(['$share/g/t', 'ok', '$SYS/#']))
    await client.untilReceived(7)
    expect([...client.received]).toEqual([0x90, 5, 0, 7, 0x80, 0, 0x80])
  })

  it('subscriptions beyond the maximum are refused, in one packet or in several', async () => {
    await reopen({ limits: { subscriptionsPerClientMax: 2 } })
    using client = await RawClient.connected(broker.port, { id: 'many', clean: false })
    client.socket.write(subscribePacket(['a', 'b', 'c'], 1))
    await client.untilReceived(7)
    expect([...client.received]).toEqual([0x90, 5, 0, 7, 1, 1, 0x80])
    client.forgetReceived()
    client.socket.write(subscribePacket(['d', 'a'], 1))
    await client.untilReceived(6)
    expect([...client.received]).toEqual([0x90, 4, 0, 7, 0x80, 1])
  })

  it('a refused subscription of a persistent session queues nothing', async () => {
    await reopen({ limits: { subscriptionsPerClientMax: 1 } })
    const client = await RawClient.connected(broker.port, { id: 'many', clean: false })
    client.socket.write(subscribePacket(['a', 'b'], 1))
    await client.untilReceived(6)
    client.socket.destroy()
    await until('gone', () => broker.stats().clients === 0)
    const publisher = await openClient(broker.url)
    await publisher.publishAsync('b', 'x', { qos: 1 })
    await publisher.publishAsync('a', 'x', { qos: 1 })
    await until('queued', () => broker.stats().queued.messages === 1)
    await publisher.endAsync()
  })
})

describe('[broker-6] what is kept is bounded', () => {
  it('a full retained store keeps what it has, replaces known topics and counts the rest', async () => {
    await reopen({ limits: { retainedMessagesMax: 2 } })
    const client = await openClient(broker.url)
    for (const topic of ['a', 'b', 'c']) await client.publishAsync(topic, '1', { qos: 1, retain: true })
    await client.publishAsync('b', '2', { qos: 1, retain: true })
    await until('refused', () => broker.stats().retained.refused === 1)
    const heard: string[] = []
    client.on('message', (topic, payload) => heard.push(`${topic}${payload}`))
    await client.subscribeAsync('#')
    await until('replayed', () => heard.length === 2)
    expect(heard.sort()).toEqual(['a1', 'b2'])
    await client.publishAsync('a', '', { qos: 1, retain: true })
    await until('deleted', () => broker.stats().retained.messages === 1)
    await client.endAsync()
  })

  it('an absent client gets what its bounded queue held, in order, and the rest is counted', async () => {
    await reopen({ limits: { offlineMessagesPerClientMax: 3 } })
    const options = { clientId: 'absent', clean: false }
    const absent = await openClient(broker.url, options)
    await absent.subscribeAsync('t', { qos: 1 })
    await absent.endAsync()
    await until('gone', () => broker.stats().clients === 0)
    const publisher = await openClient(broker.url)
    for (const n of [1, 2, 3, 4, 5]) await publisher.publishAsync('t', String(n), { qos: 1 })
    await until('dropped', () => broker.stats().queued.dropped === 2)
    const back = await openClientHearing(options)
    await until('delivered', () => back.heard.length === 3)
    expect(back.heard).toEqual(['1', '2', '3'])
    await until('acknowledged', () => broker.stats().queued.messages === 0)
    expect(broker.stats().queued.bytes).toBe(0)
    await back.client.endAsync()
    await publisher.endAsync()
  })

  it('a queue is bounded in bytes too', async () => {
    await reopen({ limits: { offlineBytesPerClientMax: 1500 } })
    const absent = await openClient(broker.url, { clientId: 'absent', clean: false })
    await absent.subscribeAsync('t', { qos: 1 })
    await absent.endAsync()
    const publisher = await openClient(broker.url)
    for (const _ of [1, 2, 3]) await publisher.publishAsync('t', 'x'.repeat(1000), { qos: 1 })
    await until('dropped', () => broker.stats().queued.dropped === 2)
    expect(broker.stats().queued.messages).toBe(1)
    await publisher.endAsync()
  })

  it('a clean session forgets the queue of the id', async () => {
    const absent = await openClient(broker.url, { clientId: 'absent', clean: false })
    await absent.subscribeAsync('t', { qos: 1 })
    await absent.endAsync()
    const publisher = await openClient(broker.url)
    await publisher.publishAsync('t', 'x', { qos: 1 })
    await until('queued', () => broker.stats().queued.messages === 1)
    const clean = await openClient(broker.url, { clientId: 'absent', clean: true })
    expect(broker.stats().queued).toMatchObject({ messages: 0, bytes: 0 })
    await clean.endAsync()
    await publisher.endAsync()
  })

  it('half-finished QoS 2 messages beyond the maximum close the connection', async () => {
    await reopen({ limits: { inboundQos2PerClientMax: 2 } })
    using client = await RawClient.connected(broker.port)
    const publish = (id: number) => packet(0x34, string('t'), Buffer.from([0, id]), Buffer.from('x'))
    client.socket.write(Buffer.concat([publish(1), publish(2), publish(3)]))
    await client.untilClosed()
    await until('forgotten', () => broker.stats().queued.bytes === 0)
  })

  it('QoS 2 is delivered exactly once', async () => {
    const client = await openClientHearing({ clientId: 'two', clean: false })
    await client.client.subscribeAsync('t', { qos: 2 })
    for (const n of [1, 2, 3]) await client.client.publishAsync('t', String(n), { qos: 2 })
    await until('delivered', () => client.heard.length === 3)
    await until('settled', () => broker.stats().queued.bytes === 0)
    expect(client.heard).toEqual(['1', '2', '3'])
    await client.client.endAsync()
  })

  it('an absent client that subscribed twice to the same messages gets each once', async () => {
    const options = { clientId: 'absent', clean: false }
    const absent = await openClient(broker.url, options)
    await absent.subscribeAsync(['t/#', 't/+'], { qos: 1 })
    await absent.endAsync()
    const publisher = await openClient(broker.url)
    await publisher.publishAsync('t/a', '1', { qos: 1 })
    await publisher.publishAsync('t/b', '2', { qos: 1 })
    await until('queued', () => broker.stats().queued.messages === 2)
    const back = await openClientHearing(options)
    await until('delivered', () => back.heard.length === 2)
    expect(back.heard).toEqual(['1', '2'])
    await back.client.endAsync()
    await publisher.endAsync()
  })
})

describe('opening and closing', () => {
  it('a port in use is one line that names the port and the option', async () => {
    const taken = createServer().listen(0, '127.0.0.1')
    await until('listening', () => taken.listening)
    const { port } = taken.address() as AddressInfo
    await expect(openBroker({ port })).rejects.toMatchObject({
      code: 'port-in-use',
      message: `port ${port} on 127.0.0.1 is in use: stop what listens there, or choose another with --mqtt-port`,
    })
    taken.close()
  })

  it('disposing twice is harmless and closes every connection', async () => {
    using client = await RawClient.connected(broker.port)
    using silent = await RawClient.open(broker.port)
    await Promise.all([broker[Symbol.asyncDispose](), broker[Symbol.asyncDispose]()])
    await client.untilClosed()
    await silent.untilClosed()
  })
})

/** A client that listens before it connects, so that nothing replayed is missed. */
async function openClientHearing(options: Parameters<typeof openClient>[1]) {
  const { default: mqtt } = await import('mqtt')
  const client = mqtt.connect(broker.url, { protocolVersion: 4, reconnectPeriod: 0, ...options })
  const heard: string[] = []
  client.on('message', (_topic, payload) => heard.push(payload.toString()))
  await until('connected', () => client.connected)
  return { client, heard }
}
