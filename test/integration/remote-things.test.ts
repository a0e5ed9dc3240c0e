/** Agents sense and command things of other devices: over a real broker, with cut links, restarts, forgers and floods. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Json } from '../../runtime/agent/contract.ts'
import type { CallOp } from '../../runtime/agent/turn.ts'
import { realClock } from '../../runtime/base/clock.ts'
import { startAedes, type TestBroker } from '../fixtures/broker.ts'
import { anybody, type House, openHouse } from '../fixtures/remote-site.ts'
import { smallHome } from '../fixtures/sim-home.ts'
import { until } from '../fixtures/site.ts'
import { type Asked, perform } from '../unit/agent/services/performed.ts'

let stack: AsyncDisposableStack
let broker: TestBroker
beforeEach(async () => {
  stack = new AsyncDisposableStack()
  broker = stack.use(await startAedes())
})
afterEach(() => stack.disposeAsync())

const atticHome = `
areas: [{ id: attic, name: Attic }]
entities:
  - { id: light.attic, name: Attic Light, area: attic, state: 'off' }
`
async function house(name: string, yaml: string, rule = anybody): Promise<House> {
  return stack.use(await openHouse(broker.url, name, yaml, rule))
}
async function twoHouses(rule = anybody): Promise<{ attic: House; hub: House }> {
  const [attic, hub] = await Promise.all([house('attic', atticHome), house('hub', smallHome, rule)])
  await believing(attic, hub)
  return { attic, hub }
}
const believing = (...houses: readonly House[]) =>
  until('they believe each other', () =>
    houses.every(({ device }) => device.peers.known.length >= houses.length),
  )

let callId = 0
const ask = ({ services }: House, op: CallOp, args: Asked['args'], more: Partial<Asked> = {}) => {
  callId += 1
  return perform(services, op, { args, askedMs: realClock.nowMs(), id: callId, ...more })
}
const command = (
  from: House,
  entity: string,
  fields: { readonly [name: string]: Json },
  more: Partial<Asked> = {},
) => ask(from, 'command', { entity, command: fields }, more).outcome

describe('an agent', () => {
  test('reads, lists, awaits and commands things of another device as its own [remote-1]', async () => {
    const { attic, hub } = await twoHouses()
    expect(attic.remote.things.listened).toBe(0)
    expect(await ask(attic, 'read', { entity: 'light.hall@hub' }).outcome).toMatchObject({
      ok: true,
      value: { entity: 'light.hall@hub', state: 'off', area: 'hall' },
    })
    expect(await ask(attic, 'entities', { pattern: 'light.*@*' }).outcome).toEqual({
      ok: true,
      value: ['light.attic@attic', 'light.hall@hub'],
    })
    expect(await ask(attic, 'entities', { pattern: 'light.*' }).outcome).toEqual({
      ok: true,
      value: ['light.attic'],
    })
    const on = ask(attic, 'on', { pattern: 'light.*@*', filter: { to: 'on' } })
    await until('it listens', () => attic.remote.things.listened === 1)
    const pump = ask(attic, 'until', { entity: 'switch.pump@hub', filter: { to: 'on' } })
    const commanded = await command(attic, 'light.hall@hub', { state: 'on' })
    expect(commanded).toMatchObject({ ok: true, value: { entity: 'light.hall@hub', shown: 'state on' } })
    expect(hub.registry.get('light.hall')?.telemetry.state).toBe('on')
    await until('it is told', () => on.items.length > 0)
    expect(on.items[0]).toMatchObject({ entity: 'light.hall@hub', state: 'on', from: 'off', area: 'hall' })
    expect(await command(attic, 'switch.pump@hub', { state: 'on' })).toMatchObject({ ok: true })
    expect(await pump.outcome).toMatchObject({ ok: true, value: { entity: 'switch.pump@hub', from: 'off' } })
    expect(await command(attic, 'light.attic@attic', { state: 'on' })).toMatchObject({ ok: true })
    expect(await ask(attic, 'read', { entity: 'light.attic' }).outcome).toMatchObject({
      value: { state: 'on' },
    })
    on.cancel()
    expect(hub.recorded).toMatchObject([
      { kind: 'remote-command', principal: 'agent:night-watch@attic', about: 'light.hall', verdict: 'allow' },
      { kind: 'remote-effect', outcome: 'done' },
      { kind: 'remote-command', about: 'switch.pump' },
      { kind: 'remote-effect', outcome: 'done' },
    ])
  }, 60_000)

  test('is told how far what another device reports may travel', async () => {
    const { attic, hub } = await twoHouses()
    const read = () => ask(attic, 'read', { entity: 'sensor.outside@hub' }).outcome
    expect(await read()).not.toHaveProperty('privacy')
    hub.sim.set('sensor.outside', { attributes: { privacy: 'device' } })
    await until('attic has heard', async () => 'privacy' in (await read()))
    expect(await read()).toMatchObject({ ok: true, privacy: 'device' })
  }, 60_000)

  test('hears the same errors of another device’s things as of its own', async () => {
    const { attic } = await twoHouses()
    const codeOf = async (...asked: Parameters<typeof command>) => {
      const outcome = await command(...asked)
      return outcome.ok ? 'done' : outcome.error.code
    }
    expect(await codeOf(attic, 'light.nowhere@hub', { state: 'on' })).toBe('not-found')
    expect(await codeOf(attic, 'sensor.outside@hub', { state: 'on' })).toBe('refused')
    expect(await codeOf(attic, 'light.hall@hub', { state: 'blue' })).toBe('refused')
    const unknown = await ask(attic, 'read', { entity: 'light.hall@cellar' }).outcome
    expect(unknown).toMatchObject({
      error: { code: 'unavailable', message: expect.stringContaining('cellar') },
    })
  }, 60_000)

  test('is told at once that a device is offline, and that its things are unavailable [remote-3] [remote-9]', async () => {
    const { attic, hub } = await twoHouses()
    const gone = ask(attic, 'on', { pattern: 'light.*@hub', filter: { to: 'unavailable' } })
    expect(await ask(attic, 'read', { entity: 'light.hall@hub' }).outcome).toMatchObject({ ok: true })
    await hub[Symbol.asyncDispose]()
    await until('it is told', () => gone.items.length === 1)
    gone.cancel()
    expect(await command(attic, 'light.hall@hub', { state: 'on' })).toEqual({
      ok: false,
      error: { code: 'unavailable', message: 'hub is offline' },
    })
    expect(await ask(attic, 'read', { entity: 'light.hall@hub' }).outcome).toMatchObject({
      value: { state: 'unavailable' },
    })
  }, 60_000)
})

describe('the asked device', () => {
  const strict = { remoteCommands: 'same-site', remoteAllow: [] } as const
  test('lets nobody open its doors whom its own configuration does not name [remote-6]', async () => {
    const { attic, hub } = await twoHouses(strict)
    const moved = hub.watch('lock.front')
    for (const [entity, fields] of [
      ['lock.front@hub', { state: 'unlocked' }],
      ['valve.main@hub', { state: 'closed' }],
      ['cover.garage@hub', { state: 'open' }],
    ] as const)
      expect(await command(attic, entity, fields)).toMatchObject({
        error: { code: 'refused', message: expect.stringContaining('device.agents.remoteAllow') },
      })
    expect(moved).toEqual([])
    expect(await command(attic, 'cover.blind@hub', { position: 50 })).toMatchObject({ ok: true })
    expect(hub.recorded[0]).toMatchObject({ kind: 'remote-command', about: 'lock.front', verdict: 'deny' })
  }, 60_000)

  test('lets nobody command anything where its configuration says so', async () => {
    const { attic } = await twoHouses({ remoteCommands: 'none', remoteAllow: anybody.remoteAllow })
    expect(await command(attic, 'light.hall@hub', { state: 'on' })).toMatchObject({
      error: { code: 'refused' },
    })
  }, 60_000)

  test('refuses a copy of an agent that goes on elsewhere [things-8]', async () => {
    const { attic } = await twoHouses()
    const cellar = await house('cellar', atticHome.replaceAll('attic', 'cellar'))
    await until(
      'all believe each other',
      () => cellar.device.peers.known.length === 3 && attic.device.peers.known.length === 3,
    )
    expect(await command(attic, 'light.hall@hub', { state: 'on' }, { token: 7 })).toMatchObject({ ok: true })
    expect(await command(cellar, 'light.hall@hub', { state: 'off' }, { token: 8 })).toMatchObject({
      ok: true,
    })
    const old = await command(attic, 'light.hall@hub', { state: 'on' }, { token: 7 })
    expect(old).toMatchObject({ error: { code: 'refused', message: expect.stringContaining('elsewhere') } })
  }, 60_000)

  test('does not take two agents of one name, begun on two devices, for copies of each other', async () => {
    const { attic, hub } = await twoHouses()
    const there = { lineage: 'aa', token: 9 }
    expect(await command(attic, 'light.hall@hub', { state: 'on' }, there)).toMatchObject({ ok: true })
    const here = { lineage: 'bb', token: 8 }
    expect(await command(hub, 'light.hall', { state: 'off' }, here)).toMatchObject({ ok: true })
    expect(await command(attic, 'light.hall@hub', { state: 'on' }, there)).toMatchObject({ ok: true })
    // Carried back to its own device, it is the same one.
    const carried = { lineage: 'aa', token: 10 }
    expect(await command(hub, 'light.hall', { state: 'off' }, carried)).toMatchObject({ ok: true })
    expect(await command(attic, 'light.hall@hub', { state: 'on' }, there)).toMatchObject({
      error: { code: 'refused' },
    })
  }, 60_000)
})
