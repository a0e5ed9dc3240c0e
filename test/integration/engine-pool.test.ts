/** Several engine processes as one: real processes, one of which dies. */
import { afterEach, expect, test } from 'vitest'
import { realClock } from '../../runtime/base/clock.ts'
import { EnginePool, type EnginePoolOptions } from '../../runtime/inference/supervisor/engine-pool.ts'
import {
  add,
  answer,
  endless,
  errorOf,
  forever,
  isGone,
  log,
  logged,
  slow,
  sum,
  tensorModel,
  until,
  value,
  work,
} from './engine-setup.ts'

const pools: EnginePool[] = []
afterEach(async () => {
  for (const pool of pools.splice(0)) await pool[Symbol.asyncDispose]()
})

async function openPool(options: Partial<EnginePoolOptions> = {}): Promise<EnginePool> {
  const defaults = { models: [add, slow], workers: 2, restart: { firstMs: 10, maxMs: 100 } }
  const pool = await EnginePool.open({ clock: realClock, log }, { ...defaults, ...options }, forever)
  pools.push(pool)
  return pool
}

const pids = async (pool: EnginePool) => (await pool.status()).processes.map(({ pid }) => pid ?? 0)

test('a pool starts lazily, answers, and leaves nothing behind', async () => {
  const pool = await openPool()
  expect(await pool.status()).toMatchObject({ state: 'idle', pid: undefined, inFlight: 0 })
  expect(await value(pool, sum(2, 3))).toBe(5)
  const started = (await pids(pool)).filter(Boolean)
  expect(started).toHaveLength(1)
  await pool[Symbol.asyncDispose]()
  expect(await isGone(started[0] ?? 0)).toBe(true)
})

test('[pool-1] a model stays where it is loaded as long as that is soonest', async () => {
  const pool = await openPool({ start: 'eager' })
  await pool.preload('add')
  for (let i = 0; i < 5; i += 1) expect(await value(pool, sum(i, i))).toBe(2 * i)
  const { models } = await pool.status()
  expect(models.find(({ name }) => name === 'add')?.figures).toMatchObject({ loads: 1, answered: 5 })
})

test('[pool-1] while one engine is busy for long, another loads the model and answers', async () => {
  const pool = await openPool({ start: 'eager' })
  // Once, so that it is known how long it takes.
  await value(pool, work(20_000))
  expect(await Promise.all([value(pool, work(40_000)), value(pool, work(40_000))])).toEqual([7, 7])
  const { processes, models } = await pool.status()
  expect(processes.every(({ pid }) => pid !== undefined)).toBe(true)
  expect(models.find(({ name }) => name === 'slow')?.figures?.loads).toBe(2)
})

test('[pool-3] requests of a worker that is killed are answered, each once; the others never notice', async () => {
  const pool = await openPool({ start: 'eager', workers: 2 })
  await value(pool, work(2_000))
  const before = await pids(pool)
  const answers = Array.from({ length: 24 }, (_, i) => value(pool, i % 2 ? sum(i, 1) : work(2_000)))
  process.kill(before[0] ?? 0, 'SIGKILL')
  expect(await Promise.all(answers)).toEqual(Array.from({ length: 24 }, (_, i) => (i % 2 ? i + 1 : 7)))
  await until('the killed one is back', async () => {
    const now = await pids(pool)
    return now.every(Boolean) && now[0] !== before[0]
  })
  const after = await pool.status()
  expect(after.processes[1]?.pid).toBe(before[1])
  expect(after).toMatchObject({ restarts: 1, inFlight: 0 })
})

test('a pool whose engines are all full says so, with a time', async () => {
  const pool = await openPool({ start: 'eager', queueMax: 1 })
  const busy = [1, 2].map(() => errorOf(answer(pool, work(endless))))
  await until('both are busy', () => logged.filter((line) => line.includes('model=slow')).length >= 2)
  const refused = await errorOf(answer(pool, sum(1, 1)))
  expect(refused).toMatchObject({ code: 'overloaded', retryable: true })
  expect(refused.retryAfterMs).toBeGreaterThan(0)
  for (const pid of await pids(pool)) process.kill(pid, 'SIGKILL')
  await pool[Symbol.asyncDispose]()
  expect((await Promise.all(busy)).map(({ code }) => code)).toEqual(['engine-stopped', 'engine-stopped'])
})

test('[pool-2] each engine has its share of the budget, and a model larger than a share has one', async () => {
  const large = { ...tensorModel('add'), name: 'large', memoryMb: 300 }
  const pool = await openPool({ models: [add, large], budgetMb: 400, workers: 2, start: 'eager' })
  expect(await value(pool, { ...sum(2, 3), model: 'large' })).toBe(5)
  await until('both said what they have', async () => (await pool.status()).memory !== undefined)
  expect((await pool.status()).memory?.budgetMb).toBe(400)
})

test('an unknown model, and a number of workers that no machine has, are refused', async () => {
  const pool = await openPool()
  expect((await errorOf(answer(pool, { ...sum(1, 1), model: 'sub' }))).code).toBe('model-unknown')
  await expect(openPool({ workers: 0 })).rejects.toThrow('a pool has 1 to 64 workers, not 0')
})
