import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { realClock, sleep, VirtualClock } from '../../../runtime/base/clock.ts'

const delays = fc.array(fc.integer({ min: 0, max: 1000 }), { minLength: 1, maxLength: 50 })

describe('VirtualClock', () => {
  test('fires timers in the order they come due, equals in the order they were set [base-2]', () => {
    fc.assert(
      fc.property(delays, (list) => {
        const clock = new VirtualClock()
        const fired: number[] = []
        list.forEach((delay, index) => {
          clock.after(delay, () => fired.push(index))
        })
        clock.advance(1000)
        const expected = list
          .map((delay, index) => ({ delay, index }))
          .sort((a, b) => a.delay - b.delay || a.index - b.index)
        expect(fired).toEqual(expected.map(({ index }) => index))
      }),
    )
  })

  test('shows each timer its own due time, not the time advanced to', () => {
    fc.assert(
      fc.property(delays, (list) => {
        const clock = new VirtualClock({ startMs: 0 })
        const wrong: number[] = []
        for (const delay of list) {
          clock.after(delay, () => {
            if (clock.nowMs() !== delay || clock.monotonicMs() !== delay) wrong.push(delay)
          })
        }
        clock.advance(5000)
        expect(wrong).toEqual([])
        expect(clock.nowMs()).toBe(5000)
      }),
    )
  })

  test('fires a timer set by a timer when both come due in the same advance', () => {
    const clock = new VirtualClock()
    const fired: string[] = []
    clock.after(10, () => {
      fired.push('first')
      clock.after(5, () => fired.push('second'))
    })
    clock.advance(14)
    expect(fired).toEqual(['first'])
    clock.advance(1)
    expect(fired).toEqual(['first', 'second'])
  })

  test('a cancelled timer never fires, and cancelling again does nothing', () => {
    const clock = new VirtualClock()
    let fired = 0
    const cancel = clock.after(10, () => {
      fired += 1
    })
    cancel()
    cancel()
    clock.advance(100)
    expect(fired).toBe(0)
  })

  test('a timer that cancels a later one stops it', () => {
    const clock = new VirtualClock()
    let fired = false
    const cancel = clock.after(20, () => {
      fired = true
    })
    clock.after(10, cancel)
    clock.advance(100)
    expect(fired).toBe(false)
  })

  test('gives the same numbers and ids for the same seed, others for another [base-1]', () => {
    const draw = (seed: number) => {
      const clock = new VirtualClock({ seed })
      return Array.from({ length: 50 }, () => [clock.random(), clock.newId()])
    }
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 32 - 1 }), (seed) => {
        expect(draw(seed)).toEqual(draw(seed))
        expect(draw(seed)).not.toEqual(draw((seed + 1) >>> 0))
      }),
    )
  })

  test('draws numbers in [0, 1) that fill the range evenly', () => {
    const clock = new VirtualClock({ seed: 7 })
    const buckets = new Array(10).fill(0)
    for (let i = 0; i < 10_000; i += 1) {
      const drawn = clock.random()
      expect(drawn >= 0 && drawn < 1).toBe(true)
      buckets[Math.floor(drawn * 10)] += 1
    }
    for (const count of buckets) expect(Math.abs(count - 1000)).toBeLessThan(150)
  })

  test('run() jumps over a day of waiting and returns what the work returned', async () => {
    const clock = new VirtualClock({ startMs: 0 })
    const result = await clock.run(async () => {
      for (let hour = 0; hour < 24; hour += 1) await sleep(clock, 3_600_000)
      return clock.nowMs()
    })
    expect(result).toBe(86_400_000)
  })

  test('run() passes on what the work threw', async () => {
    const clock = new VirtualClock()
    const work = async () => {
      await sleep(clock, 10)
      throw new Error('broken')
    }
    await expect(clock.run(work)).rejects.toThrow('broken')
  })
})

describe('sleep', () => {
  test('rejects with the reason of a signal that aborts, and leaves no timer behind', async () => {
    const clock = new VirtualClock()
    const controller = new AbortController()
    const slept = sleep(clock, 1000, controller.signal)
    controller.abort(new Error('no longer wanted'))
    await expect(slept).rejects.toThrow('no longer wanted')
    await clock.run(async () => undefined)
    expect(clock.monotonicMs()).toBe(0)
  })

  test('rejects at once when the signal has aborted already', async () => {
    await expect(sleep(new VirtualClock(), 1000, AbortSignal.abort(new Error('gone')))).rejects.toThrow(
      'gone',
    )
  })

  test('resolves on the real clock too', async () => {
    const before = realClock.monotonicMs()
    await sleep(realClock, 1)
    expect(realClock.monotonicMs()).toBeGreaterThan(before)
  })
})
