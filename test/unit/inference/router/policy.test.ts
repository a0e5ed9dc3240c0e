/** The choice itself: a pure function, by table. */
import { describe, expect, it } from 'vitest'
import type { Conditions } from '../../../../runtime/inference/router/conditions.ts'
import { Estimates } from '../../../../runtime/inference/router/estimates.ts'
import { LinkMeter } from '../../../../runtime/inference/router/link-meter.ts'
import {
  choose,
  type Incumbent,
  type PolicyCandidate,
  type PolicyOptions,
  policyDefaults,
} from '../../../../runtime/inference/router/policy.ts'
import type { RouteOffer } from '../../../../runtime/inference/router/route.ts'
import type { Privacy } from '../../../../runtime/wire/infer.ts'

const offer = (more: Partial<RouteOffer> = {}): RouteOffer => ({
  usable: true,
  queueMs: 0,
  loadMs: 0,
  price: 0,
  idempotent: true,
  ...more,
})
const at = (
  id: string,
  reach: Privacy,
  p50Ms: number,
  more: Partial<RouteOffer> & { p95Ms?: number } = {},
): PolicyCandidate => ({
  id,
  reach,
  offer: offer(more),
  estimate: {
    p50Ms,
    p95Ms: more.p95Ms ?? p50Ms,
    queueMs: 0,
    loadMs: 0,
    transferMs: 0,
    serviceMs: p50Ms,
    serviceP95Ms: p50Ms,
    answers: 9,
    basis: 'measured',
    stale: false,
  },
})
const request = {
  model: 'm',
  privacy: 'cloud',
  priority: 'interactive',
  deadlineMs: 1000,
  bytes: 100,
} as const
const pick = (
  candidates: PolicyCandidate[],
  {
    conditions = {},
    options = {},
    incumbent,
    nowMs = 0,
    ...asked
  }: {
    conditions?: Conditions
    options?: Partial<PolicyOptions>
    incumbent?: Incumbent
    nowMs?: number
    deadlineMs?: number
    priority?: 'background'
  } = {},
) =>
  choose(
    { ...request, ...asked },
    candidates,
    conditions,
    { ...policyDefaults, allow: 'cloud', ...options },
    incumbent,
    nowMs,
  )

describe('deadline, then cost', () => {
  it('a quick place with a long tail is passed over where its tail misses the deadline [router-4]', () => {
    const wifi = at('gateway', 'site', 50, { p95Ms: 2000 })
    const engine = at('engine', 'device', 400, { p95Ms: 450 })
    expect(pick([wifi, engine]).ranked).toEqual(['engine', 'gateway'])
    expect(pick([wifi, engine], { deadlineMs: 5000 }).ranked[0]).toBe('engine')
    expect(pick([at('gateway', 'site', 50, { p95Ms: 900 }), engine]).ranked[0]).toBe('gateway')
  })

  it('where none makes the deadline the quickest is tried, and it is said [router-4]', () => {
    const choice = pick([at('a', 'device', 400), at('b', 'site', 300)], { deadlineMs: 100 })
    expect(choice.ranked).toEqual(['b', 'a'])
    expect(choice.reason).toContain('none is expected to answer within 100 ms')
  })

  it('price counts as waiting: a cent is worth a second', () => {
    const paid = at('gateway/cloud', 'cloud', 100, { price: 0.01 })
    expect(pick([paid, at('engine', 'device', 900)]).ranked[0]).toBe('engine')
    expect(pick([paid, at('engine', 'device', 900)], { options: { msPerPrice: 0 } }).ranked[0]).toBe(
      'gateway/cloud',
    )
  })

  it.each<[string, Conditions, string]>([
    ['a cool board on mains computes itself', { tempC: 50 }, 'engine'],
    ['a hot board hands over', { tempC: 82 }, 'gateway'],
    ['a throttled board hands over', { throttled: true }, 'gateway'],
    ['a board on battery counts its joules', { power: 'battery' }, 'gateway'],
  ])('%s', (_, conditions, where) => {
    const places = [
      at('engine', 'device', 100, { energyJ: 0.5 }),
      at('gateway', 'site', 120, { energyJ: 0.05 }),
    ]
    expect(pick(places, { conditions }).ranked[0]).toBe(where)
  })

  it('a joule counts more when the battery is low, and for background work', () => {
    const places = [at('engine', 'device', 100, { energyJ: 1 }), at('gateway', 'site', 350, { energyJ: 0.1 })]
    expect(pick(places, { conditions: { power: 'battery', batteryPercent: 80 } }).ranked[0]).toBe('engine')
    expect(pick(places, { conditions: { power: 'battery', batteryPercent: 10 } }).ranked[0]).toBe('gateway')
    expect(pick(places, { conditions: { power: 'battery' }, priority: 'background' }).ranked[0]).toBe(
      'gateway',
    )
  })

  it('a radio costs joules by the time of the way, and is told with them', () => {
    const gateway = at('gateway', 'site', 300, { transferWatts: 2 })
    const far = {
      ...gateway,
      ...(gateway.estimate && { estimate: { ...gateway.estimate, transferMs: 250 } }),
    }
    const here = at('engine', 'device', 320, { energyJ: 0.1 })
    expect(pick([far, here]).ranked[0]).toBe('gateway')
    const onBattery = pick([far, here], { conditions: { power: 'battery' } })
    expect(onBattery.ranked[0]).toBe('engine')
    expect(onBattery.candidates.map(({ energyJ }) => energyJ)).toEqual([0.5, 0.1])
  })

  it('what does not fit into the memory that is free is not loaded here', () => {
    const big = at('engine', 'device', 10, { memoryMb: 300 })
    const choice = pick([big, at('gateway', 'site', 500)], { conditions: { memoryFreeMb: 120 } })
    expect(choice.ranked).toEqual(['gateway'])
    expect(choice.candidates[0]?.whyNot).toBe('needs 300 MB of memory; 120 MB are free')
    expect(pick([big], { conditions: { memoryFreeMb: 120 } }).refusal?.code).toBe('memory')
    const away = { ...at('gateway', 'site', 1), offer: { usable: false, whyNot: 'it is away' } } as const
    expect(pick([big, away], { conditions: { memoryFreeMb: 120 } }).refusal).toMatchObject({
      code: 'memory',
      message: expect.stringMatching(/engine: needs 300 MB of memory; 120 MB are free; gateway: it is away$/),
    })
  })

  it('what a place cannot take is not sent there', () => {
    const choice = pick([at('gateway', 'site', 1, { bytesMax: 50 }), at('engine', 'device', 500)])
    expect(choice.candidates[0]?.whyNot).toBe('takes 50 bytes at most; these are 100')
  })
})

describe('hysteresis', () => {
  const engine = at('engine', 'device', 100)
  const near = at('gateway', 'site', 90)
  const better = at('gateway', 'site', 75)
  const muchBetter = at('gateway', 'site', 20)
  const here: Incumbent = { route: 'engine' }

  it('a model stays where it is while another place is only a little better [router-4]', () => {
    expect(pick([engine, near], { incumbent: here }).ranked[0]).toBe('engine')
  })

  it('it moves when another place has been better for long enough, and at once when it is far better [router-4]', () => {
    const first = pick([engine, better], { incumbent: here, nowMs: 1000 })
    expect(first.ranked[0]).toBe('engine')
    const second = pick([engine, better], { incumbent: first.incumbent, nowMs: 2900 } as never)
    expect(second.ranked[0]).toBe('engine')
    const third = pick([engine, better], { incumbent: second.incumbent, nowMs: 3000 } as never)
    expect(third.ranked[0]).toBe('gateway')
    expect(third.reason).toBe('moved from engine: costs 25 % less')
    expect(pick([engine, muchBetter], { incumbent: here }).ranked[0]).toBe('gateway')
  })

  it('a challenger that falls back starts again', () => {
    const first = pick([engine, better], { incumbent: here, nowMs: 0 })
    const lost = pick([engine, near], { incumbent: first.incumbent, nowMs: 1000 } as never)
    expect(pick([engine, better], { incumbent: lost.incumbent, nowMs: 2500 } as never).ranked[0]).toBe(
      'engine',
    )
  })

  it('it leaves at once where it cannot go on', () => {
    const gone: PolicyCandidate = { id: 'engine', reach: 'device', offer: { usable: false, whyNot: 'gone' } }
    expect(pick([gone, near], { incumbent: here }).ranked[0]).toBe('gateway')
  })
})

describe('what is expected', () => {
  const gateway = { id: 'gateway', reach: 'site' as const }
  const seen = (estimates: Estimates, bytes: number, wallMs: number, nowMs: number, modelMs = 5) =>
    estimates.observe(
      { route: gateway, model: 'm', bytes, offer: { queueMs: 0, loadMs: 0 }, wallMs, modelMs },
      nowMs,
    )

  it('a link is learnt from small and large messages, and one lost packet does not move it', () => {
    const link = new LinkMeter({ rttMs: 10, bytesPerS: 1e6 })
    for (let n = 0; n < 12; n += 1) {
      link.add(100, 40, n)
      link.add(200_000, 40 + 100, n)
    }
    link.add(100, 900, 20)
    expect(link.transfer(100_000, 20).p50Ms).toBeCloseTo(90, -1)
    expect(link.transfer(100, 20).p95Ms).toBeGreaterThan(link.transfer(100, 20).p50Ms)
  })

  it('before the first answer it is what the place says, and said to be that', () => {
    const estimates = new Estimates({ staleMs: 60_000 })
    const told = estimates.of(gateway, 'm', offer({ modelMs: 100, queueMs: 30, loadMs: 500 }), 0, 0)
    expect(told).toMatchObject({ basis: 'advertised', queueMs: 30, loadMs: 500 })
    expect(told.p95Ms).toBeGreaterThanOrEqual(630)
    expect(estimates.of(gateway, 'm', offer(), 0, 0).basis).toBe('guessed')
  })

  it('it follows a link that gets slow within a few answers, and is doubted after a long silence', () => {
    const estimates = new Estimates({ staleMs: 60_000 })
    const p50 = (nowMs: number) => estimates.of(gateway, 'm', offer({ modelMs: 5 }), 100, nowMs).p50Ms
    for (let n = 0; n < 20; n += 1) seen(estimates, 100, 15, n)
    expect(p50(20)).toBeLessThan(20)
    for (let n = 0; n < 6; n += 1) seen(estimates, 100, 300, 21 + n)
    expect(p50(30)).toBeGreaterThan(200)
    expect(p50(100_000)).toBeLessThan(30)
  })

  it('silence counts: a request given up teaches that the place is slower than that', () => {
    const estimates = new Estimates({ staleMs: 60_000 })
    for (let n = 0; n < 3; n += 1)
      estimates.observe(
        {
          route: gateway,
          model: 'm',
          bytes: 100,
          offer: { queueMs: 0, loadMs: 0 },
          wallMs: 400,
          atLeast: true,
        },
        n,
      )
    expect(estimates.of(gateway, 'm', offer({ modelMs: 5 }), 100, 3).p50Ms).toBeGreaterThan(400)
  })
})
