/** Each rule of the safety kernel by example. */
import { describe, expect, test } from 'vitest'
import type { Constraint } from '../../../../hal/contract/safety.ts'
import { Bench, binary, go, head, lamps, level, part, relay } from './kernel-under-test.ts'

const rampMs = (bench: Bench, ms: number) => {
  for (let passed = 0; passed < ms; passed += 20) bench.after(20)
}

describe('mutex', () => {
  test('one more on than allowed is refused, and what is on stays as it is [kernel-1]', () => {
    const bench = Bench.started(
      [relay('a'), relay('b')],
      [{ rule: 'mutex', outputs: ['a.on', 'b.on'], because: 'one fuse' }],
    )
    const lease = bench.lease(['a', 'b'])
    expect(bench.command(lease, 'a', { on: 1 }).writes).toEqual([{ 'a.on': 1 }])
    const { denial, writes } = bench.command(lease, 'b', { on: 1 })
    expect(denial).toEqual({ rule: 'mutex', message: 'at most 1 of a.on, b.on may be on (one fuse)' })
    expect(writes).toEqual([])
    expect(bench.values).toEqual({ 'a.on': 1, 'b.on': 0 })
  })

  test('a command that turns one off and another on is judged as the vector it results in [kernel-8]', () => {
    const bench = Bench.started(
      [part('bridge', [binary('ahead'), binary('back')])],
      [{ rule: 'mutex', outputs: ['bridge.ahead', 'bridge.back'] }],
    )
    const lease = bench.lease('bridge')
    bench.command(lease, 'bridge', { ahead: 1 })
    expect(bench.command(lease, 'bridge', { ahead: 0, back: 1 }).writes).toEqual([
      { 'bridge.ahead': 0, 'bridge.back': 1 },
    ])
  })

  test('of a command with one bad change nothing is done [kernel-8]', () => {
    const bench = Bench.started([part('p', [binary('a'), level('b')])])
    expect(bench.command(bench.lease('p'), 'p', { a: 1, b: 101 }).denial?.rule).toBe('range')
    expect(bench.values).toEqual({ 'p.a': 0, 'p.b': 0 })
  })

  test('an output that turns on by going safe drives the others off in the same step [kernel-7]', () => {
    const bench = Bench.started(
      [part('brake', [binary('on', 1)]), relay('motor')],
      [{ rule: 'mutex', outputs: ['brake.on', 'motor.on'] }],
    )
    const brake = bench.lease('brake')
    bench.command(brake, 'brake', { on: 0 })
    bench.command(bench.lease('motor'), 'motor', { on: 1 })
    const { writes, events } = bench.kernel.release(brake, bench.nowMs)
    expect(writes).toEqual([{ 'brake.on': 1, 'motor.on': 0 }])
    expect(events).toContainEqual({
      type: 'forced-safe',
      outputs: ['motor.on'],
      rule: 'mutex',
      message: 'at most 1 of brake.on, motor.on may be on',
    })
  })
})

describe('permissive', () => {
  const outputs = ['n.on', 's.on', 'e.on']

  test('nothing may be on together unless a pair says so [kernel-1]', () => {
    const bench = Bench.started(
      [relay('n'), relay('s'), relay('e')],
      [{ rule: 'permissive', outputs, together: [['s.on', 'n.on']] }],
    )
    const lease = bench.lease(['n', 's', 'e'])
    bench.command(lease, 'n', { on: 1 })
    expect(bench.command(lease, 'e', { on: 1 }).denial?.rule).toBe('permissive')
    expect(bench.command(lease, 's', { on: 1 }).denial).toBeUndefined()
  })
})

describe('minimum', () => {
  const started = () =>
    Bench.started([relay('a')], [{ rule: 'minimum', output: 'a.on', onMs: 500, offMs: 300 }])

  test('a start counts as off just now [kernel-3]', () => {
    const bench = started()
    const lease = bench.lease('a')
    bench.after(299)
    expect(bench.command(lease, 'a', { on: 1 }).denial?.rule).toBe('minimum')
    bench.after(1)
    expect(bench.command(lease, 'a', { on: 1 }).denial).toBeUndefined()
  })

  test('a holder cannot turn it off too early, but losing the lease does [kernel-3]', () => {
    const bench = started()
    const lease = bench.lease('a')
    bench.after(300)
    bench.command(lease, 'a', { on: 1 })
    bench.after(499)
    expect(bench.command(lease, 'a', { on: 0 }).denial?.message).toBe('a.on stays on for at least 500 ms')
    expect(bench.kernel.release(lease, bench.nowMs).writes).toEqual([{ 'a.on': 0 }])
  })

  test('after going safe it stays off for its time all the same [kernel-3]', () => {
    const bench = started()
    bench.after(300)
    const lease = bench.lease('a')
    bench.command(lease, 'a', { on: 1 })
    bench.kernel.release(lease, bench.nowMs)
    const next = bench.lease('a')
    bench.after(299)
    expect(bench.command(next, 'a', { on: 1 }).denial?.rule).toBe('minimum')
  })
})

describe('maximum-on', () => {
  test('it goes safe when its time is over though somebody holds it [kernel-4]', () => {
    const bench = Bench.started([relay('pump')], [{ rule: 'maximum-on', output: 'pump.on', onMs: 5000 }])
    const lease = bench.lease('pump')
    bench.command(lease, 'pump', { on: 1 })
    expect(bench.kernel.nextWakeMs()).toBe(5000)
    expect(bench.after(4999).writes).toEqual([])
    expect(bench.after(1).writes).toEqual([{ 'pump.on': 0 }])
    expect(bench.kernel.status(bench.nowMs).leases).toHaveLength(1)
  })

  test('saying on again does not prolong it [kernel-4]', () => {
    const bench = Bench.started([relay('pump')], [{ rule: 'maximum-on', output: 'pump.on', onMs: 1000 }])
    const lease = bench.lease('pump')
    bench.command(lease, 'pump', { on: 1 })
    bench.after(900)
    bench.command(lease, 'pump', { on: 1 })
    expect(bench.after(100).writes).toEqual([{ 'pump.on': 0 }])
  })

  test('it wins over the waiting times of a sequence [kernel-4]', () => {
    const bench = Bench.started(
      [head('h')],
      [lamps('h'), { rule: 'maximum-on', output: 'h.green', onMs: 1500 }],
    )
    bench.after(1000)
    bench.command(bench.lease('h'), 'h', go)
    expect(bench.after(1500).writes).toEqual([{ 'h.red': 1, 'h.green': 0 }])
  })
})

describe('range', () => {
  test('the tightest limits count, and no number that is none passes [kernel-1]', () => {
    const bench = Bench.started(
      [part('heater', [level('duty')])],
      [
        { rule: 'range', output: 'heater.duty', min: 0, max: 60 },
        { rule: 'range', output: 'heater.duty', min: 0, max: 80 },
      ],
    )
    const lease = bench.lease('heater')
    for (const duty of [61, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(bench.command(lease, 'heater', { duty }).denial?.rule).toBe('range')
    }
    expect(bench.command(lease, 'heater', { duty: 60 }).denial).toBeUndefined()
  })

  test('a binary output is 0 or 1, and an output that is not there is named [kernel-11]', () => {
    const bench = Bench.started([relay('a')])
    const lease = bench.lease('a')
    expect(bench.command(lease, 'a', { on: 0.5 }).denial?.message).toBe('a.on is 0 or 1, not 0.5')
    expect(bench.command(lease, 'a', { off: 1 }).denial?.message).toBe('a has no output "off"')
  })
})

describe('slew', () => {
  const fan = (rules: readonly Constraint[] = []) =>
    Bench.started([part('fan', [level('duty', { slewPerS: 100 })])], rules)

  test('it moves towards its target tick by tick [kernel-5]', () => {
    const bench = fan()
    expect(bench.command(bench.lease('fan'), 'fan', { duty: 5 }).writes).toEqual([])
    expect(bench.kernel.nextWakeMs()).toBe(20)
    expect([1, 2, 3].map(() => bench.after(20).writes[0]?.['fan.duty'])).toEqual([2, 4, 5])
    expect(bench.after(20).writes).toEqual([])
  })

  test('a late tick makes it slower, never steeper [kernel-5]', () => {
    const bench = fan()
    bench.command(bench.lease('fan'), 'fan', { duty: 50 })
    expect(bench.after(10_000).writes).toEqual([{ 'fan.duty': 2 }])
  })

  test('the slower of two limits counts [kernel-5]', () => {
    const bench = fan([{ rule: 'slew', output: 'fan.duty', perS: 50 }])
    bench.command(bench.lease('fan'), 'fan', { duty: 50 })
    expect(bench.after(20).writes).toEqual([{ 'fan.duty': 1 }])
  })

  test('going safe is not slowed [kernel-5]', () => {
    const bench = fan()
    const lease = bench.lease('fan')
    bench.command(lease, 'fan', { duty: 50 })
    rampMs(bench, 200)
    expect(bench.values['fan.duty']).toBe(20)
    expect(bench.kernel.release(lease, bench.nowMs).writes).toEqual([{ 'fan.duty': 0 }])
    expect(bench.after(20).writes).toEqual([])
  })

  test('a target that breaks a rule is refused before anything moves [kernel-8]', () => {
    const bench = Bench.started(
      [part('m', [level('ahead', { slewPerS: 100 }), level('back', { slewPerS: 100 })])],
      [{ rule: 'mutex', outputs: ['m.ahead', 'm.back'] }],
    )
    const lease = bench.lease('m')
    bench.command(lease, 'm', { ahead: 10 })
    expect(bench.command(lease, 'm', { back: 10 }).denial?.rule).toBe('mutex')
  })

  test('a move that would break a rule is held, said once, and made when it may be [kernel-5]', () => {
    const bench = Bench.started(
      [part('m', [level('ahead', { slewPerS: 100 }), level('back', { slewPerS: 100 })])],
      [{ rule: 'mutex', outputs: ['m.ahead', 'm.back'] }],
    )
    const lease = bench.lease('m')
    bench.command(lease, 'm', { ahead: 4 })
    rampMs(bench, 40)
    expect(bench.command(lease, 'm', { ahead: 0, back: 4 }).denial).toBeUndefined()
    const steps = [1, 2, 3].map(() => bench.after(20))
    expect(steps.map(({ writes }) => writes[0])).toEqual([
      { 'm.ahead': 2 },
      { 'm.ahead': 0, 'm.back': 2 },
      { 'm.back': 4 },
    ])
    expect(steps.flatMap(({ events }) => events)).toEqual([
      {
        type: 'held',
        output: 'm.back',
        value: 0,
        denial: { rule: 'mutex', message: 'at most 1 of m.ahead, m.back may be on' },
      },
    ])
  })
})

describe('rate', () => {
  test('one commanded change too many in the window is refused; repeating a value is no change [kernel-5]', () => {
    const bench = Bench.started([relay('a')], [{ rule: 'rate', output: 'a.on', changesMax: 2, perMs: 1000 }])
    const lease = bench.lease('a')
    const rules = [1, 1, 0, 1].map((on) => bench.command(lease, 'a', { on }).denial?.rule)
    expect(rules).toEqual([undefined, undefined, undefined, 'rate'])
    bench.after(999)
    expect(bench.command(lease, 'a', { on: 1 }).denial?.message).toBe('a.on may change 2 times in 1000 ms')
    bench.after(1)
    expect(bench.command(lease, 'a', { on: 1 }).denial).toBeUndefined()
  })

  test('going safe is not counted [kernel-5]', () => {
    const bench = Bench.started([relay('a')], [{ rule: 'rate', output: 'a.on', changesMax: 2, perMs: 1000 }])
    const first = bench.lease('a')
    bench.command(first, 'a', { on: 1 })
    bench.kernel.release(first, 0)
    expect(bench.command(bench.lease('a'), 'a', { on: 1 }).denial).toBeUndefined()
  })
})

describe('dependency', () => {
  test('what needs an output that went safe goes safe in the same step, to the last [kernel-7]', () => {
    const bench = Bench.started(
      [part('valve', [level('open')]), relay('pump'), relay('lamp')],
      [
        { rule: 'dependency', output: 'pump.on', needs: 'valve.open', min: 50, max: 100 },
        { rule: 'dependency', output: 'lamp.on', needs: 'pump.on', min: 1, max: 1 },
      ],
    )
    const valve = bench.lease('valve')
    const others = bench.lease(['pump', 'lamp'])
    expect(bench.command(others, 'pump', { on: 1 }).denial?.message).toBe(
      'pump.on may be on only while valve.open is within 50 to 100',
    )
    bench.command(valve, 'valve', { open: 80 })
    bench.command(others, 'pump', { on: 1 })
    bench.command(others, 'lamp', { on: 1 })
    expect(bench.command(valve, 'valve', { open: 49 }).denial?.rule).toBe('dependency')
    expect(bench.kernel.release(valve, 0).writes).toEqual([{ 'valve.open': 0, 'pump.on': 0, 'lamp.on': 0 }])
  })

  test('an input that was not read satisfies nothing, and one that changes takes the dependant with it [kernel-1]', () => {
    const bench = Bench.started(
      [relay('pump')],
      [{ rule: 'dependency', output: 'pump.on', needs: 'float', min: 1, max: 1 }],
      { inputs: ['float'] },
    )
    const lease = bench.lease('pump')
    expect(bench.command(lease, 'pump', { on: 1 }).denial?.rule).toBe('dependency')
    bench.kernel.input('float', 1, 0)
    bench.command(lease, 'pump', { on: 1 })
    expect(bench.kernel.input('float', Number.NaN, 0).writes).toEqual([{ 'pump.on': 0 }])
  })

  test('an input that changes stops a ramp before its next move, not after [kernel-1]', () => {
    const bench = Bench.started(
      [part('fan', [level('duty', { slewPerS: 100 })])],
      [{ rule: 'dependency', output: 'fan.duty', needs: 'guard', min: 1, max: 1 }],
      { inputs: ['guard'] },
    )
    bench.kernel.input('guard', 1, 0)
    bench.command(bench.lease('fan'), 'fan', { duty: 50 })
    bench.after(20)
    expect(bench.kernel.input('guard', 0, 40).writes).toEqual([{ 'fan.duty': 0 }])
  })

  test('a signal that needs something is not left on for the time of its walk [kernel-7]', () => {
    const bench = Bench.started(
      [head('h')],
      [lamps('h'), { rule: 'dependency', output: 'h.green', needs: 'road', min: 1, max: 1 }],
      { inputs: ['road'] },
    )
    bench.kernel.input('road', 1, 0)
    bench.after(1000)
    bench.command(bench.lease('h'), 'h', go)
    bench.after(500)
    expect(bench.kernel.input('road', 0, bench.nowMs).writes).toEqual([{ 'h.red': 1, 'h.green': 0 }])
  })

  test('where its waiting time is over it walks, so that yellow is shown [kernel-2]', () => {
    const bench = Bench.started(
      [head('h')],
      [lamps('h'), { rule: 'dependency', output: 'h.green', needs: 'road', min: 1, max: 1 }],
      { inputs: ['road'] },
    )
    bench.kernel.input('road', 1, 0)
    bench.after(1000)
    bench.command(bench.lease('h'), 'h', go)
    bench.after(2000)
    expect(bench.kernel.input('road', 0, bench.nowMs).writes).toEqual([{ 'h.yellow': 1, 'h.green': 0 }])
  })
})
