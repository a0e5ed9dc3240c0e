/** The link against real brokers: aedes (MQTT 3.1.1) and mosquitto (MQTT 5). */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { realClock } from '../../runtime/base/clock.ts'
import { createLog, silentLog } from '../../runtime/base/log.ts'
import { LinkError } from '../../runtime/link/errors.ts'
import { Outbox } from '../../runtime/link/outbox.ts'
import { RpcError } from '../../runtime/link/rpc-server.ts'
import { Link, type LinkOptions } from '../../runtime/link/session.ts'
import { decodeCbor, encodeCbor } from '../../runtime/wire/cbor.ts'
import { wireLimits } from '../../runtime/wire/limits.ts'
import { check } from '../../runtime/wire/messages.ts'
import { type RpcReply, rpcReply } from '../../runtime/wire/rpc.ts'
import {
  freePort,
  type Heard,
  mosquittoPath,
  Peer,
  type StartBroker,
  startAedes,
  startMosquitto,
} from '../fixtures/broker.ts'

/** Looks until it holds; the deadline is generous, as machines under load are slow. */
const eventually = (assertion: () => void) => vi.waitFor(assertion, { timeout: 20_000 })

const brokers: { name: string; start: StartBroker; version: 4 | 5; present: boolean }[] = [
  { name: 'aedes', start: startAedes, version: 4, present: true },
  // Where it must not be missing, its absence is a failure.
  {
    name: 'mosquitto',
    start: startMosquitto,
    version: 5,
    present: mosquittoPath !== undefined || Boolean(process.env['CI']),
  },
]

const isAvailability = (value: string) => (m: Heard) =>
  m.topic === 'ganglion/d1/availability' && `${m.payload}` === value

describe.each(brokers)('the link with $name', ({ name, start, version, present }) => {
  let directory: string
  let stack: AsyncDisposableStack

  beforeEach(({ skip }) => {
    skip(!present, `${name} is not installed`)
    calls = 0
    directory = mkdtempSync(join(tmpdir(), 'link-'))
    stack = new AsyncDisposableStack()
    stack.defer(() => rmSync(directory, { recursive: true, force: true }))
  })
  afterEach(() => stack.disposeAsync())

  async function openLink(
    brokerUrl: string,
    options: Partial<LinkOptions> = {},
    log = silentLog,
  ): Promise<Link> {
    const deps = { clock: realClock, log }
    const outbox = stack.use(await Outbox.open(deps, { directory, groupMs: 2 }))
    const link = await Link.open(
      { ...deps, outbox },
      { brokerUrl, deviceId: 'd1', base: 'ganglion', backoff: { firstMs: 20, maxMs: 100 }, ...options },
    )
    return stack.use(link)
  }

  async function connected(link: Link): Promise<void> {
    if (link.connected) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const cancel = link.onChange((up) => up && resolve())
    await promise
    cancel()
  }

  async function pair(options: Partial<LinkOptions> = {}, log = silentLog) {
    const broker = stack.use(await start())
    const peer = stack.use(await Peer.connect(broker.url))
    const link = await openLink(broker.url, options, log)
    await connected(link)
    return { broker, peer, link }
  }

  let calls = 0
  async function call(peer: Peer, method: string, params: object = {}): Promise<RpcReply> {
    calls += 1
    const id = `r${calls}`
    const replyTo = `ganglion/peer/reply/${id}`
    await peer.say(`ganglion/d1/rpc/${method}`, encodeCbor({ id, replyTo, deadlineMs: 2000, ...params }))
    const { payload } = await peer.hear(`answer ${id}`, (m) => m.topic === replyTo)
    const decoded = decodeCbor(payload, wireLimits.mqttPayloadBytesMax)
    if (!decoded.ok) throw new Error(decoded.reason)
    const checked = check(rpcReply, decoded.value)
    if (!checked.ok) throw new Error(checked.reason)
    return checked.value
  }

  test('it connects with the newest version the broker speaks and says that it is online', async () => {
    const broker = stack.use(await start())
    const peer = stack.use(await Peer.connect(broker.url))
    const link = await openLink(broker.url)
    await peer.hear('online', isAvailability('online'))
    expect(link.stats()).toMatchObject({ connected: true, protocolVersion: version })
  })

  test('a broker that is down at the start gets everything once it is up', async () => {
    const port = await freePort()
    const link = await openLink(`mqtt://127.0.0.1:${port}`)
    expect(link.connected).toBe(false)
    await link.publishEvent('door', { n: 1 }, 'alarm')
    link.setRetained('ganglion/d1/state/light.a', '{"state":"on"}')
    expect(link.stats().outboxEvents).toBe(1)
    const broker = stack.use(await start(port))
    const peer = stack.use(await Peer.connect(broker.url))
    await peer.until('event and state', () => peer.json('ganglion/d1/state/light.a').length > 0)
    await connected(link)
    await link.publishEvent('door', { n: 2 }, 'alarm')
    await peer.until('event', () => peer.json('ganglion/d1/event/door').some((e) => e['n'] === 2))
  })

  test('a command and a call reach their handlers, and the call is answered', async () => {
    const { peer, link } = await pair()
    const commands: unknown[] = []
    link.onSet((entity, message) => void commands.push({ entity, ...message }))
    link.onRpc(async (method, request) => ({ method, text: request['text'] }))
    await peer.say('ganglion/d1/set/light.a', '{"state":"on","id":"c1"}')
    expect(await call(peer, 'say', { text: 'hello' })).toEqual({
      id: 'r1',
      ok: true,
      result: { method: 'say', text: 'hello' },
    })
    expect(commands).toEqual([{ entity: 'light.a', state: 'on', id: 'c1' }])
  })

  test('a broker that dies and returns gets every event in order, and the latest state [link-4]', async () => {
    const first = await start()
    const link = await openLink(first.url)
    const peer = stack.use(await Peer.connect(first.url))
    await connected(link)
    const send = (n: number) => link.publishEvent('count', { id: `n${n}`, n }, 'event')
    for (let n = 0; n < 100; n++) await send(n)
    const midway = Promise.all(Array.from({ length: 100 }, (_, k) => send(100 + k)))
    await first.stop()
    await midway
    for (let n = 200; n < 300; n++) await send(n)
    link.setRetained('ganglion/d1/state/light.a', '"old"')
    link.setRetained('ganglion/d1/state/light.a', '"new"')
    expect(link.connected).toBe(false)
    stack.use(await start(first.port))
    await eventually(() => expect(link.stats()).toMatchObject({ connected: true, outboxEvents: 0 }))
    // What the peer missed while it was itself reconnecting is not the link's to repeat: ask for what came after.
    const heard = peer.json<{ id: string; n: number }>('ganglion/d1/event/count').map(({ n }) => n)
    const once = [...new Set(heard)]
    expect(once).toEqual([...once].sort((a, b) => a - b))
    const later = stack.use(
      await Peer.connect(first.url, ['ganglion/d1/state/+', 'ganglion/d1/availability']),
    )
    await later.until('retained values', () => later.heard.length === 2)
    expect(later.heard.map((m) => `${m.payload}`).sort()).toEqual(['"new"', 'online'])
  })

  test('a flood of bad messages is counted, logged once, and harms nothing [link-6]', async () => {
    const lines: string[] = []
    const log = createLog({ level: 'warn', json: false, write: (l) => lines.push(l), nowMs: () => 0 })
    const { peer, link } = await pair({}, log)
    const commands: string[] = []
    link.onSet((_, { id }) => void commands.push(String(id)))
    link.onRpc(async () => 'never')
    const bad: [string, string | Uint8Array][] = [
      ['set/light.a', 'not json'],
      ['set/light.a', '[1]'],
      ['set/light.a', '{"ttlMs":-5}'],
      ['set/light.a', JSON.stringify({ state: 'x'.repeat(9000) })],
      ['set/no%20id', '{}'],
      ['rpc/say', 'not cbor'],
      ['rpc/say', encodeCbor({ id: 'x', deadlineMs: 10 })],
      ['rpc/say', encodeCbor({ id: 'x', replyTo: 'a/+/b', deadlineMs: 10 })],
      ['rpc/say', encodeCbor({ id: 'x', replyTo: 'ganglion/d2/set/lock.a', deadlineMs: 10 })],
      ['rpc/say', encodeCbor({ id: 'x', replyTo: 'ganglion/d2/availability', deadlineMs: 10 })],
      ['rpc/say', encodeCbor({ id: 'x', replyTo: 'homeassistant/status', deadlineMs: 10 })],
    ]
    const rounds = 50
    for (let n = 0; n < rounds; n++)
      await Promise.all(bad.map(([topic, payload]) => peer.say(`ganglion/d1/${topic}`, payload)))
    await peer.say('ganglion/d1/set/light.a', '{"state":"on","id":"good"}')
    await eventually(() => expect(commands).toEqual(['good']))
    expect(link.stats()).toMatchObject({ connected: true, badMessages: rounds * bad.length })
    expect(lines.filter((line) => line.includes('bad message dropped'))).toHaveLength(1)
    expect(peer.heard.filter((m) => m.topic === 'ganglion/d2/set/lock.a')).toEqual([])
  })

  test('messages over the limit are dropped before they are collected; later ones arrive [link-6]', async () => {
    const { peer, link } = await pair()
    const commands: string[] = []
    link.onSet((_, { id }) => void commands.push(String(id)))
    // More than a broker keeps in flight to one client: had they not been acknowledged, nothing would follow.
    for (let n = 0; n < 120; n++)
      await peer.say('ganglion/d1/set/light.a', new Uint8Array(200_000).fill(0x20))
    await peer.say('ganglion/d1/set/light.a', '{"id":"good"}')
    await eventually(() => expect(commands).toEqual(['good']))
    expect(link.stats()).toMatchObject({ connected: true, badMessages: 120 })
  })

  test('a repeated command or call is carried out once [link-7]', async () => {
    const { peer, link } = await pair()
    const commands: string[] = []
    let calls = 0
    link.onSet((entity, { id }) => void commands.push(`${entity} ${id}`))
    link.onRpc(async () => ++calls)
    for (const entity of ['light.a', 'light.a', 'light.b', 'light.a'])
      await peer.say(`ganglion/d1/set/${entity}`, '{"state":"on","id":"c1"}')
    const request = encodeCbor({ id: 'r1', replyTo: 'ganglion/peer/reply', deadlineMs: 1000 })
    await peer.say('ganglion/d1/rpc/status', request)
    await peer.say('ganglion/d1/rpc/status', request)
    await peer.say('ganglion/d1/set/light.a', '{"state":"on","id":"last"}')
    await eventually(() => expect(commands).toEqual(['light.a c1', 'light.b c1', 'light.a last']))
    await peer.hear('answer', (m) => m.topic === 'ganglion/peer/reply')
    expect(calls).toBe(1)
  })

  test('a retained command is never carried out, at no reconnect [link-8]', async () => {
    const broker = stack.use(await start())
    const peer = stack.use(await Peer.connect(broker.url))
    await peer.say('ganglion/d1/set/lock.a', '{"state":"unlocked"}', { retain: true })
    const link = await openLink(broker.url)
    const commands: unknown[] = []
    link.onSet((_, message) => void commands.push(message['state']))
    await connected(link)
    await eventually(() => expect(link.stats().badMessages).toBe(1))
    await peer.say('ganglion/d1/set/lock.a', '{"state":"locked"}')
    await eventually(() => expect(commands).toEqual(['locked']))
  })

  test('calls end by their deadline, and every way to fail has its code [link-9]', async () => {
    const { peer, link } = await pair({ rpcCallsMax: 2 })
    const early = await call(peer, 'status')
    expect(early).toMatchObject({ ok: false, error: { code: 'unavailable' } })
    let aborted = false
    link.onRpc(async (_method, request, signal) => {
      if (request['how'] === 'hang')
        return await new Promise((_, reject) => {
          signal.addEventListener('abort', () => {
            aborted = true
            reject(signal.reason)
          })
        })
      if (request['how'] === 'large') return 'x'.repeat(200_000)
      if (request['how'] === 'refuse') throw new RpcError('not-found', 'no such entity')
      throw new Error('boom')
    })
    const codeOf = async (how: string, deadlineMs = 2000) => {
      const reply = await call(peer, 'command', { how, deadlineMs })
      return reply.ok ? 'ok' : reply.error.code
    }
    expect(await codeOf('hang', 20)).toBe('deadline')
    expect(aborted).toBe(true)
    expect(await codeOf('large')).toBe('internal')
    expect(await codeOf('refuse')).toBe('not-found')
    expect(await codeOf('throw')).toBe('internal')
    expect(await call(peer, 'reboot')).toMatchObject({ ok: false, error: { code: 'not-found' } })
    const two = [codeOf('hang', 1500), codeOf('hang', 1500)]
    expect(await codeOf('refuse')).toBe('unavailable')
    expect(await Promise.all(two)).toEqual(['deadline', 'deadline'])
  })

  test('disposal sends what waits and says offline; nothing is sent after it [link-5]', async () => {
    const { peer, link } = await pair()
    for (let n = 0; n < 50; n++) void link.publishEvent('count', { n }, 'event')
    await link.publishEvent('count', { n: 50 }, 'event')
    await link[Symbol.asyncDispose]()
    await peer.hear('offline', isAvailability('offline'))
    expect(peer.json('ganglion/d1/event/count')).toHaveLength(51)
    expect(link.connected).toBe(false)
    await expect(link.publishEvent('count', {}, 'event')).rejects.toMatchObject({ code: 'closed' })
    expect(() => link.setRetained('a', 'b')).toThrow(LinkError)
  })

  test('availability that somebody else overwrites is put right [link-5]', async () => {
    const { peer } = await pair()
    await peer.say('ganglion/d1/availability', 'offline', { retain: true })
    await peer.until('online again', () => {
      const said = peer.heard.filter((m) => m.topic === 'ganglion/d1/availability').map((m) => `${m.payload}`)
      return said.lastIndexOf('online') > said.lastIndexOf('offline') && said.includes('offline')
    })
  })

  test('discovery is sent again when Home Assistant starts, and nothing else', async () => {
    const { peer, link } = await pair()
    link.setRetained('homeassistant/device/x/config', '{}')
    link.setRetained('ganglion/d1/state/light.a', '1')
    await peer.hear('discovery', (m) => m.topic === 'homeassistant/device/x/config')
    await peer.hear('state', (m) => m.topic === 'ganglion/d1/state/light.a')
    peer.heard.length = 0
    await peer.say('homeassistant/status', 'online')
    await peer.hear('discovery', (m) => m.topic === 'homeassistant/device/x/config')
    expect(peer.heard.filter((m) => m.topic === 'ganglion/d1/state/light.a')).toEqual([])
  })

  test('a cleared value is gone from the broker', async () => {
    const { broker, peer, link } = await pair()
    link.setRetained('ganglion/d1/state/light.a', '1')
    await peer.hear('state', (m) => m.topic === 'ganglion/d1/state/light.a')
    link.clearRetained('ganglion/d1/state/light.a')
    await peer.hear('cleared', (m) => m.topic === 'ganglion/d1/state/light.a' && m.payload.length === 0)
    const later = stack.use(await Peer.connect(broker.url))
    await later.hear('availability', isAvailability('online'))
    expect(later.heard.filter((m) => m.topic.includes('state'))).toEqual([])
  })

  test('ephemeral messages arrive while connected and are dropped while not', async () => {
    const port = await freePort()
    const link = await openLink(`mqtt://127.0.0.1:${port}`)
    expect(link.publishEphemeral('ganglion/d1/level', '1')).toBe(false)
    const broker = stack.use(await start(port))
    const peer = stack.use(await Peer.connect(broker.url))
    await connected(link)
    expect(link.publishEphemeral('ganglion/d1/level', '2')).toBe(true)
    const { payload } = await peer.hear('level', (m) => m.topic === 'ganglion/d1/level')
    expect(`${payload}`).toBe('2')
  })
})
