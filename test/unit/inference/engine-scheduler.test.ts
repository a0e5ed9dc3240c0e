/** Loading, stepping and releasing, with a pipeline that counts and waits. */
import { expect, test } from 'vitest'
import { VirtualClock } from '../../../runtime/base/clock.ts'
import { ModelTable } from '../../../runtime/inference/engine/model-table.ts'
import type { PipelineKind, Steps } from '../../../runtime/inference/engine/pipelines/pipeline.ts'
import { Scheduler } from '../../../runtime/inference/engine/scheduler.ts'
import type { EngineModel } from '../../../runtime/wire/engine-protocol.ts'
import type { InferResponse } from '../../../runtime/wire/infer.ts'

const model: EngineModel = { name: 'm', pipeline: 'counting', files: {} }

class Counts {
  loads = 0
  releases = 0
  loading = Promise.withResolvers<void>()
  readonly kind: PipelineKind = {
    name: 'counting',
    roles: [],
    load: async () => {
      this.loads += 1
      await this.loading.promise
      return {
        run: () => this.#steps(),
        release: async () => {
          this.releases += 1
          this.released.resolve()
        },
      }
    },
  }
  readonly released = Promise.withResolvers<void>()
  readonly stepping = Promise.withResolvers<void>()
  readonly step = Promise.withResolvers<void>()
  readonly table = new ModelTable(new VirtualClock(), {
    pipelines: [this.kind],
    intraOpThreads: 1,
    nativeMb: () => 0,
    onLoaded: () => {},
    onFailed: () => {},
    onEvicted: () => {},
    onFreed: () => {},
  })

  constructor() {
    this.table.set([model])
  }

  /** One step, as long as the test wants. */
  async *#steps(): Steps {
    this.stepping.resolve()
    await this.step.promise
    yield []
    return []
  }
}

test('a model is released once, when it was unloaded and nobody uses it', async () => {
  const counts = new Counts()
  counts.loading.resolve()
  const [one, other] = [await counts.table.use('m'), await counts.table.use('m')]
  expect(counts.loads).toBe(1)
  counts.table.unload('m')
  one.done()
  expect(counts.releases).toBe(0)
  other.done()
  await counts.released.promise
  expect(counts.releases).toBe(1)
})

test('a model that is removed while it loads is released after whoever waited for it', async () => {
  const counts = new Counts()
  const using = counts.table.use('m')
  counts.table.set([])
  counts.loading.resolve()
  const { done } = await using
  expect(counts.releases).toBe(0)
  done()
  await counts.released.promise
  expect(counts.releases).toBe(1)
})

test('who waited for a load that failed does not count as a user of the next', async () => {
  const counts = new Counts()
  counts.loading.reject(new Error('no memory'))
  await expect(counts.table.use('m')).rejects.toThrow('model m: no memory')
  counts.loading = Promise.withResolvers<void>()
  counts.loading.resolve()
  await counts.table.load('m')
  counts.table.unload('m')
  await counts.released.promise
  expect(counts.releases).toBe(1)
})

test('a model that is removed while it loads for nobody is released', async () => {
  const counts = new Counts()
  const loading = counts.table.load('m')
  counts.table.unload('m')
  counts.loading.resolve()
  await loading
  await new Promise((next) => setImmediate(next))
  expect(counts.releases).toBe(1)
})

test('[engine-5] a request that is cancelled in a step is answered once and lets go of its model', async () => {
  const counts = new Counts()
  counts.loading.resolve()
  const responses: InferResponse[] = []
  const scheduler = new Scheduler(
    {
      clock: new VirtualClock(),
      models: counts.table,
      drained: async () => {},
      doneWith: () => {},
      respond: (response) => responses.push(response),
    },
    { queueMax: 1 },
  )
  scheduler.add({ id: 'r', model: 'm', priority: 'control', deadlineMs: 1, privacy: 'device', inputs: [] })
  await counts.stepping.promise
  scheduler.cancel('r')
  counts.table.unload('m')
  expect(counts.releases).toBe(0)
  counts.step.resolve()
  await counts.released.promise
  expect(responses).toEqual([
    { id: 'r', final: true, error: { code: 'cancelled', message: 'cancelled by its sender' } },
  ])
})
