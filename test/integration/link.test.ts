/** The link against real brokers: aedes (MQTT 3.1.1) and mosquitto (MQTT 5). */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { realClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { Outbox } from '../../runtime/link/outbox.ts'
import { Link, type LinkOptions } from '../../runtime/link/session.ts'
import { decodeCbor, encodeCbor } from '../../runtime/wire/cbor.ts'
import {
  freePort,
  mosquittoPath,
  Peer,
  type StartBroker,
  startAedes,
  startMosquitto,
} from '../fixtures/broker.ts'

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

describe.each(brokers)('the link with $name', ({ start, version, present }) => {
  describe.skipIf(!present)('', () => {
    let directory: string
    let stack: AsyncDisposableStack

    beforeEach(() => {
      directory = mkdtempSync(join(tmpdir(), 'link-'))
      stack = new AsyncDisposableStack()
      stack.defer(() => rmSync(directory, { recursive: true, force: true }))
    })
    afterEach(() => stack.disposeAsync())

    async function openLink(brokerUrl: string, options: Partial<LinkOptions> = {}): Promise<Link> {
      const deps = { clock: realClock, log: silentLog }
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

    test('it connects with the newest version the broker speaks and says that it is online', async () => {
      const broker = stack.use(await start())
      const peer = stack.use(await Peer.connect(broker.url))
      const link = await openLink(broker.url)
      await peer.hear('online', (m) => m.topic === 'ganglion/d1/availability' && `${m.payload}` === 'online')
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
      const broker = stack.use(await start())
      const peer = stack.use(await Peer.connect(broker.url))
      const link = await openLink(broker.url)
      const commands: unknown[] = []
      link.onSet((entity, message) => void commands.push({ entity, ...message }))
      link.onRpc(async (method, request) => ({ method, text: request['text'] }))
      await connected(link)
      await peer.say('ganglion/d1/set/light.a', '{"state":"on","id":"c1"}')
      const replyTo = 'ganglion/peer/reply'
      const call = { id: 'r1', replyTo, deadlineMs: 1000, text: 'hello' }
      await peer.say('ganglion/d1/rpc/say', encodeCbor(call))
      const reply = await peer.hear('answer', (m) => m.topic === replyTo)
      expect(decodeCbor(reply.payload, 1000)).toEqual({
        ok: true,
        value: { id: 'r1', ok: true, result: { method: 'say', text: 'hello' } },
      })
      expect(commands).toEqual([{ entity: 'light.a', state: 'on', id: 'c1' }])
    })
  })
})
