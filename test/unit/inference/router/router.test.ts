/** The router as a whole, on a virtual clock: where requests go, what happens when that fails, and what is told of it. */
import { describe, expect, it } from 'vitest'
import { DecisionLog } from '../../../../runtime/inference/router/decision-log.ts'
import { decision } from '../../../../runtime/wire/decisions.ts'
import { InferError, type ServedBy } from '../../../../runtime/wire/infer.ts'
import { check } from '../../../../runtime/wire/messages.ts'
import { ask, house, place, text } from './places.ts'

const gone = () => new InferError('unavailable', 'the gateway has gone', { retryable: true })

describe('privacy', () => {
  it('what is labelled device never leaves it, however slow it is here [router-1]', async () => {
    const home = house([
      place('engine', 'device', { takesMs: 900, offer: { modelMs: 900 } }),
      place('gateway/a', 'site', { offer: { modelMs: 1 } }),
    ])
    for (let n = 0; n < 20; n += 1)
      expect((await home.answer(ask({ privacy: 'device' }))).route).toBe('engine')
    expect(home.asked.every(({ place }) => place === 'engine')).toBe(true)
  })

  it('a label is not widened after a failure either [router-1]', async () => {
    const home = house([place('engine', 'device', { fails: gone() }), place('gateway/a', 'site')])
    expect((await home.failure(ask({ privacy: 'device' }))).code).toBe('unavailable')
    expect(home.asked.map((one) => one.place)).toEqual(['engine'])
  })

  it('a refusal names the label and what would have been needed [router-1]', async () => {
    const home = house([
      place('engine', 'device', { offer: { usable: false, whyNot: 'no such model', code: 'model-unknown' } }),
      place('gateway/a', 'site'),
    ])
    const error = await home.failure(ask({ privacy: 'device' }))
    expect(error.code).toBe('refused')
    expect(error.message).toContain('m would have to run at gateway/a, as far away as site')
    expect(error.message).toContain('labelled device: it would need the label site')
    expect(home.asked).toEqual([])
  })

  it('nothing goes to the cloud unless the configuration says so [router-2]', async () => {
    const places = [place('gateway/cloud', 'cloud')]
    const error = await house(places).failure(ask())
    expect(error.code).toBe('refused')
    expect(error.message).toContain('inference.allow: cloud')
    expect((await house(places, { allow: 'cloud' }).answer(ask())).route).toBe('gateway/cloud')
  })

  it('an answer is as private as its inputs, or as the place says, and never less [router-3]', async () => {
    const home = house([place('engine', 'device', { answer: () => ({ privacy: 'cloud' }) })])
    expect((await home.answer(ask({ privacy: 'site' }))).privacy).toBe('site')
    const strict = house([place('engine', 'device', { answer: () => ({ privacy: 'device' }) })])
    expect((await strict.answer(ask({ privacy: 'cloud' }))).privacy).toBe('device')
  })
})

describe('failure', () => {
  it('the next place takes over when the first fails before it said anything [router-6]', async () => {
    const home = house([
      place('engine', 'device', { takesMs: 50, offer: { modelMs: 100 } }),
      place('gateway/a', 'site', { takesMs: 5, offer: { modelMs: 5 }, fails: gone() }),
    ])
    const answer = await home.answer()
    expect(answer.route).toBe('engine')
    const told = home.router.decision(answer.decision ?? '')
    expect(told?.attempts.map(({ route, kind, outcome }) => [route, kind, outcome])).toEqual([
      ['gateway/a', 'first', 'failed'],
      ['engine', 'fallback', 'answered'],
    ])
  })

  it('no place is asked twice for one request [router-6]', async () => {
    const home = house([
      place('engine', 'device', { fails: gone() }),
      place('gateway/a', 'site', { fails: gone() }),
    ])
    expect((await home.failure()).code).toBe('unavailable')
    expect(home.asked.map((one) => one.place).sort()).toEqual(['engine', 'gateway/a'])
  })

  it('after something was streamed nobody else goes on [router-6]', async () => {
    const broken = async function* () {
      yield { final: false, outputs: [text('half')] }
      throw gone()
    }
    const home = house([
      place('engine', 'device', { takesMs: 500, offer: { modelMs: 600 } }),
      place('gateway/a', 'site', { answer: broken, offer: { modelMs: 5 } }),
    ])
    expect((await home.failure()).code).toBe('unavailable')
    expect(home.asked.map((one) => one.place)).toEqual(['gateway/a'])
  })

  it('an input that is wrong is wrong everywhere: no other place is asked [router-6]', async () => {
    const home = house([
      place('gateway/a', 'site', {
        fails: new InferError('bad-input', 'input x: wrong'),
        offer: { modelMs: 1 },
      }),
      place('engine', 'device', { offer: { modelMs: 500 } }),
    ])
    expect((await home.failure()).message).toBe('input x: wrong')
    expect(home.asked).toHaveLength(1)
  })

  it('a place that keeps silent is given up early enough for the next one to make the deadline [router-6]', async () => {
    const home = house([
      place('gateway/a', 'site', { takesMs: Infinity, offer: { modelMs: 5 } }),
      place('engine', 'device', { takesMs: 300, offer: { modelMs: 300, idempotent: false } }),
    ])
    const answer = await home.answer(ask({ deadlineMs: 600 }))
    expect(answer.route).toBe('engine')
    expect(home.router.decision(answer.decision ?? '')?.result?.latencyMs).toBeLessThanOrEqual(600)
    expect(home.asked[0]?.ended).toBe('cancelled')
  })

  it('a place that stalls now and then is waited for no longer than it usually takes, or the next one does [router-8]', async () => {
    const gateway = place('gateway/a', 'site', { takesMs: 30, offer: { modelMs: 10 } })
    const home = house([gateway, place('engine', 'device', { takesMs: 200, offer: { modelMs: 200 } })], {
      hedgeShare: 0,
    })
    // Its p95 becomes as long as a stall, which says nothing about when one begins.
    for (let request = 0; request < 24; request += 1) {
      gateway.takesMs = request % 8 === 7 ? 190 : 30
      await home.answer(ask({ deadlineMs: 5_000 }))
      await home.clock.advance(1_000)
    }
    gateway.takesMs = Infinity
    const answer = await home.answer(ask({ deadlineMs: 5_000 }))
    const told = home.router.decision(answer.decision ?? '')
    expect(told?.attempts.map(({ route }) => route)).toEqual(['gateway/a', 'engine'])
    expect(told?.result?.latencyMs).toBeLessThanOrEqual(200 + 210)
  })

  it('what was begun is not given up for a place that would be too late [router-6]', async () => {
    const home = house([
      place('gateway/a', 'site', { takesMs: 800, offer: { modelMs: 5, idempotent: false } }),
      place('engine', 'device', { takesMs: 700, offer: { modelMs: 1000, idempotent: false } }),
    ])
    expect((await home.answer(ask({ deadlineMs: 1000 }))).route).toBe('gateway/a')
    expect(home.asked).toHaveLength(1)
  })

  it('several that fail at once are one failure of the place [router-7]', async () => {
    const home = house([
      place('gateway/a', 'site', { takesMs: 20, offer: { modelMs: 5 }, fails: gone() }),
      place('engine', 'device', { takesMs: 50, offer: { modelMs: 60 } }),
    ])
    const signal = new AbortController().signal
    const one = () => Array.fromAsync(home.router.infer(ask(), signal))
    await home.clock.run(() => Promise.all(Array.from({ length: 8 }, one)))
    await home.answer()
    expect(home.router.decisions()[0]?.candidates[0]?.whyNot).toMatch(
      /^it failed \(unavailable\); tried again in 0\./,
    )
  })

  it('a place that ends its answer without a last piece has failed [router-6]', async () => {
    const nothing = async function* () {}
    const home = house([
      place('gateway/a', 'site', { answer: nothing, offer: { modelMs: 1 } }),
      place('engine', 'device', { offer: { modelMs: 500 } }),
    ])
    expect((await home.answer()).route).toBe('engine')
  })

  it('the deadline ends the request where every place keeps silent [router-6]', async () => {
    const home = house([place('engine', 'device', { takesMs: Infinity })])
    const error = await home.failure(ask({ deadlineMs: 200 }))
    expect([error.code, home.clock.monotonicMs()]).toEqual(['deadline', 200])
    expect(home.asked[0]?.ended).toBe('cancelled')
  })

  it('a place that failed is left alone for a while, then tried again [router-7]', async () => {
    const gateway = place('gateway/a', 'site', { takesMs: 5, offer: { modelMs: 5 }, fails: gone() })
    const home = house([place('engine', 'device', { takesMs: 50, offer: { modelMs: 50 } }), gateway])
    await home.answer()
    home.asked.length = 0
    await home.answer()
    await home.answer()
    expect(home.asked.map((one) => one.place)).toEqual(['engine', 'engine'])
    gateway.fails = undefined
    home.clock.advance(60_000)
    expect((await home.answer()).route).toBe('gateway/a')
  })

  it('what this device has is used also while it is being left alone: the board copes [router-7]', async () => {
    const engine = place('engine', 'device', { fails: gone() })
    const home = house([engine])
    await home.failure()
    engine.fails = undefined
    expect((await home.answer()).route).toBe('engine')
  })

  it('with the gateway gone the board serves at once [router-7]', async () => {
    const home = house([
      place('engine', 'device', { takesMs: 40 }),
      place('gateway/a', 'site', { offer: { usable: false, whyNot: 'the gateway is away' } }),
    ])
    expect((await home.answer()).route).toBe('engine')
    expect(home.clock.monotonicMs()).toBe(40)
  })

  it('a caller who leaves cancels at the place [router-6]', async () => {
    const home = house([place('engine', 'device', { takesMs: Infinity })])
    const stop = new AbortController()
    home.clock.after(30, () => stop.abort())
    expect((await home.failure(ask(), stop.signal)).code).toBe('cancelled')
    expect(home.asked[0]?.ended).toBe('cancelled')
  })

  it('a reader who leaves in the middle of a stream cancels at the place [router-6]', async () => {
    const ended: string[] = []
    const endless = async function* () {
      try {
        for (;;) yield { final: false, outputs: [text('…')] }
      } finally {
        ended.push('yes')
      }
    }
    const home = house([place('engine', 'device', { answer: endless })])
    await home.clock.run(async () => {
      for await (const _ of home.router.infer(ask(), new AbortController().signal)) break
    })
    expect(ended).toEqual(['yes'])
    expect(home.router.decisions()[0]?.result?.ok).toBe(false)
  })
})

describe('two at once', () => {
  const slowGateway = () => [
    place('engine', 'device', { takesMs: 60, offer: { modelMs: 200 } }),
    place('gateway/a', 'site', { takesMs: Infinity, offer: { modelMs: 5 } }),
  ]

  it('a second place is asked when the first exceeds its own p95, and the slower one is cancelled [router-8]', async () => {
    const places = slowGateway()
    const home = house(places, { hedgeShare: 1 })
    const answer = await home.answer()
    expect(answer.route).toBe('engine')
    const told = home.router.decision(answer.decision ?? '')
    expect(told?.attempts.map(({ kind, outcome }) => [kind, outcome])).toEqual([
      ['first', 'not needed'],
      ['hedge', 'answered'],
    ])
    expect(home.asked.find((one) => one.place === 'gateway/a')?.ended).toBe('cancelled')
  })

  it('background work, and what may give another answer the second time, is asked once [router-8]', async () => {
    const background = house(slowGateway(), { hedgeShare: 1 })
    const first = await background.answer(ask({ priority: 'background' }))
    const kinds = (home: typeof background, id = '') =>
      home.router.decision(id)?.attempts.map(({ kind }) => kind)
    expect(kinds(background, first.decision)).toEqual(['first', 'fallback'])
    const places = slowGateway().map((one) => ({ ...one, offer: { ...one.offer, idempotent: false } }))
    const changing = house(places, { hedgeShare: 1 })
    expect(kinds(changing, (await changing.answer()).decision)).toEqual(['first', 'fallback'])
  })

  it('no more than the configured share of requests is asked twice [router-8]', async () => {
    const places = [
      place('engine', 'device', { takesMs: 60, offer: { modelMs: 200 } }),
      place('gateway/a', 'site', { takesMs: 5, offer: { modelMs: 5 } }),
    ]
    const home = house(places, { hedgeShare: 0.05, hysteresis: { share: 1, forMs: 1e9, atOnceShare: 1 } })
    let random = 7
    let requests = 0
    for (; requests < 400; requests += 1) {
      random = (random * 1103515245 + 12345) % 2147483648
      if (places[1]) places[1].takesMs = random % 3 === 0 ? 90 : 5
      await home.answer()
    }
    const hedges = home.asked.length - requests
    expect(hedges).toBeGreaterThan(0)
    expect(hedges).toBeLessThanOrEqual(requests * 0.05)
  })
})

describe('learning', () => {
  it('a place that nobody uses is asked with a copy now and then, so that its recovery is seen [router-9]', async () => {
    const gateway = place('gateway/a', 'site', { takesMs: 400, offer: { modelMs: 10 } })
    const home = house([place('engine', 'device', { takesMs: 50, offer: { modelMs: 50 } }), gateway], {
      probeShare: 0.05,
      hedgeShare: 0,
    })
    const step = async () => {
      home.clock.advance(500)
      return (await home.answer()).route
    }
    for (let n = 0; n < 100; n += 1) await step()
    expect(await step()).toBe('engine')
    gateway.takesMs = 2
    const routes = []
    for (let n = 0; n < 400; n += 1) routes.push(await step())
    expect(routes.at(-1)).toBe('gateway/a')
    const copies = home.asked.filter(({ request }) => request.priority === 'background')
    expect(copies.length).toBeGreaterThan(0)
    expect(copies.length).toBeLessThanOrEqual(0.05 * home.asked.length + 1)
  })

  it('a place of which nothing is known is asked with one, also while its link is heard by other models [router-9]', async () => {
    const home = house(
      [
        place('engine', 'device', { takesMs: 50, offer: { modelMs: 50 } }),
        place('gateway/a', 'site', {
          takesMs: 2,
          offer: (model) => (model === 'other' ? { modelMs: 1 } : {}),
        }),
      ],
      { probeShare: 0.05, hedgeShare: 0 },
    )
    const routes = []
    for (let n = 0; n < 60; n += 1) {
      home.clock.advance(100)
      await home.answer(ask({ model: 'other' }))
      routes.push((await home.answer()).route)
    }
    expect([routes[0], routes.at(-1)]).toEqual(['engine', 'gateway/a'])
  })

  it('no copy goes where it has to be paid for, and one that cannot go does not stop the others [router-9]', async () => {
    const home = house(
      [
        place('engine', 'device', { takesMs: 5, offer: { modelMs: 5 } }),
        place('gateway/paid', 'site', { offer: { modelMs: 50, price: 0.001 } }),
        place('gateway/cold', 'site', { offer: { modelMs: 50, loadMs: 500 } }),
        place('gateway/b', 'site', { offer: { modelMs: 200 } }),
      ],
      { probeShare: 0.05, hedgeShare: 0 },
    )
    for (let n = 0; n < 60; n += 1) {
      home.clock.advance(1000)
      await home.answer()
    }
    const copied = home.asked.filter(({ request }) => request.priority === 'background')
    expect(new Set(copied.map((one) => one.place))).toEqual(new Set(['gateway/b']))
  })

  it('a copy that fails at once is no sign of a quick place [router-9]', async () => {
    const bad = new InferError('bad-input', 'input x: wrong')
    const home = house(
      [
        place('gateway/a', 'site', { takesMs: 5, offer: { modelMs: 5 } }),
        place('engine', 'device', { takesMs: 1, offer: {}, fails: bad }),
      ],
      { probeShare: 0.05, hedgeShare: 0 },
    )
    for (let n = 0; n < 60; n += 1) {
      home.clock.advance(1000)
      expect((await home.answer()).route).toBe('gateway/a')
    }
    expect(home.asked.some((one) => one.place === 'engine')).toBe(true)
  })

  it('copies keep to the label, and a hot or battery-powered board makes none [router-1] [router-9]', async () => {
    for (const [privacy, conditions] of [
      ['device', {}],
      ['cloud', { tempC: 90 }],
      ['cloud', { power: 'battery' as const }],
    ] as const) {
      const home = house(
        [
          place('engine', 'device', { takesMs: 5, offer: { modelMs: 5 } }),
          place('gateway/a', 'site', { offer: { modelMs: 400 } }),
        ],
        { probeShare: 1, hotFactor: 1 },
        { conditions: () => conditions },
      )
      for (let n = 0; n < 50; n += 1) {
        home.clock.advance(20_000)
        await home.answer(ask({ privacy }))
      }
      expect(home.asked.filter((one) => one.place === 'gateway/a')).toEqual([])
    }
  })
})

describe('what is told', () => {
  it('every decision says of every place what was expected or why it was not used, in the shape of the wire [router-5]', async () => {
    const home = house([
      place('engine', 'device'),
      place('gateway/a', 'site', { offer: { usable: false, whyNot: 'the gateway is away' } }),
      place('gateway/cloud', 'cloud'),
    ])
    const { decision: id = '' } = await home.answer(ask({ privacy: 'site' }))
    const told = home.router.decision(id)
    expect(check(decision, told).ok).toBe(true)
    expect(told?.candidates.map(({ route, whyNot }) => [route, whyNot])).toEqual([
      ['engine', undefined],
      ['gateway/a', 'the gateway is away'],
      ['gateway/cloud', 'labelled site: it may not travel as far as cloud'],
    ])
    expect(told?.result).toMatchObject({ ok: true, route: 'engine' })
    expect(home.router.decisions()[0]?.id).toBe(id)
  })

  it('nothing of a request or its answer is kept [router-5]', async () => {
    const home = house([
      place('engine', 'device', { answer: () => ({ outputs: [text('the answer is 42')] }) }),
    ])
    await home.answer(ask({ inputs: [text('my secret question')] }))
    const kept = JSON.stringify(home.router.decisions())
    expect(kept).not.toContain('question')
    expect(kept).not.toContain('42')
  })

  it('what a place or a caller says at length, or a time that has passed, keeps no decision from who asks [router-5]', async () => {
    const long = 'x'.repeat(5000)
    const home = house([
      place('engine', 'device', { offer: { usable: false, whyNot: long, code: 'model-load' } }),
      place('gateway/a', 'site', { fails: new InferError('run', long) }),
    ])
    await home.failure(ask({ model: long }))
    await home.failure(ask({ model: long, privacy: 'device' }))
    await home.failure(ask({ deadlineMs: -20 }))
    for (const told of home.router.decisions()) expect(check(decision, told)).toMatchObject({ ok: true })
  })

  it('what a gateway decided is kept with the decision [router-5]', async () => {
    const served: ServedBy = {
      ...{ backend: 'second', cached: false, queueMs: 12, runMs: 40 },
      failed: [{ backend: 'first', code: 'unavailable' }],
    }
    const answer = () => ({ served, route: 'gateway/second' })
    const home = house([place('gateway-cloud', 'cloud', { answer })], { allow: 'cloud' })
    const { decision: id = '', route } = await home.answer()
    expect(route).toBe('gateway/second')
    expect(home.router.decision(id)?.result?.served).toEqual(served)
  })

  it('what asks twenty times a second pushes out its own decisions, and not what a person asked minutes ago [router-5]', async () => {
    const home = house([place('engine', 'device', { takesMs: 0 })])
    const { decision: person = '' } = await home.answer(ask({ model: 'assistant' }))
    const { decision: heard = '' } = await home.answer(ask({ model: 'keywords' }))
    for (let n = 0; n < 40; n += 1) await home.answer(ask({ model: 'keywords' }))
    expect(home.router.decisions().map(({ id }) => id)).toContain(person)
    expect(home.router.decisions()).toHaveLength(20)
    const log = new DecisionLog()
    const template = home.router.decision(heard)
    if (!template) throw new Error('the first decision is gone')
    log.open({ ...template, id: 'person', model: 'assistant' }).note('asked')
    const opened = 2 * 60 * 20
    for (let n = 0; n < opened; n += 1) log.open({ ...template, id: `heard ${n}` }).note('heard')
    expect(log.of('person')?.notes).toEqual(['asked'])
    expect(log.latest().map(({ id }) => id)).toContain('person')
    // A minute of the microphone's own, too.
    expect(log.of(`heard ${opened - 60 * 20}`)).toBeDefined()
  })

  it('decisions take no more than a bounded room, and none stays longer than an hour [router-5]', () => {
    const log = new DecisionLog()
    const told = (id: string, ts: number, model: string) => ({
      ...{ id, ts, model, privacy: 'site' as const, priority: 'interactive' as const, deadlineMs: 1000 },
      ...{ bytes: 1, conditions: [], candidates: [], reason: 'x'.repeat(400) },
    })
    for (let n = 0; n < 20_000; n += 1) log.open(told(`a ${n}`, 0, `m${n % 7}`)).note('y'.repeat(400))
    const kept = log.beginningWith('a ')
    expect(kept.length).toBeGreaterThan(500)
    expect(JSON.stringify(kept).length).toBeLessThan(2.5 * 1024 * 1024)
    expect(log.of('a 19999')).toBeDefined()
    log.open(told('later', 61 * 60_000, 'm0'))
    expect(log.latest().map(({ id }) => id)).toEqual(['later'])
  })

  it('a refusal is a decision too', async () => {
    const home = house([])
    const error = await home.failure()
    expect(error.code).toBe('unavailable')
    expect(home.router.decisions()[0]?.result?.error?.code).toBe('unavailable')
    expect(error.message).toContain(`ganglion why ${home.router.decisions()[0]?.id}`)
  })
})
