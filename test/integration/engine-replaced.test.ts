/** An engine whose memory creeps past its limit is replaced while requests wait: a real process that really grows. */
import { expect, test } from 'vitest'
import type { EngineSupervisorOptions } from '../../runtime/inference/supervisor/supervisor-options.ts'
import {
  add,
  answer,
  forever,
  isGone,
  logged,
  openSupervisor,
  pidOf,
  slow,
  speaker,
  speech,
  sum,
  talk,
  talker,
  until,
  value,
  work,
} from './engine-setup.ts'

const preload = new URL('../fixtures/engine-growing.ts', import.meta.url).href
/** Grows by so many megabytes; its limit is some 60 above that of the bare process. */
const growing = (megabytes: number): Partial<EngineSupervisorOptions> => ({
  execArgv: ['--import', preload, `--title=${megabytes}`],
  budgetMb: 20,
  memory: { allowanceMb: 40, readings: 2, restMs: 60_000 },
  // Nothing is ended at once here: that is tested elsewhere.
  memoryMaxMb: 4096,
  readEveryMs: 50,
  start: 'eager',
})
const isOver = () => logged.some((line) => line.includes('memory is over its limit'))

test('[inference-7] requests that come while an engine is replaced wait, and every one is answered once', async () => {
  const supervisor = await openSupervisor({ ...growing(200), models: [add] })
  const pid = pidOf(supervisor)
  let asked = 0
  const ask = async () => {
    while (!(await supervisor.status()).replaced) {
      asked += 1
      const number = asked
      expect(await value(supervisor, sum(number, 1))).toBe(number + 1)
    }
  }
  await Promise.all([ask(), ask(), ask(), ask()])
  expect(pidOf(supervisor)).not.toBe(pid)
  expect(await isGone(pid)).toBe(true)
  expect(asked).toBeGreaterThan(0)
  expect(await supervisor.status()).toMatchObject({ replaced: 1, inFlight: 0 })
  // Nothing was lost: an engine that was replaced is no engine that died.
  expect(logged.join('\n')).not.toContain('engine lost')
  expect(await value(supervisor, sum(2, 3))).toBe(5)
})

test('[inference-7] an answer that streams ends in the old engine, what waited is answered by the next', async () => {
  const supervisor = await openSupervisor({ ...growing(200), models: [add, speaker] })
  const pid = pidOf(supervisor)
  await supervisor.preload('speaker')
  const alone = (await answer(supervisor, speech)).at(-1)?.outputs
  const spoken = answer(supervisor, speech)
  await until('its memory is over the limit', async () => {
    await supervisor.status()
    return isOver()
  })
  const waiting = value(supervisor, sum(2, 3))
  expect((await spoken).at(-1)?.outputs).toEqual(alone)
  expect(await waiting).toBe(5)
  expect(pidOf(supervisor)).not.toBe(pid)
  expect((await supervisor.status()).replaced).toBe(1)
})

test('[inference-7] a run that takes longer than the wait, and streamed nothing, runs again in the next engine', async () => {
  const supervisor = await openSupervisor({ ...growing(200), models: [slow, add], drainMsMax: 100 })
  const pid = pidOf(supervisor)
  await value(supervisor, sum(1, 1))
  await until('its memory is over the limit', async () => {
    // Long enough that one is under way whenever it is decided.
    expect(await value(supervisor, work(8_000))).toBe(7)
    return (await supervisor.status()).replaced > 0
  })
  expect(pidOf(supervisor)).not.toBe(pid)
  expect(logged.join('\n')).not.toContain('engine lost')
})

test('[inference-7] an answer that streams for longer calls the replacement off', async () => {
  const supervisor = await openSupervisor({ ...growing(200), models: [add, talker], drainMsMax: 100 })
  const pid = pidOf(supervisor)
  for await (const chunk of supervisor.infer(talk, forever)) {
    expect(chunk.final).toBe(false)
    if (logged.some((line) => line.includes('not replaced yet'))) break
    void supervisor.status()
  }
  expect(await value(supervisor, sum(2, 3))).toBe(5)
  expect(pidOf(supervisor)).toBe(pid)
  expect((await supervisor.status()).replaced).toBe(0)
})

test('[inference-7] models that were loaded are loaded again in the next engine', async () => {
  const supervisor = await openSupervisor({ ...growing(200), models: [add, slow] })
  await supervisor.preload('add')
  await until('it is replaced', async () => (await supervisor.status()).replaced === 1)
  await until('the model is back', async () => {
    const { models } = await supervisor.status()
    return models[0]?.state === 'loaded'
  })
  expect((await supervisor.status()).models[1]).toMatchObject({ name: 'slow', state: 'present' })
})
