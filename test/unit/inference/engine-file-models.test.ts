/** The engine as functions, on tiny graphs in the real ONNX Runtime. */
import { expect, test } from 'vitest'
import { VirtualClock } from '../../../runtime/base/clock.ts'
import { FileModels } from '../../../runtime/inference/engine/oip/file-models.ts'
import { path } from './engine-bench.ts'

test('a model that is unloaded while it loads is told to who waited for it, and can be loaded again', async () => {
  const models = new FileModels(
    { clock: new VirtualClock(), warn: () => {} },
    { queueMax: 4, intraOpThreads: 1 },
  )
  const loading = models.load('add', path('add'))
  models.unload('add')
  await expect(loading).rejects.toMatchObject({
    code: 'model-load',
    message: 'model add was unloaded while it loaded',
  })
  expect(models.names).toEqual([])
  expect((await models.load('add', path('add'))).outputs).toMatchObject([{ name: 'sum' }])
})
