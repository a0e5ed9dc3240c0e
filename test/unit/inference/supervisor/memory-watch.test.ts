/** When an engine's memory has crept past its limit, and when it only looks so. */
import { expect, test } from 'vitest'
import { MemoryWatch } from '../../../../runtime/inference/supervisor/memory-watch.ts'

const limits = { allowanceMb: 100, readings: 3, restMs: 1000 }
const budgetMb = 200

/** Bare process of 50 MB: the limit is 350. */
function started(): MemoryWatch {
  const watch = new MemoryWatch(limits)
  watch.onStarted()
  expect(watch.read(50, budgetMb, 0)).toBe(false)
  expect(watch.limitMb(budgetMb)).toBe(350)
  return watch
}

test('[inference-7] an engine is replaced after several readings over its limit, not after one', () => {
  const watch = started()
  expect([watch.read(400, budgetMb, 1), watch.read(400, budgetMb, 2)]).toEqual([false, false])
  expect(watch.read(351, budgetMb, 3)).toBe(true)
})

test('[inference-7] a peak that passes is forgotten; one that stays near the limit is not', () => {
  const watch = started()
  watch.read(400, budgetMb, 1)
  watch.read(400, budgetMb, 2)
  // Between nine tenths of the limit and the limit: neither over nor well.
  expect(watch.read(340, budgetMb, 3)).toBe(false)
  expect(watch.read(360, budgetMb, 4)).toBe(true)
  const other = started()
  other.read(400, budgetMb, 1)
  other.read(400, budgetMb, 2)
  other.read(300, budgetMb, 3)
  expect([other.read(400, budgetMb, 4), other.read(400, budgetMb, 5)]).toEqual([false, false])
})

test('[inference-7] after a replacement none follows for a while', () => {
  const watch = started()
  watch.rest(10)
  watch.onStarted()
  for (const nowMs of [20, 30, 40, 50])
    expect(watch.read(nowMs === 20 ? 50 : 900, budgetMb, nowMs)).toBe(false)
  expect(watch.read(900, budgetMb, 1010)).toBe(true)
})

test('without a budget nothing is too much', () => {
  const watch = started()
  for (const nowMs of [1, 2, 3, 4]) expect(watch.read(1e6, undefined, nowMs)).toBe(false)
})

test('[inference-10] the budget counts twice before an engine is ended at once, as far as the machine has that', () => {
  const watch = started()
  expect(watch.peakMb(budgetMb, 8_000)).toBe(550)
  expect(watch.peakMb(budgetMb, 600)).toBe(450)
  // Never less than what it may creep up to.
  expect(watch.peakMb(budgetMb, 200)).toBe(350)
  expect(watch.peakMb(undefined, 8_000)).toBeUndefined()
})
