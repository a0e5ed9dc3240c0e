import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { backoffMs } from '../../../runtime/base/retry.ts'

const options = fc
  .tuple(fc.integer({ min: 1, max: 10_000 }), fc.integer({ min: 0, max: 600_000 }))
  .map(([firstMs, more]) => ({ firstMs, maxMs: firstMs + more }))
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })

describe('backoffMs', () => {
  test('lies between half and all of the doubled delay, and never above the maximum', () => {
    fc.assert(
      fc.property(fc.nat(100), options, random, (attempt, limits, drawn) => {
        const ceiling = Math.min(limits.maxMs, limits.firstMs * 2 ** attempt)
        const delay = backoffMs(attempt, limits, drawn)
        expect(delay).toBeGreaterThanOrEqual(Math.floor(ceiling / 2))
        expect(delay).toBeLessThanOrEqual(ceiling)
      }),
    )
  })

  test('never shrinks from one attempt to the next for the same draw', () => {
    fc.assert(
      fc.property(fc.nat(60), options, random, (attempt, limits, drawn) => {
        expect(backoffMs(attempt + 1, limits, drawn)).toBeGreaterThanOrEqual(
          backoffMs(attempt, limits, drawn),
        )
      }),
    )
  })

  test('spreads those who failed together: different draws give different delays', () => {
    const limits = { firstMs: 1000, maxMs: 60_000 }
    const delays = [0, 0.25, 0.5, 0.75].map((drawn) => backoffMs(3, limits, drawn))
    expect(delays).toEqual([4000, 5000, 6000, 7000])
  })
})
