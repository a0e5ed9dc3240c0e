/** Who may command: leases, their ends, ranks and numbers. */
import { describe, expect, test } from 'vitest'
import type { Step } from '../../../../hal/safety/kernel-types.ts'
import { Bench, binary, kernelConfig, level, part, relay } from './kernel-under-test.ts'

const on = { on: 1 }
const ends = ({ events }: Step) => events.flatMap((e) => (e.type === 'lease-ended' ? e.because : []))

/** A relay that somebody turned on. */
function held(principal = 'user', ttlMs = 1000, more: Parameters<typeof relay>[1] = {}) {
  const bench = Bench.started([relay('a', more), relay('b')])
  const lease = bench.lease('a', principal, ttlMs)
  bench.command(lease, 'a', on)
  return { bench, lease }
}

describe('a lease', () => {
  test('is needed by every command, and must be the one that lives [kernel-6]', () => {
    const { bench, lease } = held()
    for (const wrong of ['none', 's-lease-2']) {
      expect(bench.command(wrong, 'a', { on: 0 }, { principal: 'user' }).denial?.rule).toBe('lease')
    }
    expect(bench.command(lease, 'b', on).denial?.rule).toBe('lease')
    expect(bench.command(lease, 'a', { on: 0 }, { principal: 'agent:thief' }).denial?.rule).toBe('lease')
    expect(bench.values).toEqual({ 'a.on': 1, 'b.on': 0 })
  })

  test('ends by itself, to the millisecond, and its outputs go safe [kernel-7]', () => {
    const { bench } = held()
    expect(bench.kernel.nextWakeMs()).toBe(1000)
    expect(bench.after(999).writes).toEqual([])
    const step = bench.after(1)
    expect(step.writes).toEqual([{ 'a.on': 0 }])
    expect(ends(step)).toEqual(['expired'])
  })

  test('lives on from when it was renewed [kernel-9]', () => {
    const { bench, lease } = held()
    bench.after(900)
    expect(bench.kernel.renew(lease, 900).denial).toBeUndefined()
    expect(bench.after(999).writes).toEqual([])
    expect(bench.after(1).writes).toEqual([{ 'a.on': 0 }])
  })

  test.each(['agent:lamp', 'model:m', 'somebody'])(
    'of %s is not extended: it asks for a new one [kernel-9]',
    (principal) => {
      const { bench, lease } = held(principal)
      bench.after(900)
      const { denial, events } = bench.kernel.renew(lease, 900)
      expect(denial).toEqual({
        rule: 'authority',
        message: `${principal} may not extend a lease: it asks for a new one`,
      })
      expect(events).toEqual([{ type: 'denied', asked: 'renew', principal, components: ['a'], denial }])
      expect(bench.after(99).writes).toEqual([])
      // A new lease leaves on what is on.
      expect(bench.ask('a', principal, 1000).writes).toEqual([])
      expect(bench.after(999).writes).toEqual([])
      expect(bench.after(1).writes).toEqual([{ 'a.on': 0 }])
    },
  )

  test.each(['user', 'mqtt', 'mqtt:panel'])('of %s is extended [kernel-9]', (principal) => {
    const { bench, lease } = held(principal)
    expect(bench.kernel.renew(lease, 900).denial).toBeUndefined()
  })

  test('never revives, neither by renewal nor after a restart [kernel-9]', () => {
    const { bench, lease } = held()
    expect(bench.kernel.renew(lease, 1000).denial).toEqual({ rule: 'lease', message: 'the lease has ended' })
    const again = new Bench(kernelConfig([relay('a')], [], { startId: 't' }))
    again.kernel.startedUp(0)
    again.lease('a')
    expect(again.kernel.renew(lease, 0).denial?.rule).toBe('lease')
    expect(again.command(lease, 'a', on, { principal: 'user' }).denial?.rule).toBe('lease')
  })

  test('covers what it names and all of it or nothing [kernel-6]', () => {
    const { bench } = held()
    expect(bench.ask(['b', 'c']).denial?.message).toBe('there is no actuator "c"')
    expect(bench.ask([]).denial?.rule).toBe('lease')
    expect(bench.kernel.status(0).leases).toHaveLength(1)
  })

  test('has a bounded time and a named principal [kernel-11]', () => {
    const { bench } = held()
    for (const ttlMs of [0, -1, Number.NaN, 600_001])
      expect(bench.ask('b', 'user', ttlMs).denial?.rule).toBe('lease')
    expect(bench.ask('b', '').denial?.rule).toBe('lease')
    expect(bench.ask('b', 'x'.repeat(129)).denial?.rule).toBe('lease')
  })

  test('released twice is no mistake [kernel-7]', () => {
    const { bench, lease } = held()
    expect(ends(bench.kernel.release(lease, 0))).toEqual(['released'])
    expect(bench.kernel.release(lease, 0)).toEqual({ writes: [], events: [], emergency: false })
  })
})

describe('taking over', () => {
  test('of a shared part leaves what is on as it is until the new holder commands [kernel-9]', () => {
    const { bench, lease } = held('user')
    const step = bench.ask('a', 'model:m')
    expect(step.writes).toEqual([])
    expect(ends(step)).toEqual(['taken-over'])
    expect(bench.values['a.on']).toBe(1)
    expect(bench.command(lease, 'a', { on: 0 }).denial?.rule).toBe('lease')
    const number = { sequence: 1 }
    expect(bench.command(step.lease?.id ?? '', 'a', { on: 0 }, number).writes).toEqual([{ 'a.on': 0 }])
  })

  test('drives safe what the former lease held beside it [kernel-7]', () => {
    const bench = Bench.started([relay('a'), relay('b')])
    const lease = bench.lease(['a', 'b'])
    bench.command(lease, 'a', on)
    bench.command(lease, 'b', on)
    expect(bench.ask('a').writes).toEqual([{ 'b.on': 0 }])
  })

  test('stops a ramp where it is [kernel-9]', () => {
    const bench = Bench.started([part('fan', [level('duty', { slewPerS: 100 })])])
    bench.command(bench.lease('fan'), 'fan', { duty: 50 })
    bench.after(20)
    bench.lease('fan', 'mqtt')
    expect(bench.after(20).writes).toEqual([])
    expect(bench.values['fan.duty']).toBe(2)
  })

  test('of an exclusive part needs at least the holder’s rank [kernel-9]', () => {
    const ranked = ['nobody', 'agent:a', 'mqtt', 'user']
    for (const [at, holder] of ranked.entries()) {
      for (const [other, asker] of ranked.entries()) {
        const { bench } = held(holder, 1000, { exclusive: true })
        expect(bench.ask('a', asker).denial?.rule, `${asker} from ${holder}`).toBe(
          other < at ? 'authority' : undefined,
        )
      }
    }
  })

  test('a principal that says user and something is no person [kernel-9]', () => {
    const { bench } = held('agent:a', 1000, { exclusive: true })
    expect(bench.ask('a', 'user:bob').denial?.message).toBe(
      'a is held by agent:a, which user:bob may not take over',
    )
    expect(bench.ask('a', 'model:m').denial?.rule).toBe('authority')
  })

  test('of an exclusive part is free once the lease has ended [kernel-9]', () => {
    const { bench } = held('user', 1000, { exclusive: true })
    bench.after(1000)
    expect(bench.ask('a', 'model:m').denial).toBeUndefined()
  })
})

describe('a command', () => {
  test('comes with a growing number; a stale one is refused and ends nothing [kernel-8]', () => {
    const { bench, lease } = held()
    for (const sequence of [1, 0, -1, Number.NaN, Number.POSITIVE_INFINITY, 1.5]) {
      const { denial, writes } = bench.command(lease, 'a', { on: 0 }, { sequence })
      expect(denial?.rule).toBe('sequence-number')
      expect(writes).toEqual([])
    }
    expect(bench.command(lease, 'a', { on: 0 }, { sequence: 2 }).writes).toEqual([{ 'a.on': 0 }])
  })

  test('that was refused has used up its number [kernel-8]', () => {
    const { bench, lease } = held()
    expect(bench.command(lease, 'a', { on: 7 }, { sequence: 5 }).denial?.rule).toBe('range')
    expect(bench.command(lease, 'a', { on: 0 }, { sequence: 5 }).denial?.rule).toBe('sequence-number')
  })

  test('is worth nothing after its time, and nothing from the future [kernel-8]', () => {
    const { bench, lease } = held('user', 10_000)
    bench.after(5000)
    const asked = { ttlMs: 100 }
    expect(bench.command(lease, 'a', { on: 0 }, { ...asked, issuedMs: 4899 }).denial?.rule).toBe('expired')
    expect(bench.command(lease, 'a', { on: 0 }, { ...asked, issuedMs: 6001 }).denial?.rule).toBe('expired')
    expect(bench.command(lease, 'a', { on: 0 }, { ...asked, issuedMs: Number.NaN }).denial?.rule).toBe(
      'expired',
    )
    expect(bench.command(lease, 'a', { on: 0 }, { ...asked, issuedMs: 4900 }).denial).toBeUndefined()
  })

  test('that is refused is told with who, what, which rule and why [kernel-11]', () => {
    const { bench } = held('agent:lamp')
    const { events } = bench.command('s-lease-1', 'a', { on: 2 })
    expect(events).toEqual([
      {
        type: 'denied',
        asked: 'command',
        principal: 'agent:lamp',
        components: ['a'],
        changes: { on: 2 },
        denial: { rule: 'range', message: 'a.on is 0 or 1, not 2' },
      },
    ])
    expect(bench.kernel.status(0).denials).toBe(1)
  })

  test('with endless names is told in bounded words [kernel-11]', () => {
    const { bench, lease } = held()
    const many = Object.fromEntries(Array.from({ length: 1000 }, (_, at) => [`${'x'.repeat(1000)}${at}`, 1]))
    const { events } = bench.command(lease, 'a', many)
    expect(JSON.stringify(events).length).toBeLessThan(20_000)
    const asked = bench.ask(Array.from({ length: 1000 }, (_, at) => `${'x'.repeat(1000)}${at}`))
    expect(JSON.stringify(asked.events).length).toBeLessThan(20_000)
  })
})

describe('everything of a holder goes safe', () => {
  test('when the control loop is silent for too long; then nobody gets a lease until it is back [kernel-7]', () => {
    const bench = Bench.started([relay('a')], [], { silenceMsMax: 500 })
    bench.command(bench.lease('a'), 'a', on)
    bench.after(400)
    bench.kernel.alive(400)
    expect(bench.kernel.nextWakeMs()).toBe(900)
    expect(bench.after(499).writes).toEqual([])
    const step = bench.after(1)
    expect(step.writes).toEqual([{ 'a.on': 0 }])
    expect(ends(step)).toEqual(['silence'])
    expect(bench.ask('a').denial?.message).toBe('the control loop is silent')
    bench.kernel.alive(1000)
    expect(bench.ask('a').denial).toBeUndefined()
  })

  test('when the network is lost, for leases of mqtt whose parts do not all keep [kernel-7]', () => {
    const keep = { keepWithoutNetwork: true }
    const bench = Bench.started([relay('a'), relay('b', keep), relay('c', keep), relay('d')])
    for (const [parts, principal] of [
      [['a', 'b'], 'mqtt'],
      [['c'], 'mqtt'],
      [['d'], 'agent:x'],
    ] as const) {
      const lease = bench.lease(parts, principal)
      for (const id of parts) bench.command(lease, id, on)
    }
    const step = bench.kernel.networkLost(0)
    expect(step.writes).toEqual([{ 'a.on': 0, 'b.on': 0 }])
    expect(ends(step)).toEqual(['network-lost'])
  })

  test('when an agent is gone, for its own leases only [kernel-7]', () => {
    const bench = Bench.started([relay('a'), relay('b')])
    bench.command(bench.lease('a', 'agent:x'), 'a', on)
    bench.command(bench.lease('b', 'agent:y'), 'b', on)
    expect(bench.kernel.endPrincipal('agent:x', 0).writes).toEqual([{ 'a.on': 0 }])
  })

  test('and what was due before what is asked is a write of its own [kernel-6]', () => {
    const bench = Bench.started([part('p', [binary('a'), binary('b')]), relay('c')])
    bench.command(bench.lease('c', 'user', 50), 'c', on)
    const lease = bench.lease('p')
    bench.nowMs = 60
    expect(bench.command(lease, 'p', { a: 1, b: 1 }).writes).toEqual([{ 'c.on': 0 }, { 'p.a': 1, 'p.b': 1 }])
  })

  test('and a time that goes back counts as the last [kernel-7]', () => {
    const { bench, lease } = held()
    bench.after(500)
    bench.kernel.renew(lease, 100)
    expect(bench.after(999).writes).toEqual([])
    expect(bench.after(1).writes).toEqual([{ 'a.on': 0 }])
  })
})
