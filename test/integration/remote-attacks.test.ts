/** Commands to other devices when links are cut, devices die, and somebody on the broker means ill. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Json } from '../../runtime/agent/contract.ts'
import type { Outcome } from '../../runtime/agent/service.ts'
import { seal } from '../../runtime/agent/together/envelope.ts'
import { realClock } from '../../runtime/base/clock.ts'
import { Identity } from '../../runtime/base/identity.ts'
import { Peer, startAedes, type TestBroker } from '../fixtures/broker.ts'
import { startProxy } from '../fixtures/proxy.ts'
import { anybody, type House, openHouse } from '../fixtures/remote-site.ts'
import { smallHome } from '../fixtures/sim-home.ts'
import { until } from '../fixtures/site.ts'
import { type Asked, perform } from '../unit/agent/services/performed.ts'

const atticHome = `
areas: [{ id: attic, name: Attic }]
entities:
  - { id: light.attic, name: Attic Light, area: attic, state: 'off' }
`
let stack: AsyncDisposableStack
let broker: TestBroker
let hubDir: string
beforeEach(async () => {
  stack = new AsyncDisposableStack()
  hubDir = mkdtempSync(join(tmpdir(), 'hub-'))
  stack.defer(() => rmSync(hubDir, { recursive: true, force: true }))
  broker = stack.use(await startAedes())
})
afterEach(() => stack.disposeAsync())

const openHub = async (yaml = smallHome) =>
  stack.use(await openHouse(broker.url, 'hub', yaml, anybody, hubDir))
const openAttic = async (url = broker.url) => stack.use(await openHouse(url, 'attic', atticHome))
const believing = (...houses: readonly House[]) =>
  until('they believe each other', () =>
    houses.every(({ device }) => device.link.connected && device.peers.known.length === houses.length),
  )

let callId = 0
function command(
  from: House,
  entity: string,
  fields: { readonly [name: string]: Json },
  more: Partial<Asked> = {},
): Promise<Outcome> {
  callId += 1
  const asked = { args: { entity, command: fields }, askedMs: realClock.nowMs(), id: callId, ...more }
  return perform(from.services, 'command', asked).outcome
}

/** Holds the hardware up until it is let go. */
function held() {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { wait: () => promise, letGo: resolve }
}

describe('a command under way', () => {
  test('is done once though the link of who asked is cut in the middle [remote-5]', async () => {
    const proxy = stack.use(await startProxy(broker.port))
    const [hub, attic] = await Promise.all([openHub(), openAttic(`mqtt://127.0.0.1:${proxy.port}`)])
    await believing(hub, attic)
    const gate = held()
    const commanded = hub.watch('lock.front', gate.wait)
    const outcome = command(attic, 'lock.front@hub', { state: 'unlocked' })
    await until('it is under way', () => commanded.length === 1)
    proxy.cut()
    await until('attic is cut off', () => !attic.device.link.connected)
    gate.letGo()
    await until('the door is open', () => hub.registry.get('lock.front')?.telemetry.state === 'unlocked')
    expect(await outcome).toMatchObject({ ok: true, value: { shown: 'state unlocked' } })
    expect(commanded).toEqual(['agent:night-watch@attic'])
  }, 60_000)

  const openDoor = smallHome.replace('state: locked', 'state: unlocked')
  test.each([
    ['is done where it is then seen, and not repeated', openDoor, { ok: true, value: { already: true } }],
    ['is uncertain where it is not seen, and not repeated', smallHome, { error: { code: 'uncertain' } }],
  ])(
    'when the asked device dies %s [remote-11]',
    async (_, later, expected) => {
      const [hub, attic] = await Promise.all([openHub(), openAttic()])
      await believing(hub, attic)
      const commanded = hub.watch('lock.front', held().wait)
      const outcome = command(attic, 'lock.front@hub', { state: 'unlocked' })
      await until('it is under way', () => commanded.length === 1)
      await hub[Symbol.asyncDispose]()
      const again = await openHub(later)
      const repeated = again.watch('lock.front')
      expect(await outcome).toMatchObject(expected)
      expect(repeated).toEqual([])
    },
    60_000,
  )

  test('that may be repeated is repeated when the asked device dies', async () => {
    const [hub, attic] = await Promise.all([openHub(), openAttic()])
    await believing(hub, attic)
    const commanded = hub.watch('light.hall', held().wait)
    const outcome = command(attic, 'light.hall@hub', { state: 'on' })
    await until('it is under way', () => commanded.length === 1)
    await hub[Symbol.asyncDispose]()
    const again = await openHub()
    expect(await outcome).toMatchObject({ ok: true, value: { shown: 'state on' } })
    expect(again.registry.get('light.hall')?.telemetry.state).toBe('on')
  }, 60_000)

  test('is uncertain where the asked device never comes back [remote-10]', async () => {
    const [hub, attic] = await Promise.all([openHub(), openAttic()])
    await believing(hub, attic)
    const commanded = hub.watch('lock.front', held().wait)
    const args = {
      entity: 'lock.front@hub',
      command: { state: 'unlocked' },
      deadlineMs: realClock.nowMs() + 2_000,
    }
    const outcome = command(attic, 'lock.front@hub', { state: 'unlocked' }, { args })
    await until('it is under way', () => commanded.length === 1)
    await hub[Symbol.asyncDispose]()
    expect(await outcome).toMatchObject({
      error: { code: 'uncertain', message: expect.stringContaining('hub') },
    })
  }, 60_000)

  test('is told as it ended to an agent whose device restarted, and not repeated [remote-5]', async () => {
    const [hub, attic] = await Promise.all([openHub(), openAttic()])
    await believing(hub, attic)
    const commanded = hub.watch('media_player.radio')
    const same = { id: 900, askedMs: realClock.nowMs() }
    const first = await command(attic, 'media_player.radio@hub', { action: 'next' }, same)
    expect(first).toMatchObject({ ok: true })
    expect(
      await command(attic, 'media_player.radio@hub', { action: 'next' }, { ...same, resumed: true }),
    ).toEqual(first)
    expect(commanded).toHaveLength(1)
  }, 60_000)
})

describe('somebody on the broker', () => {
  test('who signs with another key, or is believed by nobody, commands nothing [remote-4]', async () => {
    const [hub, attic] = await Promise.all([openHub(), openAttic()])
    await believing(hub, attic)
    const commanded = hub.watch('light.hall')
    const peer = stack.use(await Peer.connect(broker.url))
    const keyOf = (name: string) => {
      const directory = mkdtempSync(join(tmpdir(), `${name}-`))
      stack.defer(() => rmSync(directory, { recursive: true, force: true }))
      return Identity.open(name, directory)
    }
    const ask = {
      ...{
        kind: 'ask',
        to: 'hub',
        id: 'x/1/1',
        at: 1,
        session: '',
        agent: 'night-watch',
        lineage: '',
        token: 1,
      },
      ...{ entity: 'light.hall', command: { state: 'on' }, ttlMs: 30_000, resumed: false },
    }
    const stranger = keyOf('mallory')
    await peer.say('ganglion/site/command/hub/attic', seal(keyOf('attic'), 'command', ask))
    // Signed by one that is believed, for another purpose, and to another device.
    await peer.say('ganglion/site/command/hub/attic', seal(attic.device.identity, 'decide', ask))
    await peer.say(
      'ganglion/site/command/hub/attic',
      seal(attic.device.identity, 'command', { ...ask, to: 'cellar' }),
    )
    await peer.say('ganglion/site/command/hub/mallory', seal(attic.device.identity, 'command', ask))
    await peer.say('ganglion/site/command/hub/attic', 'no JSON')
    await peer.say('ganglion/site/command/hub/mallory', seal(stranger, 'command', ask))
    const answer = await peer.hear(
      'it is refused',
      ({ topic }) => topic === 'ganglion/site/command/mallory/hub',
    )
    expect(JSON.parse(JSON.parse(String(answer.payload)).body)).toMatchObject({
      ...{ kind: 'over', to: 'mallory', result: { outcome: 'refused' } },
    })
    expect(commanded).toEqual([])
    expect(hub.recorded).toEqual([])
  }, 60_000)

  test('who says again what others said repeats nothing, nor after a restart [remote-5]', async () => {
    const [hub, attic] = await Promise.all([openHub(), openAttic()])
    await believing(hub, attic)
    const peer = stack.use(await Peer.connect(broker.url))
    const commanded = hub.watch('media_player.radio')
    expect(await command(attic, 'media_player.radio@hub', { action: 'next' })).toMatchObject({ ok: true })
    const topic = 'ganglion/site/command/hub/attic'
    const said = peer.heard.filter((message) => message.topic === topic).map(({ payload }) => payload)
    expect(said.length).toBeGreaterThan(1)
    for (const payload of said) await peer.say(topic, payload)
    expect(await command(attic, 'light.hall@hub', { state: 'on' })).toMatchObject({ ok: true })
    expect(commanded).toHaveLength(1)
    await hub[Symbol.asyncDispose]()
    const again = await openHub()
    const later = again.watch('media_player.radio')
    await until(
      'attic knows that it is back',
      () => attic.remote.things.get('light.hall@hub')?.telemetry.state === 'off',
    )
    // Retained too: a broker that keeps it would say it at every reconnect.
    for (const payload of said) await peer.say(topic, payload, { retain: true })
    expect(await command(attic, 'light.hall@hub', { state: 'on' })).toMatchObject({ ok: true })
    expect(later).toEqual([])
  }, 60_000)

  test('who says that it is done is not believed', async () => {
    const [hub, attic] = await Promise.all([openHub(), openAttic()])
    await believing(hub, attic)
    const peer = stack.use(await Peer.connect(broker.url))
    const gate = held()
    const commanded = hub.watch('light.hall', gate.wait)
    const outcome = command(attic, 'light.hall@hub', { state: 'on' })
    await until('it is under way', () => commanded.length === 1)
    const said = await peer.hear('the command', ({ topic }) => topic === 'ganglion/site/command/hub/attic')
    const { id } = JSON.parse(JSON.parse(String(said.payload)).body) as { id: string }
    const lie = { kind: 'over', to: 'attic', id, at: 1, result: { outcome: 'done', shown: 'a lie', ms: 1 } }
    const directory = mkdtempSync(join(tmpdir(), 'forger-'))
    await peer.say('ganglion/site/command/attic/hub', seal(Identity.open('hub', directory), 'command', lie))
    await peer.say('ganglion/site/command/attic/hub', seal(attic.device.identity, 'command', lie))
    rmSync(directory, { recursive: true })
    gate.letGo()
    expect(await outcome).toMatchObject({ ok: true, value: { shown: 'state on' } })
  }, 60_000)

  test('who floods a device’s topics fills no memory, and the newest state is told [remote-2]', async () => {
    const [hub, attic] = await Promise.all([openHub(), openAttic()])
    await believing(hub, attic)
    const peer = stack.use(await Peer.connect(broker.url, ['nothing']))
    const retain = { retain: true }
    await peer.say('ganglion/ghost/home', 'no JSON', retain)
    await peer.say('ganglion/ghost/availability', 'perhaps', retain)
    await peer.say('ganglion/ghost/state/light.hall', '{"v":1}', retain)
    await peer.say('ganglion/hub/state/light.made_up', '{"v":1,"state":"on","attributes":{},"ts":1}', retain)
    await peer.say(
      'ganglion/hub/state/light.hall',
      `{"v":1,"state":"${'x'.repeat(100_000)}","attributes":{},"ts":1}`,
      retain,
    )
    const ghost = perform(attic.services, 'read', { args: { entity: 'light.hall@ghost' }, askedMs: 0 })
    expect(await ghost.outcome).toMatchObject({ error: { code: 'unavailable' } })
    const seen = perform(attic.services, 'on', { args: { pattern: 'switch.*@hub', filter: {} }, askedMs: 0 })
    const read = (entity: string) => perform(attic.services, 'read', { args: { entity }, askedMs: 0 }).outcome
    expect(await read('switch.pump@hub')).toMatchObject({ ok: true, value: { state: 'off' } })
    expect(await read('light.made_up@hub')).toMatchObject({ error: { code: 'not-found' } })
    const said = Array.from({ length: 3_000 }, (_, at) =>
      peer.say('ganglion/hub/state/switch.pump', `{"v":1,"state":"on","attributes":{"at":${at}},"ts":${at}}`),
    )
    await Promise.all(said)
    await until('the newest is told', () => JSON.stringify(seen.items.at(-1)).includes('"at":2999'))
    expect(seen.items.length).toBeLessThan(3_000)
    const kept = attic.remote.things.entities()
    expect(kept.map(({ info }) => info.id)).toEqual(
      [...hub.registry.view().entities].map(({ info }) => `${info.id}@hub`),
    )
    seen.cancel()
  }, 60_000)
})
