/** How many engines and threads: never more than there are cores, and why. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type PlanWishes, planEngines } from '../../../../runtime/inference/supervisor/plan.ts'

const machine = (cores: number, more: { quotaCores?: number; memoryMb?: number } = {}) => ({
  cores,
  memoryMb: 4000,
  ...more,
})
const device = (wishes: Partial<PlanWishes> = {}): PlanWishes => ({ role: 'device', ...wishes })

test.each([
  [1, 1],
  [2, 1],
  [4, 3],
  [8, 4],
])('[plan-1] a device of %i cores has one engine of %i threads', (cores, intraOpThreads) => {
  expect(planEngines(machine(cores), device())).toMatchObject({ workers: 1, intraOpThreads })
})

test('[plan-1] a gateway has an engine for each core but one', () => {
  expect(planEngines(machine(8), { role: 'gateway' })).toMatchObject({ workers: 7, intraOpThreads: 1 })
})

test('[plan-1] a container’s quota counts as its cores', () => {
  const plan = planEngines(machine(16, { quotaCores: 2.5 }), device())
  expect(plan).toMatchObject({ workers: 1, intraOpThreads: 1 })
  expect(plan.reasons.join('\n')).toContain("2 of 16 cores: the container's quota is 2.5")
})

test('[plan-1] engines times threads never exceed the cores, of which one is left wherever there are two', () => {
  const count = fc.option(fc.integer({ min: 1, max: 64 }), { nil: undefined })
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 128 }),
      fc.option(fc.double({ min: 0.1, max: 200, noNaN: true }), { nil: undefined }),
      fc.constantFrom('device' as const, 'gateway' as const),
      count,
      count,
      fc.option(
        fc.record({
          workers: fc.integer({ min: 1, max: 64 }),
          intraOpThreads: fc.integer({ min: 1, max: 64 }),
        }),
        {
          nil: undefined,
        },
      ),
      (cores, quotaCores, role, workers, threads, measured) => {
        const limits = { cores, memoryMb: 4000, ...(quotaCores === undefined ? {} : { quotaCores }) }
        const plan = planEngines(limits, { role, workers, threads, measured })
        const allowed = Math.max(1, Math.min(cores, Math.floor(quotaCores ?? cores)))
        expect(plan.workers * plan.intraOpThreads).toBeLessThanOrEqual(Math.max(1, allowed - 1))
        expect(plan.workers).toBeGreaterThan(0)
        expect(plan.intraOpThreads).toBeGreaterThan(0)
        expect(plan.reasons.length).toBeGreaterThan(2)
      },
    ),
  )
})

test('[plan-2] what was measured here is used, unless it is too much for the cores that are left', () => {
  const measured = { workers: 1, intraOpThreads: 2 }
  expect(planEngines(machine(4), device({ measured }))).toMatchObject(measured)
  const smaller = planEngines(machine(2), device({ measured }))
  expect(smaller.intraOpThreads).toBe(1)
  expect(smaller.reasons.join('\n')).toContain('1 engine of 2 threads, is more than 1 cores now: not used')
})

test('[plan-2] what a person configured goes before what was measured', () => {
  const measured = { workers: 1, intraOpThreads: 3 }
  expect(planEngines(machine(8), device({ measured, threads: 2 })).intraOpThreads).toBe(2)
})

test('[plan-3] memory: what is configured, else what the board says, half of what there is at most', () => {
  expect(planEngines(machine(4), device({ budgetMb: 3000, boardBudgetMb: 768 })).budgetMb).toBe(3000)
  expect(planEngines(machine(4), device({ boardBudgetMb: 768 })).budgetMb).toBe(768)
  expect(planEngines(machine(4, { memoryMb: 1000 }), device({ boardBudgetMb: 768 })).budgetMb).toBe(500)
})
