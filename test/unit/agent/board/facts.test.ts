/** What devices know of the blackboard, without a network and over one that loses, doubles, reorders and is cut in two. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Fact, Facts, standsOver } from '../../../../runtime/agent/board/facts.ts'
import { VirtualClock } from '../../../../runtime/base/clock.ts'
import { boardLimits } from '../../../../runtime/wire/board.ts'
import { SimulatedNetwork } from '../together/network.ts'

const dayMs = 24 * 3_600_000
const devices = ['attic', 'bath', 'cellar', 'den', 'east']

function fact(author: string, key: string, version: number, more: Partial<Fact['body']> = {}): Fact {
  const body = { key, version, value: `${author} ${version}`, tsMs: 1_000_000, ttlMs: dayMs, ...more }
  return { author, body, text: JSON.stringify(body) }
}

/** What a replica shows, as text. */
const shown = (facts: Facts, keys: readonly string[], nowMs: number) =>
  keys.map((key) => `${key}=${facts.shown(key, nowMs)?.text}`).join('\n')

describe('facts', () => {
  test('are the same on every device that saw the same ones, in whatever order and however often [board-1] [board-3]', () => {
    const some = fc.record({
      author: fc.constantFrom('attic', 'bath', 'cellar'),
      key: fc.constantFrom('a', 'b'),
      version: fc.integer({ min: 1, max: 4 }),
      value: fc.option(fc.integer(), { nil: undefined }),
      ttlMs: fc.integer({ min: 1, max: 1_000 }),
    })
    fc.assert(
      fc.property(
        fc.array(some, { maxLength: 20 }),
        fc.integer(),
        fc.integer({ min: 0, max: 2_000 }),
        (all, seed, laterMs) => {
          const told = all.map(({ author, key, version, ...more }) => fact(author, key, version, more))
          const order = new VirtualClock({ seed })
          const shuffled = [...told, ...told].toSorted(() => order.random() - 0.5)
          const one = new Facts()
          const other = new Facts()
          for (const each of told) one.accept(each, 1_000_000)
          for (const each of shuffled) other.accept(each, 1_000_000)
          const nowMs = 1_000_000 + laterMs
          expect(shown(one, ['a', 'b'], nowMs)).toBe(shown(other, ['a', 'b'], nowMs))
        },
      ),
    )
  })

  test('have a total order: of two different ones exactly one stands [board-1]', () => {
    const any = fc.tuple(
      fc.constantFrom('a', 'b'),
      fc.integer({ min: 1, max: 3 }),
      fc.integer({ min: 0, max: 2 }),
    )
    const made = any.map(([author, version, value]) => fact(author, 'k', version, { value }))
    fc.assert(
      fc.property(made, made, made, (a, b, c) => {
        if (a.text !== b.text || a.author !== b.author) expect(standsOver(a, b)).toBe(!standsOver(b, a))
        if (standsOver(a, b) && standsOver(b, c)) expect(standsOver(a, c)).toBe(true)
      }),
    )
  })

  test.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])(
    'converge after loss, doubling, reordering and a partition, seed %i [board-1]',
    (seed) => {
      const clock = new VirtualClock({ seed })
      const network = new SimulatedNetwork<Fact>(clock, { loss: 0.3, twice: 0.2, delayMsMax: 500 })
      const keys = ['heat.pump', 'who.home', 'mode']
      const replicas = new Map(devices.map((device) => [device, new Facts()]))
      for (const [device, facts] of replicas)
        network.join(device, (_, told) => facts.accept(told, clock.nowMs()))
      const written: Fact[] = []
      for (let step = 0; step < 200; step += 1) {
        if (step === 50) network.cut((device) => (device < 'cellar' ? 0 : 1))
        if (step === 150) network.heal()
        const device = devices[Math.floor(clock.random() * devices.length)] ?? ''
        const facts = replicas.get(device) as Facts
        const key = keys[Math.floor(clock.random() * keys.length)] ?? ''
        const deletes = clock.random() < 0.2
        const made = fact(device, key, (facts.place(key)?.body.version ?? 0) + 1, {
          value: deletes ? undefined : step,
          tsMs: clock.nowMs(),
          ttlMs: 1 + Math.floor(clock.random() * 60_000),
        })
        facts.accept(made, clock.nowMs())
        written.push(made)
        network.say(device, made)
        clock.advance(100)
      }
      // What is left is said again until everybody has heard it: what the board does after each connecting.
      for (let round = 0; round < 30; round += 1) {
        for (const [device, facts] of replicas) for (const known of facts.all) network.say(device, known)
        clock.advance(1_000)
      }
      const highest = (key: string) =>
        written.filter(({ body }) => body.key === key).reduce((a, b) => (standsOver(b, a) ? b : a))
      for (const facts of replicas.values())
        for (const key of keys) expect(facts.place(key)?.text).toBe(highest(key).text)
      const views = [...replicas.values()].map((facts) => shown(facts, keys, clock.nowMs()))
      expect(new Set(views).size).toBe(1)
    },
  )

  test('that ran out do not make room for an older one that would live longer [board-2]', () => {
    const facts = new Facts()
    const long = fact('attic', 'k', 1, { ttlMs: 20 * dayMs })
    const short = fact('bath', 'k', 2, { ttlMs: 10 })
    facts.accept(short, 1_000_000)
    expect(facts.accept(long, 1_000_000 + dayMs)).toBe('older')
    expect(facts.shown('k', 1_000_000 + dayMs)).toBeUndefined()
  })

  test('that were deleted stay so until nothing older can be alive, and are then forgotten [board-2]', () => {
    const facts = new Facts()
    const old = fact('attic', 'k', 1, { ttlMs: boardLimits.ttlMsMax })
    facts.accept(old, 1_000_000)
    facts.accept(fact('bath', 'k', 2, { value: undefined }), 1_000_000)
    expect(facts.shown('k', 1_000_001)).toBeUndefined()
    expect(facts.accept(old, 1_000_000 + boardLimits.ttlMsMax)).toBe('older')
    const laterMs = 1_000_001 + boardLimits.ttlMsMax + boardLimits.skewMsMax
    expect(facts.forget(laterMs)).toEqual(['k'])
    expect(facts.accept(old, laterMs)).toBe('stale')
  })

  test('from further in the future than clocks may differ are refused [board-4]', () => {
    const facts = new Facts()
    const early = fact('attic', 'k', 1, { tsMs: 1_000_000 + boardLimits.skewMsMax + 1 })
    expect(facts.accept(early, 1_000_000)).toBe('future')
    expect(facts.accept(early, 1_000_001)).toBe('new')
  })

  test('of one author cannot fill the board [board-5]', () => {
    const facts = new Facts()
    for (let n = 0; n < boardLimits.keysOfAuthorMax; n += 1)
      expect(facts.accept(fact('liar', `k${n}`, 1), 1_000_000)).toBe('new')
    expect(facts.accept(fact('liar', 'more', 1), 1_000_000)).toBe('full')
    expect(facts.accept(fact('attic', 'more', 1), 1_000_000)).toBe('new')
  })
})
