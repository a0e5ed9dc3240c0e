/** Models served by an accelerator's adapter where it takes their format: a real adapter process, the engine in that place. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { boards } from '../../boards/index.ts'
import type { Accelerator } from '../../hal/contract/accelerator.ts'
import { createHal } from '../../hal/index.ts'
import { realClock } from '../../runtime/base/clock.ts'
import { AcceleratorRoute } from '../../runtime/inference/accelerator-route.ts'
import { Accelerators } from '../../runtime/inference/accelerators.ts'
import { EngineRoute } from '../../runtime/inference/engine-route.ts'
import type { Inference } from '../../runtime/inference/inference.ts'
import type { Route } from '../../runtime/inference/router/route.ts'
import { ServedModels } from '../../runtime/inference/served-models.ts'
import { readAddedManifest } from '../../runtime/inference/store/added-manifest.ts'
import { type AddedModel, addedModel } from '../../runtime/inference/store/added-models.ts'
import { ModelStore } from '../../runtime/inference/store/store.ts'
import { checkModel } from '../../runtime/inference/supervisor/model-check.ts'
import { addModel, value as io, node, onnxModel } from '../fixtures/onnx.ts'
import { engineCommand } from './accelerator-models.ts'
import { answer, errorOf, forever, log, openSupervisor, sum, until } from './engine-setup.ts'

let dir: string
let adder: AddedModel
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'accelerator-route-'))
  writeFileSync(join(dir, 'model.onnx'), addModel())
  writeFileSync(join(dir, 'model.yaml'), 'file: model.onnx\nname: adder\n')
  const check = (model: Parameters<typeof checkModel>[1], signal: AbortSignal) =>
    checkModel({ clock: realClock, log }, model, signal)
  adder = await addedModel(dir, readAddedManifest(dir), check, join(dir, 'facts'), forever)
})
afterAll(() => rmSync(dir, { recursive: true }))

async function openServed(): Promise<ServedModels> {
  const engines = await openSupervisor({ models: [] })
  const store = await ModelStore.open({ clock: realClock, log }, { dir, manifests: [] }, forever)
  const served = await ServedModels.open({ clock: realClock, log, store, engines }, {}, forever)
  served.setAdded([adder])
  return served
}

const ask = { ...sum(2, 3), model: 'adder' }
const asInference = (route: Route): Inference => ({
  infer: (request, signal) => route.infer(request, signal),
})

test('an adapter that takes the format is offered and answers; what it has not is refused by name', async () => {
  const served = await openServed()
  const deps = { clock: realClock, log, hal: createHal(boards), engines: served.share('accelerators') }
  await using accelerators = await Accelerators.open(
    deps,
    [{ adapter: 'npu', command: engineCommand }],
    forever,
  )
  const [accelerator] = accelerators.list
  if (!accelerator) throw new Error('no accelerator was opened')
  const route = new AcceleratorRoute({ clock: realClock, served }, accelerator)
  expect(route.id).toBe('accelerator/npu')
  expect(route.offer('adder')).toMatchObject({ usable: false })
  await until('it is offered', () => route.offer('adder').usable)
  expect(route.offer('adder')).toMatchObject({ usable: true, price: 0, idempotent: true, loadMs: 1_000 })
  expect(route.offer('nothing')).toMatchObject({ usable: false, code: 'model-unknown' })
  const [chunk] = await answer(asInference(route), ask)
  expect(chunk).toMatchObject({ final: true, route: 'accelerator/npu', outputs: [{ name: 'sum' }] })
  expect(chunk?.outputs[0]?.data[0]).toBe(5)
  expect(route.offer('adder')).toMatchObject({ loadMs: 0, modelMs: expect.any(Number) })
  expect(await errorOf(answer(asInference(route), { ...ask, model: 'nothing' }))).toMatchObject({
    code: 'model-unknown',
  })
  expect(await errorOf(answer(asInference(route), { ...ask, inputs: [] }))).toMatchObject({
    code: 'bad-input',
  })
})

test('[added-6] a file that is replaced is loaded anew by an adapter too', async () => {
  const served = await openServed()
  const deps = { clock: realClock, log, hal: createHal(boards), engines: served.share('accelerators') }
  const config = [{ adapter: 'npu', command: engineCommand }]
  await using accelerators = await Accelerators.open(deps, config, forever)
  const route = new AcceleratorRoute({ clock: realClock, served }, accelerators.list[0] as Accelerator)
  await until('it is offered', () => route.offer('adder').usable)
  expect((await answer(asInference(route), ask))[0]?.outputs[0]?.data[0]).toBe(5)
  const graph = {
    inputs: [io('a', 'FP32', ['n']), io('b', 'FP32', ['n'])],
    outputs: [io('sum', 'FP32', ['n'])],
    nodes: [node('Mul', ['a', 'b'], ['sum'])],
  }
  const before = readFileSync(adder.engine.files['model'] as string)
  writeFileSync(adder.engine.files['model'] as string, onnxModel(graph))
  served.setAdded([{ ...adder, revision: 'multiplies' }])
  expect((await answer(asInference(route), ask))[0]?.outputs[0]?.data[0]).toBe(6)
  writeFileSync(adder.engine.files['model'] as string, before)
})

test('an adapter that does not start is refused with its reason, and the engine still offers the model', async () => {
  const served = await openServed()
  const deps = { clock: realClock, log, hal: createHal(boards), engines: served.share('accelerators') }
  const broken = ['/bin/sh', '-c', 'echo "no such chip" >&2; exit 3']
  await using accelerators = await Accelerators.open(deps, [{ adapter: 'npu', command: broken }], forever)
  const [accelerator] = accelerators.list
  if (!accelerator) throw new Error('no accelerator was opened')
  const route = new AcceleratorRoute({ clock: realClock, served }, accelerator)
  await until('it says why not', () => JSON.stringify(route.offer('adder')).includes('no such chip'))
  expect(new EngineRoute(served).offer('adder').usable).toBe(true)
})

test('the engine’s route tells load, time and queue from what it knows, and runs', async () => {
  const served = await openServed()
  const route = new EngineRoute(served)
  expect(route.offer('adder')).toMatchObject({
    ...{ usable: true, price: 0, idempotent: true, loadMs: 500 },
    memoryMb: adder.memoryMb,
  })
  const [chunk] = await answer(asInference(route), ask)
  expect(chunk).toMatchObject({ final: true, route: 'engine' })
  expect(route.offer('adder')).toMatchObject({
    loadMs: 0,
    queueMs: 0,
    memoryMb: 0,
    modelMs: expect.any(Number),
  })
  // On two cores of 3 W; what one takes is not known before it ran.
  const warm = new EngineRoute(served, { threads: 2, wattsPerBusyCore: 3 }).offer('adder')
  const modelMs = served.engines.outlook('adder')?.modelMs?.p50 ?? Number.NaN
  expect(warm).toMatchObject({ energyJ: expect.closeTo((modelMs / 1000) * 2 * 3, 9) })
  expect(route.offer('nothing')).toMatchObject({
    usable: false,
    code: 'model-unknown',
    whyNot: 'no model is named nothing; there are: adder',
  })
})

test('[inference-9] what one part of the device puts into the engine stays beside what others have', async () => {
  const served = await openServed()
  const part = served.share('part')
  part.setModels([{ ...adder.engine, name: 'of-a-part' }])
  expect(served.engines.models.map(({ name }) => name)).toEqual(['adder', 'of-a-part'])
  // It sees what it set, and nobody else's: what it sets again does not keep what others take away.
  expect(part.models.map(({ name }) => name)).toEqual(['of-a-part'])
  part.setModels([...part.models])
  served.setAdded([])
  expect(served.engines.models.map(({ name }) => name)).toEqual(['of-a-part'])
  await part[Symbol.asyncDispose]()
  expect(served.engines.models).toEqual([])
})
