/** Commands of agents: done when telemetry shows it, found again after a crash, never done twice. */
import { describe, expect, it } from 'vitest'
import type { FaultKind } from '../../../../hal/contract/board.ts'
import type { Json } from '../../../../runtime/agent/contract.ts'
import { openServices } from './home-services.ts'
import type { Asked } from './performed.ts'

async function command(
  entity: string,
  fields: { readonly [name: string]: Json },
  { fault, ...asked }: Partial<Asked> & { fault?: FaultKind } = {},
) {
  const home = await openServices()
  if (fault) home.sim.fault(entity, { kind: fault })
  const { outcome } = home.ask('command', { args: { entity, command: fields }, ...asked })
  return { ...home, outcome: await home.clock.run(() => outcome) }
}

/** How often a device was handed a command. */
function countCommands(home: Awaited<ReturnType<typeof openServices>>, entity: string) {
  const actuator = home.board.actuators.find(({ info }) => info.id === entity)
  if (!actuator) throw new Error(`no ${entity}`)
  const ids: string[] = []
  home.actuation.attach(
    new Proxy(actuator, {
      get(target, key) {
        const value = Reflect.get(target, key, target)
        if (typeof value !== 'function') return value
        if (key !== 'command') return value.bind(target)
        return (...args: Parameters<typeof actuator.command>) => {
          ids.push(args[1].id)
          return target.command(...args)
        }
      },
    }),
  )
  return ids
}

const wasLeft = { resumed: true }

describe('a command', () => {
  it('is done when telemetry shows it, and says what is shown', async () => {
    const { outcome, registry } = await command('light.hall', { state: 'on' })
    expect(outcome).toMatchObject({ ok: true, value: { entity: 'light.hall', shown: 'state on' } })
    expect(outcome).not.toHaveProperty('value.already')
    expect(registry.get('light.hall')?.telemetry.state).toBe('on')
  })

  it('says that it was so before', async () => {
    const { outcome } = await command('switch.pump', { state: 'off' })
    expect(outcome).toMatchObject({ ok: true, value: { already: true } })
  })

  it('under a lease is sent while its agent holds that, and not after [lease-13]', async () => {
    const home = await openServices()
    const under = (name: string) => {
      const args = { entity: 'light.hall', command: { state: 'on' }, lease: { name, token: 7 } }
      const { outcome } = home.ask('command', { args })
      return home.clock.run(() => outcome)
    }
    expect(await under('lost')).toMatchObject({
      error: { code: 'refused', message: expect.stringContaining('does not hold lost any more') },
    })
    expect(home.registry.get('light.hall')?.telemetry.state).toBe('off')
    expect(await under('held')).toMatchObject({ ok: true, value: { shown: 'state on' } })
  })

  it('under a lease that is gone when those before it have ended is not sent [lease-13]', async () => {
    let isHeld = true
    const home = await openServices(undefined, () => isHeld)
    const add = (item: string) => {
      const command = { action: 'add_item', item }
      const args = { entity: 'todo.shopping', command, lease: { name: 'list', token: 7 } }
      return home.ask('command', { args, id: item.length }).outcome
    }
    const [first, second] = await home.clock.run(() => {
      const both = [add('milk'), add('honey')]
      // It waits for the one before it, as items add up.
      home.clock.after(1, () => {
        isHeld = false
      })
      return Promise.all(both)
    })
    expect(first).toMatchObject({ ok: true })
    expect(second).toMatchObject({
      error: { code: 'refused', message: expect.stringContaining('does not hold list any more') },
    })
    expect(home.registry.get('todo.shopping')?.telemetry.state).toBe('1')
  })

  it('of what somebody asked for is given while they wait, and only looked for after [services-9]', async () => {
    const home = await openServices()
    const handed = countCommands(home, 'light.hall')
    const of = (request: string, entity: string, more: Partial<Asked> = {}) => {
      const { outcome } = home.ask('command', {
        args: { entity, command: { state: 'on' }, request },
        ...more,
      })
      return home.clock.run(() => outcome)
    }
    const over = { error: { code: 'refused', message: 'nobody waits any more for what was asked for' } }
    expect(await of('over', 'light.hall')).toMatchObject(over)
    expect(await of('over', 'light.hall', wasLeft)).toMatchObject({ error: { code: 'uncertain' } })
    expect(handed).toEqual([])
    expect(await of('open', 'light.hall')).toMatchObject({ ok: true, value: { shown: 'state on' } })
    expect(handed).toHaveLength(1)
    expect(await of('over', 'light.hall', wasLeft)).toMatchObject({ ok: true, value: { already: true } })
    expect(handed).toHaveLength(1)
  })

  it('says that nothing can show it', async () => {
    const { outcome } = await command('vacuum.rover', { action: 'locate' })
    expect(outcome).toMatchObject({ ok: true, value: { shown: 'unproven', unproven: true } })
  })

  it.each([
    ['light.nowhere', { state: 'on' }, 'not-found'],
    ['sensor.outside', { state: 'on' }, 'refused'],
    ['light.hall', { state: 'blue' }, 'refused'],
    ['light.hall', { state: 'on', explode: true }, 'refused'],
    ['light.hall', {}, 'refused'],
  ] as const)('%s %j is %s', async (entity, fields, code) => {
    const { outcome } = await command(entity, fields)
    expect(outcome).toMatchObject({ ok: false, error: { code } })
  })

  it.each(['stuck', 'offline', 'lost-command'] as const)('of a device that is %s fails', async (fault) => {
    const { outcome } = await command('light.hall', { state: 'on' }, { fault })
    expect(outcome).toMatchObject({ ok: false, error: { code: 'failed' } })
  })

  it('fails at its own deadline rather than send what is worth nothing any more', async () => {
    const home = await openServices()
    const ids = countCommands(home, 'light.hall')
    const deadlineMs = home.clock.nowMs() + 1_000
    const args = { entity: 'light.hall', command: { state: 'on' }, deadlineMs }
    const { outcome } = home.ask('command', { args, askedMs: home.clock.nowMs() - 5_000 })
    expect(await home.clock.run(() => outcome)).toMatchObject({ ok: true })
    const late = home.ask('command', {
      args: { ...args, command: { state: 'off' }, deadlineMs: home.clock.nowMs() - 1 },
      askedMs: home.clock.nowMs() - 5_000,
    })
    expect(await home.clock.run(() => late.outcome)).toMatchObject({ ok: false, error: { code: 'failed' } })
    expect(ids).toHaveLength(1)
  })

  it('carries the id of its call, the same after a restart [services-4]', async () => {
    const home = await openServices()
    const ids = countCommands(home, 'light.hall')
    const asked = {
      args: { entity: 'light.hall', command: { state: 'on' } },
      askedMs: home.clock.nowMs(),
      id: 7,
    }
    await home.clock.run(() => home.ask('command', asked).outcome)
    home.sim.set('light.hall', { state: 'off' })
    await home.clock.run(() => home.ask('command', { ...asked, resumed: true }).outcome)
    expect(ids).toHaveLength(2)
    expect(ids[1]).toBe(ids[0])
  })
})

describe('a command that was under way when the power went [services-5]', () => {
  it('is done where telemetry shows it, and is not sent again', async () => {
    const home = await openServices()
    home.sim.set('light.hall', { state: 'on' })
    const ids = countCommands(home, 'light.hall')
    const { outcome } = home.ask('command', {
      args: { entity: 'light.hall', command: { state: 'on' } },
      ...wasLeft,
    })
    expect(await home.clock.run(() => outcome)).toMatchObject({ ok: true, value: { already: true } })
    expect(ids).toEqual([])
  })

  it('is sent again where that is safe', async () => {
    const { outcome, registry } = await command('light.hall', { state: 'on' }, wasLeft)
    expect(outcome).toMatchObject({ ok: true, value: { shown: 'state on' } })
    expect(registry.get('light.hall')?.telemetry.state).toBe('on')
  })

  it('gets through although its device loses one', async () => {
    const home = await openServices()
    home.sim.fault('light.hall', { kind: 'lost-command', count: 1 })
    const { outcome } = home.ask('command', {
      args: { entity: 'light.hall', command: { state: 'on' } },
      ...wasLeft,
    })
    expect(await home.clock.run(() => outcome)).toMatchObject({ ok: true })
  })

  it('is uncertain where it is too late to ask again', async () => {
    const home = await openServices()
    const ids = countCommands(home, 'light.hall')
    const args = { entity: 'light.hall', command: { state: 'on' } }
    const { outcome } = home.ask('command', { args, askedMs: home.clock.nowMs() - 120_000, resumed: true })
    expect(await home.clock.run(() => outcome)).toMatchObject({
      ok: false,
      error: {
        code: 'uncertain',
        message: expect.stringContaining('telemetry shows state off, not state on'),
      },
    })
    expect(ids).toEqual([])
  })

  it.each([
    ['a second push would turn it round', 'cover.garage', { state: 'open' }],
    ['a door would open again', 'lock.front', { state: 'unlocked' }],
    ['an item would be there twice', 'todo.shopping', { action: 'add_item', item: 'milk' }],
    ['a second track would be skipped', 'media_player.radio', { action: 'next' }],
  ] as const)('is uncertain and not sent where %s', async (_, entity, fields) => {
    const home = await openServices()
    const ids = countCommands(home, entity)
    const { outcome } = home.ask('command', { args: { entity, command: fields }, ...wasLeft })
    expect(await home.clock.run(() => outcome)).toMatchObject({ ok: false, error: { code: 'uncertain' } })
    expect(ids).toEqual([])
  })

  it('is waited for while it is under way', async () => {
    const home = await openServices()
    const args = { entity: 'cover.garage', command: { state: 'open' } }
    const asked = { args, askedMs: home.clock.nowMs() }
    const first = home.ask('command', asked)
    const seen = new Promise<void>((resolve) => {
      home.registry.onReport(({ info, telemetry }) => {
        if (info.id === 'cover.garage' && telemetry.state === 'opening') resolve()
      })
    })
    await home.clock.run(() => seen)
    first.cancel()
    const ids = countCommands(home, 'cover.garage')
    const again = home.ask('command', { ...asked, resumed: true })
    expect(await home.clock.run(() => again.outcome)).toMatchObject({ ok: true, value: { already: true } })
    expect(ids).toEqual([])
  })

  it('to a slow device is done when telemetry shows it, not when it was sent', async () => {
    const home = await openServices()
    home.sim.fault('cover.blind', { kind: 'slow', factor: 2 })
    const { outcome } = home.ask('command', {
      args: { entity: 'cover.blind', command: { state: 'open' } },
      ...wasLeft,
    })
    expect(await home.clock.run(() => outcome)).toMatchObject({ ok: true })
    expect(home.sim.truth('cover.blind').state).toBe('open')
  })

  it('believes a device that lies: telemetry is all there is', async () => {
    const { outcome, sim } = await command('light.hall', { state: 'on' }, { ...wasLeft, fault: 'lying' })
    expect(outcome).toMatchObject({ ok: true })
    expect(sim.truth('light.hall').state).toBe('off')
  })
})
