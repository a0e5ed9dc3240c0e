/** Sampling many parts in one thread: pace, isolation, back-off. Drivers are stand-ins; time is virtual. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type LoopPart, type Outcome, SensorLoop } from '../../../../hal/attached/sensor-loop.ts'
import type { DriverContext, SensorDevice, SensorDriver } from '../../../../hal/contract/driver.ts'
import { HalError } from '../../../../hal/contract/errors.ts'
import { createEmulatedIo } from '../../../../hal/sim/bus/index.ts'
import { testHost } from '../host.ts'

type Sample = (context: DriverContext, signal: AbortSignal) => Promise<number>

interface Given {
  readonly id?: string
  readonly sample: Sample
  readonly open?: (context: DriverContext) => Promise<void>
  readonly everyMs?: number
  readonly delayMs?: number
}

function part({ id = 'a', sample, open, everyMs = 1_000, delayMs }: Given): LoopPart {
  const driver = {
    id: 'stand-in',
    sampleEveryMs: { min: 10, default: everyMs },
    sampleMsMax: 200,
    async open(context: DriverContext): Promise<SensorDevice> {
      await open?.(context)
      return {
        identification: { model: 'stand-in', classification: 'temperature' },
        async sample(signal) {
          const value = await sample(context, signal)
          return {
            channels: { temperature: { value, quality: 'ok' } },
            tsMs: context.host.clock.nowMs(),
          }
        },
        configure() {},
        faults: () => [],
        async [Symbol.asyncDispose]() {},
      }
    },
  } as unknown as SensorDriver
  return {
    id,
    driver,
    at: { bus: 'i2c-1', address: 0x48, pins: {} },
    options: {},
    sampleEveryMs: everyMs,
    ...(delayMs === undefined ? {} : { delayMs }),
  }
}

function loopOf(parts: readonly LoopPart[]) {
  const { host, clock } = testHost()
  const { io } = createEmulatedIo({ host })
  const outcomes: { part: number; outcome: Outcome; atMs: number }[] = []
  const turns: number[] = []
  const loop = new SensorLoop(
    {
      host,
      io,
      turn: (index) => turns.push(index),
      report: (index, outcome) => outcomes.push({ part: index, outcome, atMs: clock.monotonicMs() }),
    },
    parts,
  )
  loop.start()
  /** Lets promises settle between the steps of time. */
  const run = async (ms: number, stepMs = 10) => {
    for (let left = ms; left > 0; left -= stepMs) {
      clock.advance(Math.min(stepMs, left))
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  const readings = (index = 0) => outcomes.filter((o) => o.part === index && 'reading' in o.outcome)
  const errors = (index = 0) =>
    outcomes.flatMap((o) => (o.part === index && 'error' in o.outcome ? [o.outcome] : []))
  return { loop, clock, run, outcomes, readings, errors, turns }
}

describe('pace', () => {
  it('a part is sampled as often as it is asked to be, and its first value comes within a second', async () => {
    const { run, readings } = loopOf([part({ sample: async () => 20, everyMs: 2_000 })])
    await run(20_000)
    expect(readings().length).toBeGreaterThanOrEqual(10)
    expect(readings().length).toBeLessThanOrEqual(11)
    expect(readings()[0]?.atMs).toBeLessThanOrEqual(1_000)
  })

  it('phases are spread: parts of one pace do not come all at once', async () => {
    const parts = Array.from({ length: 50 }, (_, index) =>
      part({ id: `p${index}`, sample: async () => index }),
    )
    const { run, outcomes } = loopOf(parts)
    await run(3_000)
    const second = outcomes.filter(({ atMs }) => atMs > 1_500 && atMs <= 2_500)
    const slots = Map.groupBy(second, ({ atMs }) => Math.floor(atMs / 20))
    expect(second.length).toBe(50)
    expect(Math.max(...[...slots.values()].map((slot) => slot.length))).toBeLessThanOrEqual(3)
  })

  it('a part is never sampled twice at once, however slow it is [attached-3]', async () => {
    let inside = 0
    let most = 0
    const slow: Sample = async ({ host }, signal) => {
      inside += 1
      most = Math.max(most, inside)
      await new Promise<void>((resolve) => host.clock.after(150, resolve))
      signal.throwIfAborted()
      inside -= 1
      return 1
    }
    const { run, readings } = loopOf([part({ sample: slow, everyMs: 20 })])
    await run(3_000)
    expect(most).toBe(1)
    expect(readings().length).toBeGreaterThan(10)
  })

  it('whoever runs says so first, also when a timer of its own wakes it', async () => {
    const waits: Sample = ({ host }) => new Promise((resolve) => host.clock.after(50, () => resolve(1)))
    const { run, turns } = loopOf([part({ sample: async () => 1 }), part({ id: 'b', sample: waits })])
    await run(2_000)
    expect(new Set(turns)).toEqual(new Set([0, 1]))
  })
})

describe('a part that fails costs the others nothing [attached-4]', () => {
  const good = part({ id: 'good', sample: async () => 21 })
  const wrongs: readonly [string, Sample][] = [
    ['throws', () => Promise.reject(new Error('oh'))],
    [
      'throws before it promises',
      () => {
        throw new TypeError('oh')
      },
    ],
    ['throws what is no error', () => Promise.reject(undefined)],
    ['gives no number', async () => Number.NaN],
    ['never answers', () => new Promise(() => {})],
    ['does not acknowledge', () => Promise.reject(new HalError('no-acknowledge', 'a: no acknowledge'))],
  ]

  it.each(wrongs)('%s', async (_, sample) => {
    const { run, readings, errors } = loopOf([part({ sample }), good])
    await run(30_000)
    expect(readings(0)).toEqual([])
    expect(errors(0).length).toBeGreaterThan(0)
    expect(errors(0).every(({ error }) => !error.message.includes('\n'))).toBe(true)
    expect(errors(0).some(({ lost }) => lost)).toBe(true)
    expect(readings(1).length).toBeGreaterThanOrEqual(29)
  })

  it('one that hangs is cut off after its time, and said to', async () => {
    const { run, errors } = loopOf([part({ sample: () => new Promise(() => {}) })])
    await run(2_000)
    expect(errors()[0]).toEqual({
      error: { code: 'timeout', message: 'a: a sample took longer than 200 ms' },
      lost: true,
    })
  })

  it('what comes after it was cut off counts for nothing', async () => {
    let release: (value: number) => void = () => {}
    let first = true
    const late: Sample = () => {
      if (!first) return Promise.resolve(2)
      first = false
      return new Promise((resolve) => {
        release = resolve
      })
    }
    const { run, readings } = loopOf([part({ sample: late })])
    await run(1_000)
    release(999)
    await run(10_000)
    const values = readings().map(({ outcome }) =>
      'reading' in outcome ? outcome.reading.channels.temperature?.value : undefined,
    )
    expect(values.length).toBeGreaterThan(0)
    expect(new Set(values)).toEqual(new Set([2]))
  })

  it('it is opened again after waits that grow to a minute, and is well once it answers', async () => {
    let present = false
    const opens: number[] = []
    const { run, clock, readings } = loopOf([
      part({
        sample: async () => 1,
        open: async () => {
          opens.push(clock.monotonicMs())
          if (!present) throw new HalError('not-present', 'a: nothing there')
        },
      }),
    ])
    await run(400_000, 50)
    const gaps = opens.slice(1).map((atMs, index) => atMs - (opens[index] ?? 0))
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(500)
    expect(Math.max(...gaps)).toBeGreaterThan(25_000)
    expect(Math.max(...gaps)).toBeLessThanOrEqual(61_000)
    present = true
    await run(62_000, 50)
    expect(readings().length).toBeGreaterThan(0)
  })

  it('a hiccup is an error once, without losing the part', async () => {
    let count = 0
    const { run, errors, readings } = loopOf([
      part({
        sample: async () => {
          count += 1
          if (count === 3) throw new HalError('checksum', 'a: wrong checksum')
          return 1
        },
      }),
    ])
    await run(10_000)
    expect(errors()).toEqual([{ error: { code: 'checksum', message: 'a: wrong checksum' }, lost: false }])
    expect(readings().length).toBeGreaterThanOrEqual(8)
  })

  it('what a lost part had open is closed: it opens the same port again', async () => {
    let opened = 0
    const { run } = loopOf([
      part({
        sample: () => new Promise(() => {}),
        open: async ({ io }) => {
          io.serial({ port: 'uart-0', baud: 9600 })
          opened += 1
        },
      }),
    ])
    await run(10_000)
    expect(opened).toBeGreaterThan(1)
  })
})

it('a part that brought its thread down waits before it is opened again', async () => {
  const { run, readings } = loopOf([part({ sample: async () => 1, delayMs: 5_000 })])
  await run(4_900)
  expect(readings()).toEqual([])
  await run(2_000)
  expect(readings().length).toBeGreaterThan(0)
})

it('after closing nothing is sampled and no timer is left', async () => {
  const { loop, run, outcomes, clock } = loopOf([part({ sample: async () => 1 })])
  await run(3_000)
  await loop[Symbol.asyncDispose]()
  await loop[Symbol.asyncDispose]()
  const before = outcomes.length
  clock.advance(60_000)
  expect(outcomes.length).toBe(before)
})

it('whatever parts do, each outcome is a measured number or an error, and good parts keep their pace [attached-5]', async () => {
  const behaviour = fc.constantFrom('good', 'throw', 'hang', 'nan', 'nack', 'slow')
  await fc.assert(
    fc.asyncProperty(fc.array(behaviour, { minLength: 1, maxLength: 8 }), async (kinds) => {
      const samples: Record<string, Sample> = {
        good: async () => 20,
        throw: () => Promise.reject(new Error('x')),
        hang: () => new Promise(() => {}),
        nan: async () => Number.POSITIVE_INFINITY,
        nack: () => Promise.reject(new HalError('no-acknowledge', 'x')),
        slow: ({ host }) => new Promise((resolve) => host.clock.after(140, () => resolve(20))),
      }
      const parts = kinds.map((kind, index) => part({ id: `p${index}`, sample: samples[kind] as Sample }))
      const { run, outcomes, readings } = loopOf(parts)
      await run(10_000, 20)
      for (const { outcome } of outcomes)
        if ('reading' in outcome) expect(outcome.reading.channels.temperature?.value).toBe(20)
      for (const [index, kind] of kinds.entries())
        if (kind === 'good' || kind === 'slow') expect(readings(index).length).toBeGreaterThanOrEqual(8)
    }),
    { numRuns: 15 },
  )
})
