/** Who gets in, who waits, who is turned away: on a virtual clock. */
import fc from 'fast-check'
import { beforeEach, describe, expect, test } from 'vitest'
import { Admission, type Applicant, type Place } from '../../../../gateway/offload/admission.ts'
import { VirtualClock } from '../../../../runtime/base/clock.ts'
import type { InferError, Priority } from '../../../../runtime/wire/infer.ts'

const never = new AbortController().signal
let clock: VirtualClock
let admission: Admission
beforeEach(() => {
  clock = new VirtualClock()
  admission = new Admission(clock, { queueMax: 10, bytesMax: 1000 })
})

const applicant = (more: Partial<Applicant> = {}): Applicant => ({
  model: 'm',
  caller: 'a',
  priority: 'interactive',
  deadlineMs: 60_000,
  bytes: 1,
  concurrency: 1,
  parallel: 1,
  ...more,
})
/** An application, and what became of it. */
interface Application {
  outcome: string
  place: Place | undefined
  error: InferError | undefined
}
const apply = (more: Partial<Applicant> = {}, signal = never): Application => {
  const application: Application = { outcome: 'waits', place: undefined, error: undefined }
  admission.enter(applicant(more), signal).then(
    (place) => Object.assign(application, { outcome: 'in', place }),
    (error: InferError) => Object.assign(application, { outcome: error.code, error }),
  )
  return application
}
const settle = () => new Promise((resolve) => setImmediate(resolve))
const outcomes = async (...list: Application[]) => {
  await settle()
  return list.map(({ outcome }) => outcome)
}
/** Lets the ones inside finish one after another; who came in, in order. */
const order = async (names: Record<string, Application>): Promise<string[]> => {
  const served: string[] = []
  for (;;) {
    await settle()
    const next = Object.entries(names).find(([name, { place }]) => place && !served.includes(name))
    if (!next) return served
    served.push(next[0])
    next[1].place?.leave(1)
  }
}

describe('[serving-2] places', () => {
  test('as many run as there are places; the next waits until one leaves', async () => {
    const [one, two, three] = [1, 2, 3].map(() => apply({ concurrency: 2 })) as [
      Application,
      Application,
      Application,
    ]
    expect(await outcomes(one, two, three)).toEqual(['in', 'in', 'waits'])
    one.place?.leave()
    one.place?.leave()
    expect(await outcomes(three)).toEqual(['in'])
    expect(admission.load('m')).toMatchObject({ running: 2, queued: 0 })
  })

  test('a model that is slow keeps nobody from another', async () => {
    apply({ model: 'slow' })
    const [waits, other] = [apply({ model: 'slow' }), apply({ model: 'quick' })]
    expect(await outcomes(waits, other)).toEqual(['waits', 'in'])
  })

  test('the more urgent class goes first, then the earlier deadline', async () => {
    const running = apply()
    const names = {
      background: apply({ priority: 'background' }),
      late: apply({ deadlineMs: 9_000 }),
      soon: apply({ deadlineMs: 1_000 }),
      control: apply({ priority: 'control' }),
    }
    await settle()
    running.place?.leave(1)
    expect(await order(names)).toEqual(['control', 'soon', 'late', 'background'])
  })

  test('callers take turns, however much one of them asks', async () => {
    const running = apply({ caller: 'flood' })
    const names = {
      f1: apply({ caller: 'flood' }),
      f2: apply({ caller: 'flood' }),
      f3: apply({ caller: 'flood' }),
      b1: apply({ caller: 'b' }),
      c1: apply({ caller: 'c' }),
    }
    await settle()
    running.place?.leave(1)
    expect(await order(names)).toEqual(['b1', 'c1', 'f1', 'f2', 'f3'])
  })

  test('background work holds at most half of the places, so that an urgent request finds one', async () => {
    const background = Array.from({ length: 4 }, () => apply({ priority: 'background', concurrency: 4 }))
    expect(await outcomes(...background)).toEqual(['in', 'in', 'waits', 'waits'])
    const urgent = apply({ concurrency: 4 })
    expect(await outcomes(urgent)).toEqual(['in'])
  })
})

describe('[serving-2] a full queue', () => {
  test('refuses with a time that comes from the measured rate', async () => {
    const first = apply()
    await settle()
    clock.advance(200)
    first.place?.leave(200)
    const running = apply()
    const waiting = Array.from({ length: 9 }, (_, n) => apply({ caller: `c${n}` }))
    const refused = apply({ caller: 'z' })
    expect(await outcomes(running, refused)).toEqual(['in', 'overloaded'])
    // Ten before it, at 200 ms each.
    expect(refused.error).toMatchObject({ retryable: true, retryAfterMs: 2_000 })
    expect(new Set(await outcomes(...waiting))).toEqual(new Set(['waits']))
  })

  test('before anything was measured it says a second', async () => {
    apply()
    for (let n = 0; n < 10; n += 1) apply()
    const refused = apply()
    await settle()
    expect(refused.error?.retryAfterMs).toBe(1_000)
  })

  test('background work may fill half of it, and is turned away first', async () => {
    apply()
    const background = Array.from({ length: 6 }, () => apply({ priority: 'background' }))
    expect(await outcomes(...background)).toEqual([...Array(5).fill('waits'), 'overloaded'])
    const interactive = Array.from({ length: 5 }, () => apply())
    expect(await outcomes(...interactive)).toEqual(Array(5).fill('waits'))
    const control = apply({ priority: 'control' })
    // The newest of the background goes.
    expect(await outcomes(control, ...background)).toEqual([
      'waits',
      ...Array(4).fill('waits'),
      'overloaded',
      'overloaded',
    ])
  })

  test('urgent work is never turned away for less urgent work', async () => {
    apply()
    const control = Array.from({ length: 10 }, (_, n) => apply({ priority: 'control', caller: `c${n}` }))
    const later = [apply({ priority: 'background' }), apply(), apply({ priority: 'control', caller: 'x' })]
    expect(await outcomes(...later)).toEqual(Array(3).fill('overloaded'))
    expect(await outcomes(...control)).toEqual(Array(10).fill('waits'))
  })

  test('a caller who waits with most loses its newest to one who has none', async () => {
    apply({ caller: 'x' })
    const flood = Array.from({ length: 9 }, () => apply({ caller: 'flood' }))
    const [quiet, again] = [apply({ caller: 'quiet' }), apply({ caller: 'flood' })]
    expect(await outcomes(quiet, again)).toEqual(['waits', 'overloaded'])
    expect(await outcomes(...flood)).toEqual([...Array(8).fill('waits'), 'overloaded'])
  })

  test('nobody is turned away for one that is too large all the same', async () => {
    const running = apply({ bytes: 500 })
    const waiting = [1, 2].map(() => apply({ bytes: 200, priority: 'background' }))
    expect(await outcomes(apply({ bytes: 700 }), running, ...waiting)).toEqual([
      ...['overloaded', 'in', 'waits', 'waits'],
    ])
    expect(await outcomes(apply({ bytes: 300 }), ...waiting)).toEqual(['waits', 'waits', 'overloaded'])
  })

  test('bytes are bounded as well, of those who wait and those who run', async () => {
    const big = apply({ bytes: 600, concurrency: 5 })
    const more = apply({ bytes: 500, concurrency: 5 })
    expect(await outcomes(big, more)).toEqual(['in', 'overloaded'])
    big.place?.leave(1)
    expect(await outcomes(apply({ bytes: 500, concurrency: 5 }))).toEqual(['in'])
  })
})

describe('[serving-2] who waits', () => {
  test('hears at its deadline', async () => {
    apply()
    const waiting = apply({ deadlineMs: 500 })
    clock.advance(499)
    expect(await outcomes(waiting)).toEqual(['waits'])
    clock.advance(1)
    expect(await outcomes(waiting)).toEqual(['deadline'])
    expect(admission.load('m')).toMatchObject({ queued: 0, running: 1 })
  })

  test('may leave, before and while it waits', async () => {
    apply()
    const gone = new AbortController()
    const waiting = apply({}, gone.signal)
    gone.abort()
    expect(await outcomes(waiting, apply({}, gone.signal))).toEqual(['cancelled', 'cancelled'])
    expect(admission.queued).toBe(0)
  })
})

test('[serving-2] whatever happens: never above a bound, nobody forgotten, and everything given back', async () => {
  const step = fc.oneof(
    fc.record({
      kind: fc.constant('apply' as const),
      caller: fc.constantFrom('a', 'b', 'c'),
      model: fc.constantFrom('m', 'n'),
      priority: fc.constantFrom<Priority>('control', 'interactive', 'background'),
      bytes: fc.nat(300),
      deadlineMs: fc.integer({ min: 1, max: 5_000 }),
    }),
    fc.record({ kind: fc.constant('leave' as const), which: fc.nat(20) }),
    fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(2_000) }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      clock = new VirtualClock()
      admission = new Admission(clock, { queueMax: 6, bytesMax: 1000 })
      const all: Application[] = []
      const inside = () => all.filter(({ place }) => place)
      for (const one of steps) {
        if (one.kind === 'apply') all.push(apply({ ...one, concurrency: 2, parallel: 2 }))
        else if (one.kind === 'wait') clock.advance(one.ms)
        else {
          const leaving = inside()[one.which]
          leaving?.place?.leave(1)
          if (leaving) Object.assign(leaving, { place: undefined, outcome: 'left' })
        }
        await settle()
        expect(admission.queued).toBeLessThanOrEqual(6)
        for (const model of ['m', 'n']) expect(admission.load(model)?.running ?? 0).toBeLessThanOrEqual(2)
      }
      clock.advance(5_000)
      for (;;) {
        await settle()
        const last = inside()[0]
        if (!last) break
        last.place?.leave(1)
        Object.assign(last, { place: undefined, outcome: 'left' })
      }
      expect(all.filter(({ outcome }) => outcome === 'waits')).toEqual([])
      expect(admission.queued).toBe(0)
      const big = apply({ bytes: 1000 })
      expect(await outcomes(big)).toEqual(['in'])
    }),
    { numRuns: 60 },
  )
})
