/** What `infer` counts as time of the engine: what the model ran, and not what the call waited for others. */
import { expect, test } from 'vitest'
import type { Charge } from '../../../../runtime/agent/accounts/usage.ts'
import { unshared } from '../../../../runtime/agent/service.ts'
import { EngineTimes } from '../../../../runtime/agent/services/engine-time.ts'
import { inferService } from '../../../../runtime/agent/services/infer.service.ts'
import { sleep, VirtualClock } from '../../../../runtime/base/clock.ts'
import type { Inference } from '../../../../runtime/inference/inference.ts'
import { type InferChunk, InferError } from '../../../../runtime/wire/infer.ts'

const final = { id: 'r', final: true, outputs: [] } as const
const none = new AbortController().signal

/** An engine where each waits 4 s for others, then runs 100 ms. */
function asked(
  clock: VirtualClock,
  over: (nth: number) => Partial<InferChunk> | InferError = () => ({ modelMs: 100 }),
) {
  let nth = 0
  const inference: Inference = {
    async *infer({ model }, signal) {
      nth += 1
      await sleep(clock, 4_100, signal)
      const end = over(nth)
      if (end instanceof InferError) throw end
      yield { ...final, ...end, route: model }
    },
  }
  const service = inferService({ clock, inference })
  const charges: Charge[] = []
  const ask = (model = 'm', signal = none) =>
    service.perform(
      {
        caller: { agent: 'a', token: 1 },
        call: { id: 1, op: 'infer', args: { model, inputs: [] } },
        sharing: { ...unshared, spend: (charge) => charges.push(charge) },
        ...{ resumed: false, askedMs: clock.nowMs(), emit: () => true },
      },
      signal,
    )
  return { ask, engineMs: () => charges.map((charge) => charge.engineMs) }
}

test('[account-6] what waits in the queue of the engine is not charged for it', async () => {
  const clock = new VirtualClock()
  const { ask, engineMs } = asked(clock)
  await clock.run(() => Promise.all([ask(), ask()]))
  expect(engineMs()).toEqual([100, 100])
})

test('[account-6] a server says how long it ran, or nobody does; what was kept from before did not run', async () => {
  const clock = new VirtualClock()
  const served = {
    by: 'pool',
    tries: [],
    failed: [],
    cached: false,
    queueMs: 4_000,
    runMs: 80,
  } as unknown as InferChunk['served']
  const ends = [
    { served },
    {},
    { cached: true, modelMs: 100 },
    { served: { ...served, cached: true } as never },
  ]
  const { ask, engineMs } = asked(clock, (nth) => ends[nth - 1] as Partial<InferChunk>)
  await clock.run(async () => {
    for (const _ of ends) await ask()
  })
  expect(engineMs()).toEqual([80, 4_100, 0, 0])
})

test('[account-6] what came to no end counts at most as the last run of its model, and what never began as nothing', async () => {
  const clock = new VirtualClock()
  const codes = [undefined, 'deadline', 'overloaded', 'run', 'refused', 'engine-lost'] as const
  const { ask, engineMs } = asked(clock, (nth) => {
    const code = codes[nth - 1]
    return code ? new InferError(code, 'not now') : { modelMs: 100 }
  })
  const leaves = new AbortController()
  await clock.run(async () => {
    for (const _ of codes) await ask()
    const given = ask('m', leaves.signal)
    const unknown = ask('unknown', leaves.signal)
    await sleep(clock, 50)
    leaves.abort(new Error('no longer'))
    await Promise.all([given, unknown])
  })
  expect(engineMs()).toEqual([100, 100, 100, 100, 50, 50])
})

test('[account-6] of many models the last runs of the latest are remembered', () => {
  const times = new EngineTimes()
  for (let at = 0; at < 70; at += 1) times.answered(`m${at}`, { ...final, modelMs: 5 }, 9)
  expect([times.lost('m0', 'run', 9), times.lost('m69', 'run', 9)]).toEqual([9, 5])
})

test('[sched-17] a model is asked for no longer than the task that asks wants it, by its own deadline where that is sooner', async () => {
  const clock = new VirtualClock()
  const asks: unknown[] = []
  const inference: Inference = {
    async *infer({ deadlineMs, priority }) {
      asks.push([deadlineMs, priority])
      yield { ...final, modelMs: 1 }
    },
  }
  const service = inferService({ clock, inference })
  const nowMs = clock.nowMs()
  const asking = (args: object) =>
    service.perform(
      {
        caller: { agent: 'a', token: 1, priority: 'interactive' },
        call: { id: 1, op: 'infer', args: { model: 'm', inputs: [], ...args } },
        ...{ resumed: false, askedMs: nowMs, emit: () => true },
      },
      none,
    )
  const urgency = { dueMs: nowMs + 2_000 }
  await asking({ urgency })
  await asking({ urgency, deadlineMs: nowMs + 500 })
  await asking({ urgency: { dueMs: 'soon' } })
  expect(await asking({ urgency: { dueMs: nowMs - 1 } })).toMatchObject({ error: { code: 'timeout' } })
  expect(asks).toEqual([2_000, 500, 60_000].map((ms) => [ms, 'interactive']))
})
