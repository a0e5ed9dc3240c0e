/** Rules that signals live by: the order of their states, and the clearance between conflicting ones. */
import { describe, expect, test } from 'vitest'
import type { Constraint } from '../../../../hal/contract/safety.ts'
import { Bench, binary, caution, go, head, lamps, level, part, relay, stop } from './kernel-under-test.ts'

describe('clearance', () => {
  const crossing: Constraint = {
    rule: 'clearance',
    groups: [
      ['n.green', 'n.yellow'],
      ['e.green', 'e.yellow'],
    ],
    afterMs: 2000,
    because: 'all red',
  }
  const denied = {
    rule: 'clearance',
    message:
      'of n.green n.yellow, e.green e.yellow each turns on only when the others were off for 2000 ms (all red)',
  }
  const started = () => {
    const bench = Bench.started([head('n'), head('e')], [lamps('n'), lamps('e'), crossing])
    return { bench, lease: bench.lease(['n', 'e'], 'user', 600_000) }
  }

  test('a head goes green when the other was neither green nor yellow for the whole time [kernel-12]', () => {
    const { bench, lease } = started()
    bench.after(2000)
    expect(bench.command(lease, 'n', go).denial).toBeUndefined()
    bench.after(1000)
    expect(bench.command(lease, 'e', go).denial).toEqual(denied)
    bench.after(1000)
    bench.command(lease, 'n', caution)
    expect(bench.command(lease, 'e', go).denial).toEqual(denied)
    bench.after(3000)
    bench.command(lease, 'n', stop)
    expect(bench.values).toMatchObject({ 'n.red': 1, 'e.red': 1 })
    expect(bench.command(lease, 'e', go).denial).toEqual(denied)
    bench.after(1999)
    expect(bench.command(lease, 'e', go).denial).toEqual(denied)
    bench.after(1)
    expect(bench.command(lease, 'e', go).denial).toBeUndefined()
  })

  test('a start counts as off just now [kernel-12]', () => {
    const { bench, lease } = started()
    bench.after(1999)
    expect(bench.command(lease, 'n', go).denial).toEqual(denied)
    bench.after(1)
    expect(bench.command(lease, 'n', go).denial).toBeUndefined()
  })

  test('a jump to the safe state counts as well, and is never held up [kernel-12]', () => {
    const { bench, lease } = started()
    bench.after(2000)
    bench.command(lease, 'n', go)
    bench.after(500)
    expect(bench.kernel.disarm('asked', bench.nowMs).writes).toEqual([{ 'n.red': 1, 'n.green': 0 }])
    bench.kernel.arm('user', bench.nowMs)
    const again = bench.lease(['n', 'e'])
    bench.after(1999)
    expect(bench.command(again, 'e', go).denial).toEqual(denied)
    bench.after(1)
    expect(bench.command(again, 'e', go).denial).toBeUndefined()
  })

  test('a head whose holder is gone walks through yellow beside it [kernel-7, kernel-12]', () => {
    const { bench, lease } = started()
    bench.after(2000)
    bench.command(lease, 'n', go)
    bench.after(2000)
    expect(bench.kernel.release(lease, bench.nowMs).writes).toEqual([{ 'n.yellow': 1, 'n.green': 0 }])
    bench.after(3000)
    const again = bench.lease('e')
    expect(bench.command(again, 'e', go).denial).toEqual(denied)
    bench.after(2000)
    expect(bench.command(again, 'e', go).denial).toBeUndefined()
  })

  test('single outputs are groups of one, and swapping two in one command is refused [kernel-12]', () => {
    const bench = Bench.started(
      [part('bridge', [binary('ahead'), binary('back')])],
      [{ rule: 'clearance', groups: [['bridge.ahead'], ['bridge.back']], afterMs: 1 }],
    )
    const lease = bench.lease('bridge')
    bench.after(1)
    expect(bench.command(lease, 'bridge', { ahead: 1, back: 1 }).denial?.rule).toBe('clearance')
    bench.command(lease, 'bridge', { ahead: 1 })
    bench.after(1)
    expect(bench.command(lease, 'bridge', { ahead: 0, back: 1 }).denial?.rule).toBe('clearance')
    expect(bench.command(lease, 'bridge', { ahead: 0 }).denial).toBeUndefined()
  })

  test('a ramp does not begin beside a group that is on [kernel-5, kernel-12]', () => {
    const bench = Bench.started(
      [part('p', [level('duty', { slewPerS: 1000 }), binary('on')])],
      [{ rule: 'clearance', groups: [['p.duty'], ['p.on']], afterMs: 20 }],
    )
    const lease = bench.lease('p')
    bench.after(20)
    expect(bench.command(lease, 'p', { duty: 10 }).writes).toEqual([])
    expect(bench.command(lease, 'p', { on: 1 }).denial?.rule).toBe('clearance')
    expect(bench.after(20).writes).toEqual([{ 'p.duty': 10 }])
  })
})

describe('sequence', () => {
  const started = () => {
    const bench = Bench.started([head('h')], [lamps('h')])
    bench.after(1000)
    const lease = bench.lease('h')
    bench.command(lease, 'h', go)
    return { bench, lease }
  }

  test('only a listed step is taken, and only after its time [kernel-2]', () => {
    const { bench, lease } = started()
    expect(bench.command(lease, 'h', stop).denial?.message).toBe('"stop" does not follow "go"')
    bench.after(1999)
    expect(bench.command(lease, 'h', caution).denial?.message).toBe(
      '"caution" follows "go" after 2000 ms at the earliest',
    )
    bench.after(1)
    expect(bench.command(lease, 'h', caution).denial).toBeUndefined()
  })

  test('a vector that is no state is refused [kernel-2]', () => {
    const { bench, lease } = started()
    expect(bench.command(lease, 'h', { red: 1 }).denial?.message).toBe(
      'h.red=1 h.yellow=0 h.green=1 is none of its states',
    )
  })

  test('a lost lease walks it to red through yellow for its three seconds [kernel-2] [kernel-7]', () => {
    const { bench, lease } = started()
    bench.after(5000)
    expect(bench.kernel.release(lease, bench.nowMs).writes).toEqual([{ 'h.yellow': 1, 'h.green': 0 }])
    expect(bench.after(2999).writes).toEqual([])
    expect(bench.kernel.nextWakeMs()).toBe(bench.nowMs + 1)
    const step = bench.after(1)
    expect(step.writes).toEqual([{ 'h.red': 1, 'h.yellow': 0 }])
    expect(step.emergency).toBe(false)
  })

  test('the walk waits where the first state has not lasted [kernel-2]', () => {
    const { bench, lease } = started()
    expect(bench.kernel.release(lease, bench.nowMs).writes).toEqual([])
    expect(bench.after(2000).writes).toEqual([{ 'h.yellow': 1, 'h.green': 0 }])
  })

  test('nobody commands it while it walks [kernel-6]', () => {
    const { bench, lease } = started()
    bench.kernel.release(lease, bench.nowMs)
    const next = bench.lease('h')
    for (const state of [go, caution]) expect(bench.command(next, 'h', state).denial?.rule).toBe('sequence')
    bench.after(2000)
    bench.after(3000)
    bench.after(1000)
    expect(bench.command(next, 'h', go).denial).toBeUndefined()
  })

  test('a fault takes it to red at once [kernel-2] [kernel-10]', () => {
    const { bench } = started()
    const { writes, emergency } = bench.kernel.fault('stall', ['h'], 'the port stalls', bench.nowMs, 0)
    expect(writes).toEqual([{ 'h.red': 1, 'h.yellow': 0, 'h.green': 0 }])
    expect(emergency).toBe(true)
  })

  test('of several ways to the safe state it takes the quickest [kernel-2]', () => {
    const bench = Bench.started(
      [part('m', [level('step')])],
      [
        {
          rule: 'sequence',
          outputs: ['m.step'],
          states: {
            off: { 'm.step': 0 },
            one: { 'm.step': 1 },
            two: { 'm.step': 2 },
            three: { 'm.step': 3 },
          },
          steps: [
            { from: 'off', to: 'three', afterMs: 0 },
            { from: 'three', to: 'off', afterMs: 900 },
            { from: 'three', to: 'two', afterMs: 100 },
            { from: 'two', to: 'one', afterMs: 100 },
            { from: 'one', to: 'off', afterMs: 100 },
          ],
        },
      ],
    )
    const lease = bench.lease('m')
    bench.command(lease, 'm', { step: 3 })
    bench.kernel.release(lease, bench.nowMs)
    const seen = [3, 2, 1].map((step) => [step, bench.values['m.step'], bench.after(100)].slice(0, 2))
    expect(seen).toEqual([
      [3, 3],
      [2, 2],
      [1, 1],
    ])
    expect(bench.values).toEqual({ 'm.step': 0 })
  })

  test('a walk waits for an output that has not been off for its least time [kernel-3]', () => {
    const bench = Bench.started(
      [head('h')],
      [lamps('h'), { rule: 'minimum', output: 'h.yellow', offMs: 10_000 }],
    )
    bench.after(1000)
    const lease = bench.lease('h')
    bench.command(lease, 'h', go)
    bench.after(5000)
    expect(bench.kernel.release(lease, bench.nowMs).writes).toEqual([])
    expect(bench.kernel.nextWakeMs()).toBe(10_000)
    expect(bench.after(4000).writes).toEqual([{ 'h.yellow': 1, 'h.green': 0 }])
  })

  test('a walk gives way to what the next state would conflict with, and nobody else loses anything [kernel-2]', () => {
    const bench = Bench.started(
      [head('h'), relay('bell')],
      [lamps('h'), { rule: 'permissive', outputs: ['h.yellow', 'bell.on'], together: [] }],
    )
    bench.after(1000)
    const lease = bench.lease('h')
    bench.command(lease, 'h', go)
    bench.command(bench.lease('bell'), 'bell', { on: 1 })
    bench.after(2000)
    expect(bench.kernel.release(lease, bench.nowMs).writes).toEqual([{ 'h.red': 1, 'h.green': 0 }])
    expect(bench.values['bell.on']).toBe(1)
  })
})
