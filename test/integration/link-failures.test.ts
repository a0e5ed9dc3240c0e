/** What networks and brokers do to a link: cuts, silence, refusals. */
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer as createTlsServer } from 'node:tls'
import { Aedes } from 'aedes'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Broker } from '../../gateway/broker/broker.ts'
import { realClock } from '../../runtime/base/clock.ts'
import { createLog, silentLog } from '../../runtime/base/log.ts'
import { Outbox } from '../../runtime/link/outbox.ts'
import { Link, type LinkOptions } from '../../runtime/link/session.ts'
import { mosquittoPath, Peer, startAedes, startMosquitto } from '../fixtures/broker.ts'
import { startProxy } from '../fixtures/proxy.ts'

/** Looks until it holds; the deadline is generous, as machines under load are slow. */
const eventually = (assertion: () => void) => vi.waitFor(assertion, { timeout: 20_000 })

const withMosquitto = mosquittoPath !== undefined || Boolean(process.env['CI'])
let directory: string
let stack: AsyncDisposableStack

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'link-failures-'))
  stack = new AsyncDisposableStack()
  stack.defer(() => rmSync(directory, { recursive: true, force: true }))
})
afterEach(() => stack.disposeAsync())

async function openLink(
  brokerUrl: string,
  options: Partial<LinkOptions> = {},
  log = silentLog,
  outboxIn = directory,
) {
  const deps = { clock: realClock, log }
  const outbox = stack.use(await Outbox.open(deps, { directory: outboxIn, groupMs: 2 }))
  const fixed = { brokerUrl, deviceId: 'd1', base: 'ganglion', backoff: { firstMs: 10, maxMs: 50 } }
  return stack.use(await Link.open({ ...deps, outbox }, { ...fixed, drainMsMax: 200, ...options }))
}

/** The broker that ships with the gateway. */
async function startGatewayBroker() {
  return Broker.open(
    { clock: realClock, log: silentLog },
    { host: '127.0.0.1', port: 0 },
    AbortSignal.timeout(10_000),
  )
}

describe.each([
  { name: 'the gateway', start: startGatewayBroker, present: true },
  { name: 'aedes', start: startAedes, present: true },
  { name: 'mosquitto', start: startMosquitto, present: withMosquitto },
])('a network that breaks again and again before $name', ({ name, start, present }) => {
  test('loses no event and keeps the order of each topic [link-4]', async ({ skip }) => {
    skip(!present, `${name} is not installed`)
    const broker = stack.use(await start())
    const proxy = stack.use(await startProxy(broker.port))
    const peer = stack.use(await Peer.connect(broker.url, ['ganglion/d1/event/+']))
    const link = await openLink(`mqtt://127.0.0.1:${proxy.port}`, { inflightMax: 8 })
    const count = 1500
    const cutAfter = new Set(Array.from({ length: 12 }, () => Math.floor(Math.random() * count)))
    for (let n = 0; n < count; n += 3) {
      await Promise.all(
        [n, n + 1, n + 2].map((k) => link.publishEvent(`kind${k % 3}`, { id: `n${k}`, n: k }, 'event')),
      )
      if (cutAfter.has(n) || cutAfter.has(n + 1) || cutAfter.has(n + 2)) proxy.cut()
    }
    await eventually(() => expect(link.stats().outboxEvents).toBe(0))
    const ids = () => new Set(peer.heard.map((m) => JSON.parse(`${m.payload}`).id))
    await peer.until('every event', () => peer.heard.length >= count && ids().size === count)
    for (const kind of ['kind0', 'kind1', 'kind2']) {
      const heard = [...new Set(peer.json<{ n: number }>(`ganglion/d1/event/${kind}`).map(({ n }) => n))]
      expect(heard).toEqual([...heard].sort((a, b) => a - b))
    }
  })
})

/** A server that takes connections and does with them what the test says. */
async function rawServer(onSocket: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    onSocket(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  stack.defer(async () => {
    const closed = once(server, 'close')
    server.close()
    for (const socket of sockets) socket.destroy()
    await closed
  })
  return `mqtt://127.0.0.1:${(server.address() as AddressInfo).port}`
}

test('a broker that takes the connection and says nothing is given up after connectMsMax', async () => {
  let connections = 0
  const url = await rawServer(() => {
    connections += 1
  })
  const link = await openLink(url, { connectMsMax: 30 })
  await eventually(() => expect(connections).toBeGreaterThan(2))
  expect(link.stats()).toMatchObject({ connected: false, problem: 'connack timeout' })
})

test('a broker that talks nonsense is left and tried again', async () => {
  let connections = 0
  const url = await rawServer((socket) => {
    connections += 1
    socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')
  })
  const link = await openLink(url)
  await eventually(() => expect(connections).toBeGreaterThan(2))
  expect(link.connected).toBe(false)
})

test('a broker that acknowledges nothing sees no more than the window, and is left after ackMsMax [link-5]', async () => {
  const held = new Set<string>()
  let holding = true
  const broker = stack.use(
    await startAedes(0, (aedes) => {
      aedes.authorizePublish = (_client, packet, done) => {
        if (!holding || !packet.topic.includes('/event/')) return done(null)
        held.add(`${packet.payload}`)
      }
    }),
  )
  const peer = stack.use(await Peer.connect(broker.url, ['ganglion/d1/event/+']))
  const link = await openLink(broker.url, { inflightMax: 5, ackMsMax: 300 })
  const changes: boolean[] = []
  link.onChange((up) => void changes.push(up))
  for (let n = 0; n < 20; n++) await link.publishEvent('count', { n }, 'event')
  await eventually(() => expect(changes).toContain(false))
  expect(held.size).toBeGreaterThan(0)
  expect(held.size).toBeLessThanOrEqual(5)
  expect(link.stats().outboxEvents).toBe(20)
  holding = false
  await eventually(() => expect(link.stats()).toMatchObject({ connected: true, outboxEvents: 0 }))
  expect([...new Set(peer.json('ganglion/d1/event/count').map((e) => e['n']))]).toHaveLength(20)
})

test('a wrong password is told in one line, without the password, and tried again', async () => {
  const lines: string[] = []
  const log = createLog({ level: 'debug', json: false, write: (l) => lines.push(l), nowMs: () => 0 })
  let good = 'other'
  const broker = stack.use(
    await startAedes(0, (aedes) => {
      aedes.authenticate = (_client, _name, password, done) => {
        if (`${password}` === good) return done(null, true)
        done(Object.assign(new Error('no'), { returnCode: 4 }), false)
      }
    }),
  )
  const link = await openLink(broker.url.replace('mqtt://', 'mqtt://me:s3cret@'), {}, log)
  await eventually(() => expect(link.stats().problem).toBe('the broker refused the user name or password'))
  good = 's3cret'
  await eventually(() => expect(link.connected).toBe(true))
  expect(lines.filter((line) => line.includes('user name or password'))).toHaveLength(1)
  expect(lines.join() + JSON.stringify(link.stats())).not.toContain('s3cret')
})

test.skipIf(!withMosquitto)(
  'an event that an MQTT 5 broker refuses stays in the outbox; others go on',
  async () => {
    const acl = join(directory, 'acl')
    writeFileSync(
      acl,
      'topic readwrite ganglion/d1/event/allowed\ntopic readwrite ganglion/d1/availability\n',
    )
    const broker = stack.use(await startMosquitto(undefined, [`acl_file ${acl}`]))
    const link = await openLink(broker.url)
    await link.publishEvent('denied', { n: 1 }, 'alarm')
    const peer = stack.use(await Peer.connect(broker.url, ['ganglion/d1/event/allowed']))
    await link.publishEvent('allowed', { n: 2 }, 'event')
    await peer.hear('allowed event', (m) => m.topic.endsWith('allowed'))
    await eventually(() => expect(link.stats()).toMatchObject({ connected: true, outboxEvents: 1 }))
  },
)

test('a device that dies without a word is announced as offline by its broker [link-5]', async () => {
  const broker = stack.use(await startAedes())
  const proxy = stack.use(await startProxy(broker.port))
  const peer = stack.use(await Peer.connect(broker.url, ['ganglion/d1/availability']))
  await openLink(`mqtt://127.0.0.1:${proxy.port}`)
  const said = () => peer.heard.map((m) => `${m.payload}`)
  await peer.until('online', () => said().includes('online'))
  proxy.cut()
  await peer.until('offline, then online again', () => {
    const words = said()
    return words.includes('offline') && words.at(-1) === 'online'
  })
})

describe('TLS', () => {
  const fixture = (name: string) => readFileSync(join(import.meta.dirname, '../fixtures/link', name), 'utf8')

  async function tlsBroker(): Promise<string> {
    const aedes = await Aedes.createBroker()
    const options = { key: fixture('broker-key.pem'), cert: fixture('broker-cert.pem') }
    const server = createTlsServer(options, (socket) => void aedes.handle(socket))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    stack.defer(async () => {
      const closed = once(server, 'close')
      server.close()
      await new Promise<void>((resolve) => aedes.close(resolve))
      await closed
    })
    return `mqtts://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  test('a broker with a certificate of a known authority is connected to', async () => {
    const link = await openLink(await tlsBroker(), { tls: { ca: fixture('broker-cert.pem') } })
    await eventually(() => expect(link.connected).toBe(true))
  })

  test('a broker with a certificate that nobody vouches for is not', async () => {
    const link = await openLink(await tlsBroker())
    await eventually(() => expect(link.stats().problem).toMatch(/self-signed certificate/))
    expect(link.connected).toBe(false)
  })
})

test.each([
  ['nonsense', /cannot be read: write it as mqtt:\/\/host:1883/],
  ['http://broker', /starts with http:\/\/: use mqtt:\/\/ or mqtts:\/\//],
  ['mqtt://:1883', /cannot be read|names no host/],
])('the broker URL %j is refused when opening, in one line', async (url, message) => {
  await expect(openLink(url)).rejects.toMatchObject({
    code: 'config',
    message: expect.stringMatching(message),
  })
})

describe.each([
  { name: 'aedes', start: startAedes, present: true },
  { name: 'mosquitto', start: startMosquitto, present: withMosquitto },
])('two devices of one id on $name', ({ name, start, present }) => {
  test('are told what is wrong and what to do', async ({ skip }) => {
    skip(!present, `${name} is not installed`)
    const broker = stack.use(await start())
    const problems: string[] = []
    const log = createLog({
      level: 'warn',
      json: false,
      nowMs: () => 0,
      write: (line) => problems.push(line),
    })
    await openLink(broker.url, {}, log)
    await openLink(broker.url, {}, log, join(directory, 'other'))
    await eventually(() =>
      expect(problems.join('\n')).toMatch(
        /another device is connected as ganglion-d1: give each one its own --id/,
      ),
    )
  })
})
