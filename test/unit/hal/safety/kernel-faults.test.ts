/** Faults, emergency stop, conflict monitor and arming. */
import { describe, expect, test } from 'vitest'
import type { Constraint } from '../../../../hal/contract/safety.ts'
import { Bench, binary, head, kernelConfig, lamps, level, part, relay } from './kernel-under-test.ts'

const on = { on: 1 }
const watched = (id: string) => part(id, [{ ...binary('on'), readBackMsMax: 100 }])
const shared: Constraint = { rule: 'mutex', outputs: ['a.on', 'b.on'], onMax: 2 }

/** Three relays that are on; `a` and `b` share a rule. */
function running() {
  const bench = Bench.started([watched('a'), relay('b'), relay('c')], [shared])
  for (const id of ['a', 'b', 'c']) bench.command(bench.lease(id), id, on)
  return bench
}

describe('a read-back', () => {
  test('that differs for longer than its limit is a fault of all that share rules with it [kernel-10]', () => {
    const bench = running()
    expect(bench.kernel.readBack({ 'a.on': 0 }, 10, 1000).events).toEqual([])
    expect(bench.kernel.readBack({ 'a.on': 0 }, 110, 1100).events).toEqual([])
    const step = bench.kernel.readBack({ 'a.on': 0 }, 111, 1101)
    expect(step.writes).toEqual([{ 'a.on': 0, 'b.on': 0 }])
    expect(step.emergency).toBe(true)
    expect(bench.values['c.on']).toBe(1)
    expect(bench.kernel.memory().faults).toEqual([
      {
        id: 's-fault-1',
        cause: 'read-back',
        components: ['a', 'b'],
        message: 'a.on is off though it should be on, for more than 100 ms',
        atMs: 1101,
      },
    ])
  })

  test('that agrees in between starts its time anew [kernel-10]', () => {
    const bench = running()
    bench.kernel.readBack({ 'a.on': 0 }, 0, 0)
    bench.kernel.readBack({ 'a.on': 1 }, 90, 0)
    bench.kernel.readBack({ 'a.on': 0 }, 120, 0)
    expect(bench.kernel.readBack({ 'a.on': 0 }, 220, 0).events).toEqual([])
    expect(bench.kernel.memory().faults).toEqual([])
  })

  test('of a contact that is welded shut is a fault while the output is safe [kernel-10]', () => {
    const bench = Bench.started([watched('a')])
    bench.kernel.readBack({ 'a.on': 1 }, 0, 0)
    expect(bench.kernel.readBack({ 'a.on': 1 }, 101, 0).events).toHaveLength(1)
  })

  test('may differ by its tolerance, and nothing that is no number agrees [kernel-10]', () => {
    const bench = Bench.started([part('p', [level('duty', { readBackMsMax: 0, readBackTolerance: 2 })])])
    bench.kernel.readBack({ 'p.duty': 2 }, 0, 0)
    expect(bench.kernel.readBack({ 'p.duty': 2 }, 1, 0).events).toEqual([])
    bench.kernel.readBack({ 'p.duty': Number.NaN }, 2, 0)
    expect(bench.kernel.readBack({ 'p.duty': Number.NaN }, 3, 0).events).toHaveLength(1)
  })

  test('was of what was on the wire when it was read, not of what becomes due with it [kernel-10]', () => {
    const bench = Bench.started([part('a', [{ ...binary('on'), readBackMsMax: 0 }])])
    bench.command(bench.lease('a', 'user', 100), 'a', on)
    bench.kernel.readBack({ 'a.on': 1 }, 50, 0)
    expect(bench.kernel.readBack({ 'a.on': 1 }, 100, 0).writes).toEqual([{ 'a.on': 0 }])
    expect(bench.kernel.memory().faults).toEqual([])
  })
})

describe('a fault', () => {
  test('keeps its parts safe until a person clears it [kernel-10]', () => {
    const bench = running()
    bench.kernel.writeFailed(['a.on'], 'no acknowledge', 0, 0)
    expect(bench.ask('b').denial?.message).toBe('b stays safe: fault s-fault-1 (write-failed) is latched')
    for (const thief of ['agent:x', 'model:m', 'mqtt']) {
      expect(bench.kernel.clearFault('s-fault-1', thief, 0).denial?.rule).toBe('authority')
    }
    expect(bench.kernel.clearFault('s-fault-9', 'user', 0).denial?.rule).toBe('fault')
    expect(bench.kernel.clearFault('s-fault-1', 'user', 0).events).toMatchObject([{ type: 'fault-cleared' }])
    expect(bench.ask('b').denial).toBeUndefined()
  })

  test('writes all safe values of its parts, changed or not, once [kernel-10]', () => {
    const bench = Bench.started([relay('a'), relay('b')], [shared])
    expect(bench.kernel.writeFailed(['a.on'], 'no acknowledge', 0, 0).writes).toEqual([
      { 'a.on': 0, 'b.on': 0 },
    ])
    const again = bench.kernel.writeFailed(['a.on'], 'no acknowledge', 0, 0)
    expect(again).toEqual({ writes: [], events: [], emergency: false })
  })

  test('survives a restart, and nothing arms itself beside it [kernel-10]', () => {
    const bench = running()
    bench.kernel.fault('stall', ['a'], 'the port hangs', 0, 5)
    const next = new Bench(
      kernelConfig([relay('a'), relay('b'), relay('c')], [shared]),
      bench.kernel.memory(),
    )
    next.kernel.startedUp(0)
    expect(next.kernel.status(0).notArmedBecause).toEqual([
      'fault s-fault-1 (stall) is latched: the port hangs',
    ])
    expect(next.ask('c').denial?.rule).toBe('disarmed')
    next.kernel.clearFault('s-fault-1', 'user', 0)
    expect(next.ask('a').denial).toBeUndefined()
  })

  test('of some parts lets a person arm the others [kernel-10]', () => {
    const latched = { id: 'f', cause: 'start-up' as const, components: ['a'], message: 'gone', atMs: 0 }
    const bench = new Bench(kernelConfig([relay('a'), relay('b')]), { faults: [latched] })
    bench.kernel.startedUp(0)
    expect(bench.kernel.arm('user', 0).denial).toBeUndefined()
    expect(bench.ask('a').denial?.rule).toBe('fault')
    expect(bench.ask('b').denial).toBeUndefined()
  })

  test('of a part that is attached no more stays latched and can be cleared [kernel-10]', () => {
    const latched = { id: 'f', cause: 'read-back' as const, components: ['gone'], message: 'stuck', atMs: 0 }
    const bench = new Bench(kernelConfig([relay('a')]), { faults: [latched] })
    bench.kernel.startedUp(0)
    expect(bench.kernel.status(0).armed).toBe(false)
    bench.kernel.clearFault('f', 'user', 0)
    expect(bench.kernel.status(0).armed).toBe(true)
  })
})

describe('the emergency stop', () => {
  test('takes everything to safe at once, ends all leases and disarms [kernel-10]', () => {
    const bench = running()
    const step = bench.kernel.emergencyStop(true, 10, 7)
    expect(step.writes).toEqual([{ 'a.on': 0, 'b.on': 0, 'c.on': 0 }])
    expect(step.emergency).toBe(true)
    expect(bench.kernel.status(10)).toMatchObject({ armed: false, emergencyStop: true, leases: [] })
    expect(bench.ask('c').denial?.rule).toBe('emergency-stop')
  })

  test('is left by releasing it and clearing its fault, in this order [kernel-10]', () => {
    const bench = running()
    bench.kernel.emergencyStop(true, 0, 0)
    expect(bench.kernel.clearFault('s-fault-1', 'user', 0).denial?.rule).toBe('emergency-stop')
    bench.kernel.emergencyStop(false, 0, 0)
    expect(bench.ask('c').denial?.rule).toBe('fault')
    bench.kernel.clearFault('s-fault-1', 'user', 0)
    expect(bench.ask('c').denial).toBeUndefined()
  })

  test('covers what was attached since [kernel-10]', () => {
    const bench = running()
    bench.kernel.emergencyStop(true, 0, 0)
    const next = new Bench(kernelConfig([relay('new')]), bench.kernel.memory())
    expect(next.kernel.arm('user', 0).denial?.rule).toBe('fault')
  })

  test('that is pressed at the start is a fault like any other press [kernel-10]', () => {
    const bench = new Bench(kernelConfig([relay('a')]))
    expect(bench.kernel.emergencyStop(true, 0, 0).events).toMatchObject([{ type: 'fault' }])
    bench.kernel.startedUp(0)
    expect(bench.kernel.status(0).armed).toBe(false)
  })
})

describe('arming', () => {
  test('a start is safe and disarmed until every check has passed [kernel-6]', () => {
    const bench = new Bench(kernelConfig([head('h')], [lamps('h')]))
    expect(bench.values).toEqual({ 'h.red': 1, 'h.yellow': 0, 'h.green': 0 })
    expect(bench.kernel.status(0)).toMatchObject({
      armed: false,
      notArmedBecause: ['it has not finished starting'],
    })
    expect(bench.ask('h').denial?.rule).toBe('disarmed')
    expect(bench.kernel.startedUp(0).events).toEqual([{ type: 'armed', principal: 'automatic' }])
  })

  test('machines and signals, and whoever says so, wait for a person [kernel-10]', () => {
    const machine = { safetyClass: 'machine' as const }
    for (const bench of [
      Bench.started([relay('a', machine), relay('b')]),
      Bench.started([relay('a')], [], { arming: 'person' }),
    ]) {
      expect(bench.kernel.status(0).notArmedBecause).toEqual(['a person at the device has to arm it'])
      expect(bench.kernel.arm('agent:x', 0).denial?.message).toBe(
        'agent:x may not arm: a person at the device may',
      )
      expect(bench.kernel.arm('user', 0).events).toEqual([{ type: 'armed', principal: 'user' }])
      expect(bench.ask('a').denial).toBeUndefined()
    }
  })

  test('disarming takes everything to safe at once, and only a person undoes it [kernel-6]', () => {
    const bench = running()
    expect(bench.kernel.disarm('maintenance', 0).writes).toEqual([{ 'a.on': 0, 'b.on': 0, 'c.on': 0 }])
    bench.kernel.startedUp(0)
    expect(bench.ask('a').denial?.rule).toBe('disarmed')
    bench.kernel.arm('user', 0)
    expect(bench.ask('a').denial).toBeUndefined()
  })

  test('disarming waits for no sequence [kernel-2] [kernel-6]', () => {
    const bench = Bench.started([head('h')], [lamps('h')])
    bench.after(1000)
    bench.command(bench.lease('h'), 'h', { red: 0, green: 1 })
    bench.after(5000)
    const step = bench.kernel.disarm('maintenance', bench.nowMs)
    expect(step).toMatchObject({ writes: [{ 'h.red': 1, 'h.green': 0 }], emergency: true })
  })
})

describe('a traffic signal', () => {
  const signal = (hasConflictMonitor: boolean) =>
    Bench.started([head('h', { safetyClass: 'traffic-signal' }), relay('bell')], [lamps('h')], {
      hasConflictMonitor,
    })

  test('does not arm without a conflict monitor [kernel-10]', () => {
    const bench = signal(false)
    bench.kernel.conflictMonitor(true, 0, 0)
    expect(bench.kernel.arm('user', 0).denial?.message).toBe(
      'h is a traffic signal: it needs safety.conflictMonitor, an external conflict monitor',
    )
  })

  test('does not arm while the monitor is not content [kernel-10]', () => {
    const bench = signal(true)
    expect(bench.kernel.arm('user', 0).denial?.message).toBe('the conflict monitor is not content')
    bench.kernel.conflictMonitor(true, 0, 0)
    expect(bench.kernel.arm('user', 0).denial).toBeUndefined()
  })

  test('goes to red at once when the monitor objects, other parts go on [kernel-10]', () => {
    const bench = signal(true)
    bench.kernel.conflictMonitor(true, 0, 0)
    bench.kernel.arm('user', 0)
    bench.after(1000)
    bench.command(bench.lease('h'), 'h', { red: 0, green: 1 })
    bench.command(bench.lease('bell'), 'bell', on)
    expect(bench.kernel.conflictMonitor(false, 1000, 0).writes).toEqual([
      { 'h.red': 1, 'h.yellow': 0, 'h.green': 0 },
    ])
    expect(bench.values['bell.on']).toBe(1)
    expect(bench.kernel.clearFault('s-fault-1', 'user', 1000).denial?.rule).toBe('fault')
    bench.kernel.conflictMonitor(true, 1000, 0)
    expect(bench.kernel.clearFault('s-fault-1', 'user', 1000).denial).toBeUndefined()
  })
})
