/** Verified actuation against the simulated board: what is done, what failed, what was refused, and why. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { FaultKind } from '../../../hal/contract/board.ts'
import type { ActuationRequest } from '../../../runtime/things/actuation.ts'
import { openSimHome } from '../../fixtures/sim-home.ts'

async function command(
  entity: string,
  fields: Record<string, unknown>,
  fault?: FaultKind,
  rest: Partial<ActuationRequest> = {},
) {
  const home = await openSimHome()
  if (fault) home.sim.fault(entity, { kind: fault })
  const report = await home.clock.run(() =>
    home.actuation.run({ entity, command: fields, principal: 'user', ...rest }, home.signal),
  )
  return { ...home, report, telemetry: () => home.registry.get(entity)?.telemetry }
}

describe('a command is done only when telemetry shows its effect [actuation-1]', () => {
  it.each([
    ['light.hall', { state: 'on', brightness: 128, rgb_color: [255, 0, 0] }, 'on'],
    ['switch.pump', { state: 'on' }, 'on'],
    ['cover.garage', { state: 'open' }, 'open'],
    ['cover.blind', { position: 40 }, 'open'],
    ['valve.main', { state: 'closed' }, 'closed'],
    ['lock.front', { state: 'unlocked' }, 'unlocked'],
    ['climate.hall', { temperature: 22 }, 'heat'],
    ['media_player.radio', { volume_level: 0.2 }, 'playing'],
    ['vacuum.rover', { action: 'start' }, 'cleaning'],
    ['fan.hall', { percentage: 66 }, 'on'],
    ['todo.shopping', { action: 'add_item', item: 'milk' }, '1'],
  ])('%s %j ends with state %s', async (entity, fields, state) => {
    const { report, telemetry } = await command(entity, fields)
    expect(report).toMatchObject({ outcome: 'done', evidence: { attempts: 1, observed: { state } } })
    expect(telemetry()?.state).toBe(state)
  })

  it('says how long it took, in the device’s time', async () => {
    const { report } = await command('cover.garage', { state: 'open' })
    expect(report.latencyMs).toBeGreaterThan(1000)
  })

  it('says that a lamp was on before', async () => {
    const home = await openSimHome()
    home.sim.set('light.hall', { state: 'on' })
    const report = await home.clock.run(() =>
      home.actuation.run({ entity: 'light.hall', command: { state: 'on' }, principal: 'user' }, home.signal),
    )
    expect(report).toMatchObject({ outcome: 'done', evidence: { reason: 'it was so before' } })
  })
})

describe('what was so before', () => {
  it('is proof only once the device reports again: opening a cover that is partly open opens it', async () => {
    const home = await openSimHome()
    home.sim.set('cover.blind', { state: 'open', attributes: { current_position: 30 } })
    const report = await home.clock.run(() =>
      home.actuation.run(
        { entity: 'cover.blind', command: { state: 'open' }, principal: 'user' },
        home.signal,
      ),
    )
    expect(report.outcome).toBe('done')
    expect(home.registry.get('cover.blind')?.telemetry.attributes['current_position']).toBe(100)
  })

  it('is enough when the device has nothing to say about it', async () => {
    const home = await openSimHome()
    home.sim.set('light.hall', { state: 'on' })
    home.sim.fault('light.hall', { kind: 'lost-command' })
    const report = await home.clock.run(() =>
      home.actuation.run({ entity: 'light.hall', command: { state: 'on' }, principal: 'user' }, home.signal),
    )
    expect(report).toMatchObject({ outcome: 'done', evidence: { reason: 'it was so before', attempts: 1 } })
  })

  it('does not hide a small change: a fan at 80 % asked for 90 % ends at 90 %', async () => {
    const home = await openSimHome()
    home.sim.set('fan.hall', { state: 'on', attributes: { percentage: 80 } })
    await home.clock.run(() =>
      home.actuation.run({ entity: 'fan.hall', command: { percentage: 90 }, principal: 'user' }, home.signal),
    )
    expect(home.registry.get('fan.hall')?.telemetry.attributes['percentage']).toBe(90)
  })
})

describe('a tolerance', () => {
  it.each([
    ['climate.hall', { temperature: 20.5 }],
    ['light.hall', { brightness: 101 }],
    ['fan.hall', { percentage: 2 }],
    ['media_player.radio', { volume_level: 0.51 }],
    ['cover.blind', { position: 2 }],
  ])('never lets standing still count: %s %j on a stuck device', async (entity, fields) => {
    const home = await openSimHome()
    home.sim.set('light.hall', { state: 'on' })
    home.sim.fault(entity, { kind: 'stuck' })
    const report = await home.clock.run(() =>
      home.actuation.run({ entity, command: fields, principal: 'user' }, home.signal),
    )
    expect(report.outcome).toBe('failed')
  })
})

describe('a command whose effect does not show fails honestly', () => {
  it('names what was seen when a lamp is stuck, after one retry [actuation-3]', async () => {
    const { report } = await command('light.hall', { state: 'on' }, 'stuck')
    expect(report.outcome).toBe('failed')
    expect(report.evidence.attempts).toBe(2)
    expect(report.evidence.reason).toContain('telemetry showed state off, not state on')
  })

  it('gets a lost command through with the retry', async () => {
    const home = await openSimHome()
    home.sim.fault('light.hall', { kind: 'lost-command', count: 1 })
    const report = await home.clock.run(() =>
      home.actuation.run({ entity: 'light.hall', command: { state: 'on' }, principal: 'user' }, home.signal),
    )
    expect(report).toMatchObject({ outcome: 'done', evidence: { attempts: 2 } })
  })

  it.each([
    ['lock.front', { state: 'unlocked' }],
    ['cover.garage', { state: 'open' }],
    ['media_player.radio', { state: 'off', action: 'next' }],
  ])('never sends %s %j twice: a repeat could be dangerous [actuation-3]', async (entity, fields) => {
    const { report } = await command(entity, fields, 'stuck')
    expect(report).toMatchObject({ outcome: 'failed', evidence: { attempts: 1 } })
  })

  it('adds an item once although the command is sent twice', async () => {
    const home = await openSimHome()
    home.sim.fault('todo.shopping', { kind: 'slow', factor: 200 })
    await home.clock.run(() =>
      home.actuation.run(
        { entity: 'todo.shopping', command: { action: 'add_item', item: 'milk' }, principal: 'user' },
        home.signal,
      ),
    )
    home.clock.advance(60_000)
    expect(home.sim.truth('todo.shopping').state).toBe('1')
  })

  it('says that an offline device did not answer', async () => {
    const { report } = await command('switch.pump', { state: 'on' }, 'offline')
    expect(report).toMatchObject({ outcome: 'failed', evidence: { observed: { state: 'unavailable' } } })
  })

  it('does not send a command that waited longer than its time to live', async () => {
    const home = await openSimHome()
    const { actuation, clock, signal } = home
    const add = (item: string, ttlMs: number) =>
      actuation.run(
        { entity: 'todo.shopping', command: { action: 'add_item', item }, principal: 'user', ttlMs },
        signal,
      )
    home.sim.fault('todo.shopping', { kind: 'slow', factor: 50 })
    const [, second] = await clock.run(() => Promise.all([add('milk', 30_000), add('eggs', 100)]))
    expect(second).toMatchObject({ outcome: 'failed', evidence: { attempts: 0 } })
    expect(second?.evidence.reason).toContain('before it could be sent')
  })
})

describe('a command that makes no sense is refused before anything moves [actuation-2]', () => {
  it.each([
    ['light.attic', { state: 'on' }, 'there is no light.attic'],
    ['sensor.outside', { state: 'on' }, 'only reports'],
    ['light.hall', { state: 'purple' }, 'must be "on" or "off"'],
    ['light.hall', { brightness: 900 }, '0 to 255'],
    ['light.hall', {}, 'empty'],
    ['light.hall', { state: 'on', explode: true }, 'explode'],
    ['cover.blind', { position: 50, state: 'open' }, 'one of'],
    ['climate.hall', { temperature: 900 }, '-50 to 150'],
    ['climate.hall', { temperature: 90 }, '35'],
    ['lock.front', { state: 'ajar' }, 'locked'],
  ])('%s %j', async (entity, fields, reason) => {
    const { report, board } = await command(entity, fields)
    expect(report.outcome).toBe('refused')
    expect(report.evidence.reason).toContain(reason)
    for (const component of board.components)
      expect(component.current().tsMs).toBeLessThanOrEqual(Date.UTC(2026, 0, 1, 12))
  })

  it('refuses the seventeenth command that waits on one entity', async () => {
    const { actuation, clock, signal } = await openSimHome()
    const add = (index: number) =>
      actuation.run(
        {
          entity: 'todo.shopping',
          command: { action: 'add_item', item: `item ${index}` },
          principal: 'user',
        },
        signal,
      )
    const reports = await clock.run(() => Promise.all(Array.from({ length: 17 }, (_, index) => add(index))))
    expect(reports.map((report) => report.outcome)).toEqual([...Array(16).fill('done'), 'refused'])
  })
})

describe('commands to one entity', () => {
  it('supersede each other: stop ends an opening cover [actuation-4]', async () => {
    const { actuation, clock, signal, registry } = await openSimHome()
    const run = (fields: Record<string, unknown>) =>
      actuation.run({ entity: 'cover.blind', command: fields, principal: 'user' }, signal)
    const [opened, stopped] = await clock.run(async () => {
      const opening = run({ state: 'open' })
      await new Promise<void>((resolve) => clock.after(2_000, resolve))
      return Promise.all([opening, run({ action: 'stop' })])
    })
    expect(opened).toMatchObject({
      outcome: 'failed',
      evidence: { reason: 'a later command took its place' },
    })
    expect(stopped.outcome).toBe('done')
    const position = registry.get('cover.blind')?.telemetry.attributes['current_position']
    expect(position).toBeGreaterThan(0)
    expect(position).toBeLessThan(100)
  })

  it('that add up wait for each other', async () => {
    const { actuation, clock, signal, registry } = await openSimHome()
    const add = (item: string) =>
      actuation.run(
        { entity: 'todo.shopping', command: { action: 'add_item', item }, principal: 'user' },
        signal,
      )
    const reports = await clock.run(() => Promise.all(['milk', 'eggs', 'milk'].map(add)))
    expect(reports.map((report) => report.outcome)).toEqual(['done', 'done', 'done'])
    expect(registry.get('todo.shopping')?.telemetry.state).toBe('3')
  })

  it('end when their caller stops waiting', async () => {
    const { actuation, clock } = await openSimHome()
    const caller = new AbortController()
    const report = await clock.run(async () => {
      const running = actuation.run(
        { entity: 'cover.garage', command: { state: 'open' }, principal: 'user' },
        caller.signal,
      )
      clock.after(1_000, () => caller.abort())
      return running
    })
    expect(report).toMatchObject({ outcome: 'failed', evidence: { reason: 'the caller stopped waiting' } })
  })
})

it('reports, for any commands and faults, done exactly when telemetry shows the effect [actuation-1] [actuation-5]', async () => {
  const faults = fc.constantFrom<FaultKind | undefined>(undefined, 'stuck', 'lost-command', 'offline', 'slow')
  const commands = fc.constantFrom<[string, Record<string, unknown>, string]>(
    ['light.hall', { state: 'on' }, 'on'],
    ['switch.pump', { state: 'on' }, 'on'],
    ['cover.blind', { state: 'open' }, 'open'],
    ['valve.main', { state: 'closed' }, 'closed'],
    ['lock.front', { state: 'unlocked' }, 'unlocked'],
  )
  await fc.assert(
    fc.asyncProperty(commands, faults, async ([entity, fields, state], fault) => {
      const { report } = await command(entity, fields, fault)
      expect(report.outcome === 'done').toBe(report.evidence.observed?.state === state)
      if (report.outcome !== 'done') expect(report.evidence.reason).toBeTruthy()
    }),
    { numRuns: 60 },
  )
})

it('completes an item, and says so only when it is no longer open', async () => {
  const { actuation, clock, signal, registry } = await openSimHome()
  const run = (action: string) =>
    clock.run(() =>
      actuation.run(
        { entity: 'todo.shopping', command: { action, item: 'milk' }, principal: 'user' },
        signal,
      ),
    )
  for (const action of ['add_item', 'complete_item', 'remove_item']) {
    const report = await run(action)
    expect(report.outcome, `${action}: ${report.evidence.reason}`).toBe('done')
  }
  expect(registry.get('todo.shopping')?.telemetry.state).toBe('0')
})
