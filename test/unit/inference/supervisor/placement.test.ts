/** Which worker a request goes to, and how workers share memory. */
import { expect, test } from 'vitest'
import type { ModelOutlook } from '../../../../runtime/inference/supervisor/engines.ts'
import { budgetShares, chooseWorker } from '../../../../runtime/inference/supervisor/placement.ts'

const worker = (outlook: Partial<ModelOutlook>, more: { full?: boolean; fits?: boolean } = {}) => ({
  full: more.full ?? false,
  fits: more.fits ?? true,
  outlook: { state: 'present', queued: 0, queueMs: 0, ...outlook } as ModelOutlook,
})
const loaded = (queueMs: number) => worker({ state: 'loaded', queueMs })
const present = (queueMs: number, loadMs?: number) =>
  worker({ queueMs, ...(loadMs === undefined ? {} : { loadMs }) })

test('[pool-1] a request goes where its model is loaded, until the queue there costs more than loading it elsewhere', () => {
  expect(chooseWorker('m', [present(0, 200), loaded(150), present(0, 200)])).toBe(1)
  expect(chooseWorker('m', [present(0, 200), loaded(250), present(90, 200)])).toBe(0)
})

test('[pool-1] of several that have it the one with the shortest queue is chosen', () => {
  expect(chooseWorker('m', [loaded(30), loaded(10), loaded(20)])).toBe(1)
})

test('[pool-1] models that nobody has loaded spread over the workers, each with one home', () => {
  const idle = Array.from({ length: 4 }, () => present(0))
  const homes = Array.from({ length: 40 }, (_, i) => chooseWorker(`model-${i}`, idle))
  expect(new Set(homes)).toEqual(new Set([0, 1, 2, 3]))
  expect(chooseWorker('model-7', idle)).toBe(homes[7])
})

test('a full worker is passed over, and so is one whose share is too small for the model', () => {
  const full = { ...loaded(0), full: true }
  expect(chooseWorker('m', [full, present(0)])).toBe(1)
  expect(chooseWorker('m', [{ ...loaded(0), fits: false }, present(500)])).toBe(1)
  expect(chooseWorker('m', [full, full])).toBeUndefined()
})

test('a model that fits nowhere still goes somewhere: the engine there says why not', () => {
  expect(
    chooseWorker('m', [
      { ...present(5), fits: false },
      { ...present(0), fits: false },
    ]),
  ).toBe(1)
})

test('[pool-2] shares add up to the budget, and the largest model fits into one of them', () => {
  expect(budgetShares(400, 4, 50)).toEqual([100, 100, 100, 100])
  expect(budgetShares(400, 4, 250)).toEqual([250, 50, 50, 50])
  expect(budgetShares(400, 2, 900)).toEqual([400, 0])
  expect(budgetShares(undefined, 2, 900)).toEqual([undefined, undefined])
})
