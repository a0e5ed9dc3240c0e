/** Retries stay a tenth of the requests, whatever fails. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RetryBudget } from '../../../../gateway/offload/retry-budget.ts'

test('[serving-3] a quiet site may retry ten times, then one time in ten requests', () => {
  const budget = new RetryBudget()
  const taken = Array.from({ length: 12 }, () => budget.take())
  expect(taken).toEqual([...Array(10).fill(true), false, false])
  for (let n = 0; n < 9; n += 1) budget.onRequest()
  expect(budget.take()).toBe(false)
  budget.onRequest()
  expect(budget.take()).toBe(true)
})

test('[serving-3] whatever the order, retries never exceed a tenth of the requests and ten', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { maxLength: 500 }), (steps) => {
      const budget = new RetryBudget()
      let requests = 0
      let retries = 0
      for (const isRetry of steps) {
        if (!isRetry) {
          requests += 1
          budget.onRequest()
        } else if (budget.take()) retries += 1
        expect(retries).toBeLessThanOrEqual(requests * 0.1 + 10 + 1e-6)
      }
    }),
  )
})
