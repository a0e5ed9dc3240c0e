/** Cascades and cut models by the router, on a virtual clock. */
import { describe, expect, it } from 'vitest'
import type { Conditions } from '../../../../runtime/inference/router/conditions.ts'
import type { Estimate } from '../../../../runtime/inference/router/estimates.ts'
import { requestBytes } from '../../../../runtime/inference/router/request-bytes.ts'
import type { RouterOptions } from '../../../../runtime/inference/router/router.ts'
import {
  type CutQuestion,
  chooseCut,
  type PartRoute,
  type SplitPlan,
} from '../../../../runtime/inference/router/split.ts'
import { InferError, type Tensor } from '../../../../runtime/wire/infer.ts'
import { ask, house, place } from './places.ts'

const scores = (...data: number[]): Tensor => ({
  name: 'p',
  datatype: 'FP32',
  shape: [1, data.length],
  data: Float32Array.from(data),
})

describe('cascade', () => {
  const plan = { large: 'large', threshold: 0.8, temperature: 1, output: 'p' }
  const cascade = (small: number[], large: Partial<Parameters<typeof place>[2]> = {}) =>
    house(
      [
        place('engine', 'device', { answer: () => ({ outputs: [scores(...small)] }) }),
        place('gateway', 'site', { answer: () => ({ outputs: [scores(0, 1)] }), ...large }),
      ],
      {},
      { plan: (model) => (model === 'm' ? { cascade: plan } : undefined) },
    )
  const models = (home: ReturnType<typeof cascade>) => home.asked.map(({ request }) => request.model)

  it('a small model that is sure answers alone [router-13]', async () => {
    const home = cascade([4, 0])
    expect((await home.answer()).outputs[0]?.data[0]).toBe(4)
    expect(models(home)).toEqual(['m'])
  })

  it('one that is not asks the large one, within what is left of the deadline, and says so [router-13]', async () => {
    const home = cascade([0.5, 0])
    const answer = await home.answer(ask({ deadlineMs: 500 }))
    expect(models(home)).toEqual(['m', 'large'])
    expect(home.asked[1]?.request.deadlineMs).toBe(490)
    const [large, small] = home.router.decisions()
    expect(answer.decision).toBe(large?.id)
    expect(small?.notes[0]).toBe(`confidence 0.62 is under 0.8: large was asked (decision ${large?.id})`)
  })

  it('the unsure answer stands where the large model gives none [router-13]', async () => {
    const home = cascade([0.5, 0])
    const failing = house(
      [
        place('engine', 'device', {
          answer: ({ model }) => {
            if (model === 'large') throw new InferError('unavailable', 'gone', { retryable: true })
            return { outputs: [scores(0.5, 0)] }
          },
        }),
      ],
      {},
      { plan: (model) => (model === 'm' ? { cascade: plan } : undefined) },
    )
    expect((await failing.answer()).outputs[0]?.data[0]).toBe(0.5)
    await home.answer()
  })

  it('the large one answers where the small one cannot', async () => {
    const home = house(
      [
        place('engine', 'device', {
          answer: ({ model }) => {
            if (model === 'm') throw new InferError('memory', 'no room')
            return { outputs: [scores(0, 1)] }
          },
        }),
      ],
      {},
      { plan: (model) => (model === 'm' ? { cascade: plan } : undefined) },
    )
    expect((await home.answer()).outputs[0]?.data[1]).toBe(1)
  })

  it('an answer without the scores that the manifest names is a failure that says so', async () => {
    const home = house([place('engine', 'device')], {}, { plan: () => ({ cascade: plan }) })
    expect((await home.failure()).message).toContain('no output p')
  })

  it('the label holds for the large model too [router-1]', async () => {
    const home = cascade([0.5, 0])
    await home.answer(ask({ privacy: 'device' }))
    expect(home.asked.every((one) => one.place === 'engine')).toBe(true)
  })
})

describe('a model cut in two', () => {
  const split: SplitPlan = {
    cuts: [
      { tensor: 'early', bytes: 400_000, headMs: 10, tailMs: 290, head: 'm.head-0', tail: 'm.tail-0' },
      { tensor: 'middle', bytes: 10_000, headMs: 60, tailMs: 240, head: 'm.head-1', tail: 'm.tail-1' },
      { tensor: 'late', bytes: 1_000, headMs: 280, tailMs: 20, head: 'm.head-2', tail: 'm.tail-2' },
    ],
  }
  const image: Tensor = { name: 'x', datatype: 'UINT8', shape: [600_000], data: new Uint8Array(600_000) }
  const between: Tensor = { name: 'middle', datatype: 'UINT8', shape: [10_000], data: new Uint8Array(10_000) }
  /** Ten times as slow here as at the gateway; the link as given. */
  const home = (bytesPerS: number, privacy: 'device' | 'site' = 'site') => {
    const gateway = place('gateway', 'site', {
      offer: (model) => ({
        ...(model === 'm' ? { modelMs: 43 } : {}),
        link: { rttMs: 5, rttP95Ms: 6, bytesPerS },
      }),
      takesMs: 20,
    })
    const engine = place('engine', 'device', {
      offer: (model) => (model === 'm' ? { modelMs: 430 } : {}),
      takesMs: 60,
      answer: ({ model }) => (model.includes('head') ? { outputs: [between], privacy: 'site' } : {}),
    })
    const made = house([engine, gateway], {}, { plan: (model) => (model === 'm' ? { split } : undefined) })
    return { ...made, run: () => made.answer(ask({ privacy, inputs: [image], deadlineMs: 5000 })) }
  }
  const at = (id: string, p50Ms: number, more: Partial<Estimate> = {}): PartRoute => {
    const known = {
      queueMs: 0,
      loadMs: 0,
      transferMs: 0,
      answers: 9,
      basis: 'measured',
      stale: false,
    } as const
    const times = { p50Ms, p95Ms: p50Ms, serviceMs: p50Ms, serviceP95Ms: p50Ms }
    const estimate = { ...known, ...times, ...more }
    return { id, local: id === 'engine', estimate, costOf: (one) => one.p50Ms, copies: true }
  }
  const headMs: Readonly<Record<string, number>> = { 'm.head-0': 10, 'm.head-1': 60, 'm.head-2': 280 }
  const over = (bytesPerS: number) => (model: string, bytes: number) => [
    headMs[model] === undefined
      ? at('gateway', 15 + (1000 * bytes) / bytesPerS)
      : at('engine', headMs[model]),
  ]
  const question = (more: Partial<CutQuestion> = {}): CutQuestion => ({
    plan: split,
    inputBytes: 600_000,
    deadlineMs: 5000,
    whole: [at('engine', 300)],
    look: over(1e6),
    ...more,
  })

  it('is cut where moving the tensor is cheapest, for the link as it is [router-14]', () => {
    const chosen = (more: Partial<CutQuestion>) => chooseCut(question(more)).use?.tensor
    expect(chosen({ look: over(1e9) })).toBe('early')
    expect(chosen({ look: over(1e6) })).toBe('middle')
    expect(chosen({ look: over(2e4) })).toBeUndefined()
    // Where whole is as good, whole it is.
    expect(chosen({ whole: [at('engine', 80)] })).toBeUndefined()
    expect(chosen({ deadlineMs: 50 })).toBeUndefined()
    // Where it runs nowhere whole, a cut that is late is better than no answer.
    expect(chosen({ deadlineMs: 50, whole: [] })).toBe('middle')
  })

  it('a cut in use stays while a whole is not better; others have to be so by a margin [router-14]', () => {
    // At the middle it takes 85 ms.
    const chosen = (current: string | undefined, whole: number) =>
      chooseCut(question({ whole: [at('engine', whole)], current })).use?.tensor
    expect([chosen(undefined, 92), chosen('middle', 92), chosen('middle', 84)]).toEqual([
      undefined,
      'middle',
      undefined,
    ])
  })

  it('a cut that costs money is weighed with it [router-14]', () => {
    const paid = (model: string, bytes: number) =>
      over(1e6)(model, bytes).map((one) => ({ ...one, costOf: (to: Estimate) => to.p50Ms + 500 }))
    expect(chooseCut(question({ look: paid })).use).toBeUndefined()
  })

  describe('that nobody tried', () => {
    const untried: Partial<Estimate> = { basis: 'guessed', answers: 0, serviceMs: 100, serviceP95Ms: 300 }
    /** 5 ms of way there, and what is guessed of any model on top. */
    const unknown = (model: string) => [
      model.includes('head')
        ? at('engine', 100, { ...untried, p95Ms: 300 })
        : at('gateway', 105, { ...untried, p95Ms: 305 }),
    ]

    it('is expected to take its share of what the whole takes at each place, tail included [router-14]', () => {
      // Twice as slow here as where it was cut, ten times as fast there.
      const whole = [at('engine', 600), at('gateway', 300, { serviceMs: 30 })]
      const { use } = chooseCut(question({ look: unknown, whole }))
      expect(use).toMatchObject({ tensor: 'early', p50Ms: 20 + 5 + 29 })
      expect(use?.p95Ms).toBeLessThan(100)
    })

    it('or of what its other halves take where the whole does not run [router-14]', () => {
      const known = (model: string) =>
        model === 'm.head-2'
          ? [at('engine', 560)]
          : model === 'm.tail-2'
            ? [at('gateway', 10)]
            : unknown(model)
      const { use } = chooseCut(question({ look: known, whole: [] }))
      // Twice as slow here, twice as fast there.
      expect(use).toMatchObject({ tensor: 'early', p50Ms: 20 + 5 + 145 })
    })

    it('is worth a copy where it may be better, also when it would have to be loaded first [router-9]', () => {
      const cold = (model: string) =>
        unknown(model).map((one) => {
          const { estimate } = one
          const loading = { loadMs: 900, p50Ms: estimate.p50Ms + 900, p95Ms: estimate.p95Ms + 900 }
          return { ...one, estimate: { ...estimate, ...loading } }
        })
      const whole = [at('engine', 300), at('gateway', 400, { serviceMs: 30 })]
      const choice = chooseCut(question({ look: cold, whole }))
      expect([choice.use, choice.learn?.tensor]).toEqual([undefined, 'early'])
      const quick = [at('engine', 30), at('gateway', 400, { serviceMs: 30 })]
      expect(chooseCut(question({ look: cold, whole: quick }))).toEqual({})
      const once = (model: string) => cold(model).map((one) => ({ ...one, copies: false }))
      expect(chooseCut(question({ look: once, whole }))).toEqual({})
    })
  })

  it('runs its head here and its tail there, and answers as one [router-14]', async () => {
    const { run, asked, router } = home(1e6)
    const answer = await run()
    expect(asked.map(({ place, request }) => [place, request.model])).toEqual([
      ['engine', 'm.head-1'],
      ['gateway', 'm.tail-1'],
    ])
    expect(asked[1]?.request.inputs).toEqual([between])
    expect(answer).toMatchObject({ route: 'engine+gateway', privacy: 'site', modelMs: 80 })
    const told = router.decision(answer.decision ?? '')
    expect(told?.notes[0]).toContain('cut at middle: head on engine, tail on gateway')
    expect(told?.result?.ok).toBe(true)
  })

  it('what is in between keeps the label of what went in: labelled device it is not cut [router-1] [router-14]', async () => {
    const { run, asked } = home(1e6, 'device')
    await run()
    expect(asked.map(({ place, request }) => [place, request.model])).toEqual([['engine', 'm']])
  })

  it('runs whole where the link is quick, and where a part fails [router-14]', async () => {
    const quick = home(1e9)
    await quick.run()
    expect(quick.asked.map(({ request }) => request.model)).toEqual(['m'])
    const broken = house(
      [
        place('engine', 'device', {
          offer: (model) => (model === 'm' ? { modelMs: 430 } : {}),
          answer: ({ model }) => (model === 'm.head-1' ? { outputs: [between] } : {}),
        }),
        place('gateway', 'site', {
          offer: (model) => ({
            ...(model === 'm' ? { modelMs: 43 } : {}),
            link: { rttMs: 5, rttP95Ms: 6, bytesPerS: 1e6 },
          }),
          fails: new InferError('unavailable', 'gone', { retryable: true }),
        }),
      ],
      {},
      { plan: (model) => (model === 'm' ? { split } : undefined) },
    )
    const answer = await broken.answer(ask({ inputs: [image], deadlineMs: 5000 }))
    expect(answer.route).toContain('engine')
  })

  /** The head has to be loaded here before it can be tried; loading takes longer than the whole there. */
  const coldHead = (options: RouterOptions, conditions: Conditions = {}) => {
    const loaded = new Set(['m'])
    const engine = place('engine', 'device', {
      offer: (model) => ({ ...(model === 'm' ? { modelMs: 430 } : {}), loadMs: loaded.has(model) ? 0 : 800 }),
      takesMs: ({ model }) => (model === 'm' ? 430 : 60),
      answer: ({ model }) => {
        loaded.add(model)
        return model.includes('head') ? { outputs: [between] } : {}
      },
    })
    const gateway = place('gateway', 'site', {
      offer: (model) => ({
        ...(model === 'm' ? { modelMs: 43 } : {}),
        link: { rttMs: 5, rttP95Ms: 6, bytesPerS: 1e6 },
      }),
      takesMs: (request) => 25 + requestBytes(request) / 1000,
      answer: () => ({ modelMs: 20 }),
    })
    return house([engine, gateway], options, {
      plan: (model) => (model === 'm' ? { split } : undefined),
      conditions: () => conditions,
    })
  }
  const ofImages = async (home: ReturnType<typeof coldHead>, count: number, privacy: 'device' | 'site') => {
    for (let n = 0; n < count; n += 1) {
      home.clock.advance(1000)
      await home.answer(ask({ privacy, inputs: [image], deadlineMs: 5000 }))
    }
    return home.asked.filter(({ request }) => request.priority === 'background')
  }

  it('a cut that nobody tried is tried with copies, few of them, and taken when it proves better [router-9] [router-14]', async () => {
    const home = coldHead({ probeShare: 0.05 })
    const copies = await ofImages(home, 100, 'site')
    expect(copies.map(({ request }) => request.model)).toEqual(['m.head-1', 'm.tail-1'])
    expect(home.asked.at(-1)?.request.model).toBe('m.tail-1')
    const told = home.router.decisions().find(({ notes }) => notes.some((note) => note.startsWith('cut at')))
    expect(told).toMatchObject({ route: 'engine+gateway', reason: expect.stringMatching(/^cut in two: /) })
  })

  it('no copy of a cut leaves against its label, from a hot board, or where copies are switched off [router-1] [router-9]', async () => {
    expect(await ofImages(coldHead({ probeShare: 0.05 }), 100, 'device')).toEqual([])
    expect(await ofImages(coldHead({ probeShare: 0.05, hotFactor: 1 }, { tempC: 90 }), 100, 'site')).toEqual(
      [],
    )
    expect(await ofImages(coldHead({ probeShare: 0 }), 100, 'site')).toEqual([])
  })

  it('a gateway that keeps silent in the middle of a cut leaves the board time to run it whole [router-14]', async () => {
    const engine = place('engine', 'device', {
      offer: (model) =>
        model.includes('tail')
          ? { usable: false, whyNot: 'not here', code: 'model-unknown' }
          : model === 'm'
            ? { modelMs: 430 }
            : {},
      takesMs: ({ model }) => (model === 'm' ? 430 : 60),
      answer: ({ model }) => (model.includes('head') ? { outputs: [between] } : {}),
    })
    const gateway = place('gateway', 'site', {
      offer: (model) => ({
        ...(model === 'm' ? { modelMs: 43 } : {}),
        link: { rttMs: 5, rttP95Ms: 6, bytesPerS: 1e6 },
      }),
      takesMs: Infinity,
    })
    const home = house([engine, gateway], {}, { plan: (model) => (model === 'm' ? { split } : undefined) })
    const answer = await home.answer(ask({ privacy: 'site', inputs: [image], deadlineMs: 1500 }))
    expect(answer.route).toBe('engine')
    expect(home.router.decision(answer.decision ?? '')?.notes.at(-1)).toContain('whole after all')
  })
})
