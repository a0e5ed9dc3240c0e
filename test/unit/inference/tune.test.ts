/** What is measured on a machine, which of it is best, and that it counts there only. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { keepMeasuredPlan, machineId, readMeasuredPlan } from '../../../runtime/inference/measured-plan.ts'
import { bestOf, candidates } from '../../../runtime/inference/tune.ts'

const dirs: string[] = []
afterEach(() => {
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true })
})

test('[plan-1] nothing is measured that takes more cores than may be used', () => {
  for (const usable of [1, 2, 3, 4, 7, 16]) {
    const list = candidates(usable)
    expect(list[0]).toEqual({ workers: 1, intraOpThreads: 1 })
    for (const { workers, intraOpThreads } of list)
      expect(workers * intraOpThreads).toBeLessThanOrEqual(usable)
  }
  expect(candidates(3).map(({ intraOpThreads }) => intraOpThreads)).toEqual([1, 2, 3, 1, 1])
})

const measured = (workers: number, intraOpThreads: number, p50Ms: number, perS: number) => ({
  ...{ workers, intraOpThreads, p50Ms, perS, p95Ms: p50Ms },
})

test('the quickest engine wins, and of those that are nearly as quick the one with fewest cores', () => {
  const list = [
    measured(1, 1, 30, 33),
    measured(1, 2, 20, 50),
    measured(1, 4, 19, 52),
    measured(4, 1, 31, 128),
  ]
  expect(bestOf(list, 'latency')).toMatchObject({ workers: 1, intraOpThreads: 2 })
  expect(bestOf(list, 'throughput')).toMatchObject({ workers: 4, intraOpThreads: 1 })
  expect(bestOf([], 'latency')).toBeUndefined()
})

test('[plan-2] what was measured counts on the machine that it was measured on, and on no other', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'tune-'))
  dirs.push(dir)
  const machine = { cores: 4, memoryMb: 4000, processor: 'arm64 Cortex-A76' }
  expect(await readMeasuredPlan(dir, machine)).toBeUndefined()
  const plan = { machine: machineId(machine), workers: 1, intraOpThreads: 2, model: 'm', p50Ms: 20, perS: 50 }
  await keepMeasuredPlan(dir, plan)
  expect(await readMeasuredPlan(dir, machine)).toEqual(plan)
  expect(await readMeasuredPlan(dir, { ...machine, quotaCores: 2 })).toBeUndefined()
  expect(await readMeasuredPlan(dir, { ...machine, processor: 'arm64 Cortex-A72' })).toBeUndefined()
  writeFileSync(join(dir, 'inference', 'measured-plan.json'), '{"machine":')
  expect(await readMeasuredPlan(dir, machine)).toBeUndefined()
})
