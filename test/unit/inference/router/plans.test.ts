/** Cascades and cut models by the router, on a virtual clock. */
import { describe, expect, it } from 'vitest'
import { chooseCut, type SplitPlan } from '../../../../runtime/inference/router/split.ts'
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
  const look =
    (localMs: Record<string, number>, tailMs: (bytes: number) => number) =>
    (model: string, bytes: number) => {
      const head = localMs[model]
      const p50Ms = head ?? tailMs(bytes)
      const estimate = {
        p50Ms,
        p95Ms: p50Ms,
        queueMs: 0,
        loadMs: 0,
        transferMs: 0,
        serviceMs: p50Ms,
        basis: 'measured',
        stale: false,
      } as const
      return [{ id: head === undefined ? 'gateway' : 'engine', local: head !== undefined, estimate }]
    }

  const wholeMs = (p50Ms: number) => [
    {
      id: 'engine',
      local: true,
      estimate: {
        p50Ms,
        p95Ms: p50Ms,
        queueMs: 0,
        loadMs: 0,
        transferMs: 0,
        serviceMs: p50Ms,
        basis: 'measured',
        stale: false,
      } as const,
    },
  ]

  it('is cut where moving the tensor is cheapest, for the link as it is [router-14]', () => {
    const heads = { 'm.head-0': 10, 'm.head-1': 60, 'm.head-2': 280 }
    const link = (bytesPerS: number) => look(heads, (bytes) => 5 + (1000 * bytes) / bytesPerS + 10)
    const at = (bytesPerS: number) => chooseCut(split, 600_000, link(bytesPerS), wholeMs(300), 5000)?.tensor
    expect(at(1e9)).toBe('early')
    expect(at(1e6)).toBe('middle')
    expect(at(2e4)).toBeUndefined()
    // Where whole is as good, whole it is.
    expect(chooseCut(split, 600_000, link(1e6), wholeMs(80), 5000)).toBeUndefined()
    expect(chooseCut(split, 600_000, link(1e6), wholeMs(300), 50)).toBeUndefined()
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
})
