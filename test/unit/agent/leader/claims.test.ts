/** Leases by majority over a simulated network that loses, doubles, reorders and is cut in two. */
import { describe, expect, test } from 'vitest'
import { Claim, Grants } from '../../../../runtime/agent/leader/claims.ts'
import { VirtualClock } from '../../../../runtime/base/clock.ts'
import type { LeaseBody } from '../../../../runtime/wire/lease.ts'
import { SimulatedNetwork } from '../together/network.ts'

const devices = ['attic', 'bath', 'cellar', 'den', 'east']
const name = 'heat-pump'

describe('a lease', () => {
  test.each([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])(
    'has one holder at a time and growing tokens, seed %i [lease-1] [lease-2]',
    (seed) => {
      const clock = new VirtualClock({ seed })
      const network = new SimulatedNetwork<LeaseBody>(clock, { loss: 0.1, twice: 0.1, delayMsMax: 300 })
      const holding: { device: string; token: number; fromMs: number; untilMs: number }[] = []
      const grants = new Map(devices.map((device) => [device, new Grants()]))
      const claims = new Map<string, { claim: Claim; held: boolean }>()
      let at = 0
      const hear = (self: string, from: string, body: LeaseBody) => {
        const nowMs = clock.monotonicMs()
        const mine = grants.get(self) as Grants
        if (body.kind === 'release') mine.release(from, body, nowMs)
        if (body.kind === 'claim') {
          const answer = mine.claim(from, body, nowMs)
          if (answer && from === self) hear(self, self, answer)
          else if (answer) network.tell(self, from, answer)
        }
        const asked = claims.get(self)
        if ((body.kind !== 'grant' && body.kind !== 'refuse') || body.to !== self || !asked) return
        asked.claim.answer(from, body, '')
        const untilMs = asked.claim.heldUntilMs(nowMs)
        if (untilMs !== undefined && !asked.held) {
          asked.held = true
          holding.push({ device: self, token: asked.claim.body.token, fromMs: nowMs, untilMs })
        }
      }
      const say = (self: string, body: LeaseBody) => {
        hear(self, self, body)
        network.say(self, body)
      }
      for (const device of devices) network.join(device, (from, body) => hear(device, from, body))
      for (let step = 0; step < 400; step += 1) {
        if (step === 150) network.cut((device) => (device < 'cellar' ? 0 : 1))
        if (step === 300) network.heal()
        const self = devices[Math.floor(clock.random() * devices.length)] ?? ''
        const before = claims.get(self)
        const holds = before?.held && before.claim.heldUntilMs(clock.monotonicMs()) !== undefined
        if (!holds) {
          at += 1
          if (before) say(self, { kind: 'release', name, token: before.claim.body.token, at })
          at += 1
          const known = Math.max(grants.get(self)?.highest(name) ?? 0, before?.claim.highest ?? 0)
          const body = { kind: 'claim', name, token: known + 1, ttlMs: 1_500, at } as const
          claims.set(self, { claim: new Claim(body, devices, clock.monotonicMs()), held: false })
          say(self, body)
        }
        clock.advance(100 + clock.random() * 200)
      }
      expect(holding.length).toBeGreaterThan(5)
      for (const [n, { fromMs, token }] of holding.entries()) {
        const before = holding[n - 1]
        if (!before) continue
        expect(fromMs).toBeGreaterThanOrEqual(before.untilMs)
        expect(token).toBeGreaterThan(before.token)
      }
    },
  )

  test('is not prolonged by a claim said again, and a clock set back is no end of claims [lease-3]', () => {
    const grants = new Grants()
    const claim = { kind: 'claim', name, token: 1, ttlMs: 1_000, at: 50 } as const
    expect(grants.claim('attic', claim, 0)).toMatchObject({ kind: 'grant' })
    expect(grants.claim('attic', claim, 900)).toMatchObject({ kind: 'refuse' })
    expect(grants.claim('bath', { ...claim, token: 2, at: 1 }, 999)).toMatchObject({
      kind: 'refuse',
      highest: 1,
    })
    expect(grants.claim('attic', { ...claim, token: 2, at: 7 }, 999)).toMatchObject({
      kind: 'refuse',
      at: 50,
    })
    expect(grants.claim('bath', { ...claim, token: 2, at: 2 }, 1_000)).toMatchObject({
      kind: 'grant',
      token: 2,
    })
  })

  test('is not granted beside a holder that a device heard of after its restart', () => {
    const grants = new Grants()
    grants.heardHeld('attic', { name, token: 7, ttlMs: 1_000 }, 0)
    const claim = { kind: 'claim', name, token: 8, ttlMs: 1_000, at: 1 } as const
    expect(grants.claim('bath', claim, 500)).toMatchObject({ kind: 'refuse', highest: 7 })
    expect(grants.claim('bath', { ...claim, at: 2 }, 1_000)).toMatchObject({ kind: 'grant' })
  })

  test('released is free at once, also where the release overtook its claim', () => {
    const grants = new Grants()
    const claim = { kind: 'claim', name, token: 1, ttlMs: 60_000, at: 1 } as const
    grants.claim('attic', claim, 0)
    grants.release('attic', { kind: 'release', name, token: 1, at: 2 }, 0)
    expect(grants.claim('bath', { ...claim, token: 2 }, 1)).toMatchObject({ kind: 'grant' })
    grants.release('cellar', { kind: 'release', name: 'other', token: 1, at: 2 }, 0)
    expect(grants.claim('cellar', { ...claim, name: 'other' }, 1)).toMatchObject({ kind: 'refuse' })
  })

  test('is not to be had for one device that has very many, by whatever names, and for others it is [lease-12]', () => {
    const grants = new Grants()
    const claim = { kind: 'claim', name, token: 1, ttlMs: 60_000, at: 1 } as const
    // Names that others have let go of count as well as new ones.
    for (let n = 0; n < 100; n += 1) {
      grants.claim(`d${n % 8}`, { ...claim, name: `old-${n}` }, 0)
      grants.release(`d${n % 8}`, { ...claim, kind: 'release', name: `old-${n}`, at: 2 }, 0)
    }
    let granted = 0
    const eve = (wanted: string, token: number) => {
      const answer = grants.claim('eve', { ...claim, name: wanted, token }, 1)
      if (answer.kind === 'grant') granted += 1
      return answer
    }
    for (let n = 0; n < 100; n += 1) eve(`old-${n}`, 2)
    for (let n = 0; n < 700; n += 1) eve(`new-${n}`, 1)
    expect(granted).toBe(128)
    expect(eve('one-more', 1)).toMatchObject({ kind: 'refuse', why: 'many' })
    expect(grants.held(1)).toHaveLength(128)
    expect(grants.claim('bath', claim, 1)).toMatchObject({ kind: 'grant' })
    // When her time is over she forgets her own names for new ones, nobody else's.
    for (let n = 0; n < 700; n += 1)
      grants.claim('eve', { ...claim, name: `later-${n}` }, 60_000 + n * 60_000)
    expect(grants.highest(name)).toBe(1)
  })

  test('is to be had also where some devices hold all names together [lease-12]', () => {
    const grants = new Grants()
    const claim = { kind: 'claim', token: 1, ttlMs: 60_000, at: 1 } as const
    for (const liar of ['eve', 'mallory', 'trudy', 'oscar'])
      for (let n = 0; n < 200; n += 1) grants.claim(liar, { ...claim, name: `${liar}-${n}` }, 0)
    expect(grants.held(1)).toHaveLength(512)
    const bath = [0, 1, 2, 3, 4].map((n) => grants.claim('bath', { ...claim, name: `bath-${n}` }, 1).kind)
    expect(bath).toEqual(['grant', 'grant', 'grant', 'grant', 'refuse'])
  })
})
