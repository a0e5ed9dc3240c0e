/** The leak guard in the simulated home: pipes that break, sensors, a meter and a valve that lie, and people who only use water. */
import { afterEach, describe, expect, it } from 'vitest'
import type { Agents } from '../../runtime/agent/agents.ts'
import { Approvals } from '../../runtime/agent/permissions/approvals.ts'
import { askService } from '../../runtime/agent/permissions/ask.service.ts'
import { grantsOfWants, printGrants } from '../../runtime/agent/permissions/grant.ts'
import { judge } from '../../runtime/agent/permissions/judge.ts'
import { shippedAgents } from '../../runtime/agents/index.ts'
import type { ApprovalEvent } from '../../runtime/wire/approvals.ts'
import { AgentHouse } from '../fixtures/agent/agent-house.ts'
import { leakSensor, mainValve, meter, Plumbing, wetHome } from '../fixtures/agent/plumbing.ts'

const minute = 60_000
const hour = 60 * minute
const wants = shippedAgents.find(({ definition }) => definition.name === 'leak-guard')?.definition.wants ?? []
const opened: AgentHouse[] = []
afterEach(async () => {
  for (const house of opened.splice(0)) await house[Symbol.asyncDispose]()
})

async function guarded() {
  /** What people were asked, in its words. */
  const asked: string[] = []
  /** What still waits for their answer. */
  let waiting = (): readonly string[] => []
  const house = await AgentHouse.open({
    yaml: wetHome,
    services: (clock) => {
      const answers = { answer: () => undefined, keepAnswer: () => {} }
      const publish = (event: ApprovalEvent) => void (event.state === 'asked' && asked.push(event.words))
      const approvals = new Approvals({ clock, answers, publish })
      waiting = () => approvals.waiting().map(({ words }) => words)
      return [askService({ clock, approvals })]
    },
  })
  opened.push(house)
  const { clock, home } = house
  const { sim } = home
  const water = new Plumbing({ clock, sim })
  await house.begin('leak-guard')
  const said = () => house.log('leak-guard').join('\n')
  return { house, sim, water, said, asked, waiting: () => waiting() }
}

describe('the leak guard', () => {
  it('closes the water when a pipe breaks, sees that it stopped, and says so [leak-guard-1] [leak-guard-3]', async () => {
    const { house, water, said } = await guarded()
    water.breaks('kitchen', 20)
    await house.passes(5 * minute)
    expect(water.isOpen).toBe(false)
    expect(water.leakedLitres).toBeLessThan(40)
    expect(said()).toMatch(
      /closed: binary_sensor\.kitchen_leak got wet while water ran.*\nthe water is closed: no water runs/,
    )
  })

  it('closes it when no sensor says anything: dry by a lie, or silent [leak-guard-1]', async () => {
    const { house, sim, water } = await guarded()
    sim.fault(leakSensor('kitchen'), { kind: 'lying', telemetry: { state: 'off' } })
    water.breaks('kitchen', 1)
    await house.passes(59 * minute)
    expect(water.isOpen).toBe(true)
    await house.passes(3 * minute)
    expect(water.isOpen).toBe(false)
  })

  it('waits half as long where a sensor is silent, and does not mind what the garden needs [leak-guard-1]', async () => {
    const { house, sim, water } = await guarded()
    sim.set('valve.garden_sprinkler', { state: 'open' })
    water.draw(12, 65 * minute)
    await house.passes(70 * minute)
    sim.set('valve.garden_sprinkler', { state: 'closed' })
    expect(water.isOpen).toBe(true)
    sim.fault(leakSensor('laundry'), { kind: 'offline' })
    water.breaks('cellar', 1)
    await house.passes(32 * minute)
    expect(water.isOpen).toBe(false)
  })

  it.each([
    ['stuck wet', 'on'],
    ['flapping', 'flaps'],
  ])('is not led astray by one sensor that is %s while people use water [leak-guard-2]', async (_, how) => {
    const { house, sim, water, said } = await guarded()
    sim.set(leakSensor('bathroom'), { state: 'on' })
    for (let shower = 0; shower < 2; shower += 1) {
      if (how === 'flaps')
        for (let flap = 0; flap < 8; flap += 1) {
          sim.set(leakSensor('bathroom'), { state: flap % 2 ? 'on' : 'off' })
          await house.passes(5_000)
        }
      water.draw(9, 9 * minute)
      await house.passes(40 * minute)
    }
    expect(water.isOpen).toBe(true)
    expect(house.commands).toEqual([])
    if (how === 'on')
      expect(said()).toBe(
        'binary_sensor.bathroom_leak is wet, but no water runs that should not: please look',
      )
  })

  it('closes the water for one wet sensor where no meter tells, at once, and says that none does [leak-guard-1]', async () => {
    const { house, sim, water, said, asked } = await guarded()
    sim.fault(meter, { kind: 'offline' })
    await house.passes(6 * minute)
    expect(asked).toEqual([
      'the water meter tells nothing: until it does, one wet sensor closes the water. Please look',
    ])
    water.breaks('laundry', 20)
    await house.passes(5 * minute)
    expect(water.isOpen).toBe(false)
    expect(water.leakedLitres).toBeLessThan(8)
    expect(said()).toContain('nothing tells whether water runs')
    expect(said()).toContain('no meter tells whether it is')
  })

  it('does not take a meter that has stood still for half a day for one that says that nothing runs [leak-guard-1]', async () => {
    const { house, sim, water, said } = await guarded()
    sim.fault(meter, { kind: 'lying', telemetry: { state: '0' } })
    await house.passes(12.5 * hour)
    water.breaks('laundry', 20)
    await house.passes(minute)
    expect(water.isOpen).toBe(false)
    expect(said()).toContain('binary_sensor.laundry_leak is wet, and nothing tells whether water runs')
  })

  it('asks a family on holiday once about a meter that stands still [leak-guard-5]', async () => {
    const { house, water, asked, waiting } = await guarded()
    await house.passes(13 * hour)
    expect(waiting()).toEqual([expect.stringContaining('the water meter tells nothing')])
    // Also when nobody has answered in a day.
    await house.passes(24 * hour)
    expect(asked).toHaveLength(1)
    water.draw(9, 10 * minute)
    await house.passes(12 * minute)
    expect(asked).toHaveLength(1)
  })

  it('asks no more than once a day about a meter that comes and goes, and takes it back when it tells again [leak-guard-5]', async () => {
    const { house, sim, asked, waiting } = await guarded()
    for (let time = 0; time < 10; time += 1) {
      sim.fault(meter, { kind: 'offline' })
      await house.passes(10 * minute)
      sim.fault(meter, undefined)
      await house.passes(10 * minute)
    }
    expect(asked).toHaveLength(1)
    expect(waiting()).toEqual([])
  })

  it('has one question at a time about what does not close, so that room is left for others [leak-guard-5]', async () => {
    const { house, sim, water, waiting } = await guarded()
    sim.fault(mainValve, { kind: 'lying' })
    water.breaks('kitchen', 10)
    await house.passes(2 * hour)
    expect(waiting().filter((words) => words.startsWith('the valve says closed'))).toHaveLength(1)
  })

  it('does not take a meter that falls silent for water that stopped [leak-guard-1]', async () => {
    const { house, sim, water, said } = await guarded()
    water.breaks('cellar', 2)
    await house.passes(20 * minute)
    sim.fault(meter, { kind: 'offline' })
    await house.passes(42 * minute)
    expect(water.isOpen).toBe(false)
    expect(said()).toMatch(/water has run for \d+ min without a break, as far as the meter told/)
  })

  it('a sensor that was wet for nothing closes no water when the meter falls silent [leak-guard-2]', async () => {
    const { house, sim, water, said } = await guarded()
    sim.set(leakSensor('bathroom'), { state: 'on' })
    await house.passes(10 * minute)
    sim.fault(meter, { kind: 'offline' })
    await house.passes(2 * hour)
    expect(water.isOpen).toBe(true)
    expect(said()).toContain('the water meter tells nothing')
  })

  it('a sensor that was wet for nothing and dried is believed again when no meter tells [leak-guard-1]', async () => {
    const { house, sim, water, said } = await guarded()
    sim.set(leakSensor('laundry'), { state: 'on' })
    await house.passes(5 * minute)
    expect(said()).toContain('is wet, but no water runs that should not')
    sim.set(leakSensor('laundry'), { state: 'off' })
    await house.passes(minute)
    sim.fault(meter, { kind: 'offline' })
    await house.passes(6 * minute)
    water.breaks('laundry', 20)
    await house.passes(5 * minute)
    expect(water.isOpen).toBe(false)
  })

  it('closes again, once, when a valve that said closed while water ran turns out to be open [leak-guard-1]', async () => {
    const { house, sim, water } = await guarded()
    sim.fault(mainValve, { kind: 'lying' })
    water.breaks('laundry', 2)
    await house.passes(20 * minute)
    sim.fault(mainValve, undefined)
    expect(water.isOpen).toBe(true)
    await house.passes(20 * minute)
    expect(water.isOpen).toBe(false)
    // Now it was seen to be closed: whoever opens it knows.
    sim.set(mainValve, { state: 'open' })
    await house.passes(20 * minute)
    expect(water.isOpen).toBe(true)
  })

  it('is loud about a valve that says closed while water runs on, and tries until it is [leak-guard-3]', async () => {
    const { house, sim, water, said, asked } = await guarded()
    sim.fault(mainValve, { kind: 'lying' })
    water.breaks('kitchen', 10)
    await house.passes(10 * minute)
    expect(house.state(mainValve)).toBe('closed')
    expect(water.isOpen).toBe(true)
    expect(said()).toContain('the valve says closed, but 10 l/min run on: please close it by hand')
    expect(asked.slice(0, 2)).toEqual([
      expect.stringMatching(/^the water is being closed: /),
      expect.stringMatching(/^the valve says closed, but 10 l\/min run on: please close it by hand/),
    ])
    sim.fault(mainValve, undefined)
    await house.passes(20 * minute)
    expect(water.isOpen).toBe(false)
    expect(said()).toMatch(/the water is closed: no water runs$/)
    expect(house.commands.length).toBeGreaterThan(1)
  })

  it('goes on in the middle of closing after a power cut, and sees a leak that began while it was away [leak-guard-1]', async () => {
    const { house, sim, water } = await guarded()
    sim.fault(mainValve, { kind: 'stuck' })
    water.breaks('kitchen', 10)
    await house.passes(3 * minute)
    await house.cutPower()
    sim.fault(mainValve, undefined)
    await house.passes(minute)
    await house.powerBack()
    await house.passes(10 * minute)
    expect(water.isOpen).toBe(false)
  })

  it('never opens: a person does, and what was wet then is known [leak-guard-4]', async () => {
    const { house, sim, water } = await guarded()
    water.breaks('kitchen', 20)
    await house.passes(5 * minute)
    expect(water.isOpen).toBe(false)
    water.mend()
    await house.passes(5 * minute)
    expect(water.isOpen).toBe(false)
    expect(house.state(leakSensor('kitchen'))).toBe('on')
    sim.set(mainValve, { state: 'open' })
    water.draw(9, 20 * minute)
    await house.passes(hour)
    expect(house.state(leakSensor('kitchen'))).toBe('off')
    expect(water.isOpen).toBe(true)
    water.breaks('bathroom', 20)
    await house.passes(5 * minute)
    expect(water.isOpen).toBe(false)
    for (const { command } of house.commands) expect(command).toEqual({ state: 'closed' })
  })

  it.each([
    ['stopped', (agents: Agents) => agents.stop('leak-guard')],
    ['removed', (agents: Agents) => agents.remove('leak-guard')],
    ['without a grant', (agents: Agents) => agents.grant('leak-guard', '[]')],
  ])('leaves the water closed when it is %s [leak-guard-4]', async (_, work) => {
    const { house, water } = await guarded()
    water.breaks('kitchen', 20)
    await house.passes(5 * minute)
    expect(water.isOpen).toBe(false)
    const litres = water.leakedLitres
    await house.handle(work)
    await house.passes(3 * hour)
    expect(water.isOpen).toBe(false)
    expect(water.leakedLitres).toBe(litres)
  })

  it('says what to do where it lost its grant before it could close, and closes when it has it back', async () => {
    const { house, water, said } = await guarded()
    const all = grantsOfWants(wants)
    const reading = all.filter(({ capability }) => capability.kind !== 'command')
    await house.handle((agents) => agents.grant('leak-guard', printGrants(reading)))
    water.breaks('kitchen', 20)
    await house.passes(5 * minute)
    expect(water.isOpen).toBe(true)
    expect(said()).toMatch(/valve\.water_main does not close: .*nobody has allowed it/)
    expect(said()).toContain('the water does not close: please close it by hand')
    await house.handle((agents) => agents.grant('leak-guard', printGrants(all)))
    await house.passes(20 * minute)
    expect(water.isOpen).toBe(false)
  })

  it('says again that it is closed, and is loud about water that runs once more behind it [leak-guard-3]', async () => {
    const { house, sim, water, said } = await guarded()
    water.breaks('kitchen', 10)
    await house.passes(12 * minute)
    // A valve at this device forgets what a program said after ten minutes.
    expect(house.commands.length).toBeGreaterThan(2)
    sim.fault(mainValve, { kind: 'lying' })
    sim.set(mainValve, { state: 'open' })
    await house.passes(10 * minute)
    expect(house.state(mainValve)).toBe('closed')
    expect(said()).toContain('the valve says closed, but 10 l/min run on: please close it by hand')
    sim.fault(mainValve, undefined)
    await house.passes(20 * minute)
    expect(water.isOpen).toBe(false)
  })

  it('believes a meter that stands still while it shows water only after an hour, and not again when people open [leak-guard-2]', async () => {
    const { house, sim, water, said } = await guarded()
    water.draw(8, 2 * minute)
    await house.passes(minute)
    sim.fault(meter, { kind: 'lying', telemetry: { state: '8' } })
    await house.passes(57 * minute)
    expect(water.isOpen).toBe(true)
    await house.passes(5 * minute)
    expect(water.isOpen).toBe(false)
    expect(said()).toMatch(/water has run for 60 min without a break/)
    // Whoever opens it, while it is still being tried, knows better: the meter tells nothing until it shows something else.
    await house.passes(2 * minute)
    sim.set(mainValve, { state: 'open' })
    await house.passes(3 * hour)
    expect(water.isOpen).toBe(true)
    sim.fault(meter, undefined)
    water.breaks('cellar', 2)
    await house.passes(65 * minute)
    expect(water.isOpen).toBe(false)
  })

  it('could not open if it would: what it asks for does not allow it [leak-guard-4]', () => {
    const circumstances = { nowMs: 0, timezone: 'UTC', used: () => [] }
    const verdict = (command: { [field: string]: string | number }) =>
      judge({ op: 'command', args: { entity: mainValve, command } }, grantsOfWants(wants), circumstances)
        .verdict
    expect(verdict({ state: 'closed' })).toBe('allow')
    for (const command of [
      { state: 'open' },
      { position: 100 },
      { position: 1 },
      { state: 'closed', position: 9 },
    ])
      expect(verdict(command)).toBe('deny')
  })
})
