/** Models that take turns in little memory, in a real engine process with the real ONNX Runtime. */
import { writeFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import type { EngineModel } from '../../runtime/wire/engine-protocol.ts'
import { floats, node, onnxModel, value as tensor } from '../fixtures/onnx.ts'
import {
  add,
  answer,
  base,
  errorOf,
  openSupervisor,
  path,
  type Request,
  sum,
  tensorModel,
  value,
} from './engine-setup.ts'

const width = 1024
/** `y` = `x` times weights that are all 1 / width: 4 MB. */
const mean = onnxModel({
  inputs: [tensor('x', 'FP32', ['n', width])],
  outputs: [tensor('y', 'FP32', ['n', width])],
  nodes: [node('MatMul', ['x', 'weights'], ['y'])],
  constants: [floats('weights', [width, width], Array(width * width).fill(1 / width))],
})

async function heavy(name: string, more: Partial<EngineModel> = {}): Promise<EngineModel> {
  await writeFile(path(name), mean)
  return { ...tensorModel(name), memoryMb: 5, ...more }
}
const of = (model: string, number: number): Request => ({
  ...base,
  model,
  inputs: [{ name: 'x', datatype: 'FP32', shape: [1, width], data: new Float32Array(width).fill(number) }],
})

test('[engine-9] two models answer in turn where only one fits, and both are counted with what they take', async () => {
  const supervisor = await openSupervisor({ models: [await heavy('one'), await heavy('two')], budgetMb: 8 })
  const rounds = 12
  for (let round = 1; round <= rounds; round += 1)
    expect(await value(supervisor, of(round % 2 === 0 ? 'one' : 'two', round))).toBeCloseTo(round)
  const { models, restarts } = await supervisor.status()
  expect(restarts).toBe(0)
  for (const { figures } of models) {
    expect(figures).toMatchObject({ measured: true, answered: rounds / 2, loads: rounds / 2 })
    // Weights, and a copy that is packed for products.
    expect(figures?.memoryMb).toBeGreaterThanOrEqual(4)
  }
})

test('[engine-9] models load and go forty times and answer the same', { timeout: 60_000 }, async () => {
  const supervisor = await openSupervisor({ models: [add, await heavy('one')] })
  for (let cycle = 0; cycle < 20; cycle += 1)
    for (const [name, request, expected] of [
      ['add', sum(cycle, 1), cycle + 1],
      ['one', of('one', cycle), cycle],
    ] as const) {
      await supervisor.preload(name)
      expect(await value(supervisor, request)).toBeCloseTo(expected)
      supervisor.unload(name)
    }
  const { models } = await supervisor.status()
  expect(models.map(({ state, figures }) => [state, figures?.loads])).toEqual([
    ['present', 20],
    ['present', 20],
  ])
})

test('[engine-10] a model that fits nowhere is refused in one line, and what is pinned is named', async () => {
  const models = [await heavy('pinned', { pin: true }), await heavy('giant', { memoryMb: 500 })]
  const supervisor = await openSupervisor({ models, budgetMb: 100 })
  expect(await value(supervisor, of('pinned', 3))).toBeCloseTo(3)
  const error = await errorOf(answer(supervisor, of('giant', 3)))
  expect(error).toMatchObject({
    code: 'memory',
    message: expect.stringMatching(
      /^model giant needs 500 MB, models may take 100 MB; pinned: pinned [\d.]+ MB$/,
    ),
  })
  expect(await value(supervisor, of('pinned', 4))).toBeCloseTo(4)
})

test('[engine-14] many requests at once run as few, through the pipe', async () => {
  const supervisor = await openSupervisor({
    models: [await heavy('batched', { batch: { max: 8, delayMs: 50 } })],
  })
  await supervisor.preload('batched')
  const numbers = Array.from({ length: 24 }, (_, at) => at + 1)
  const answers = await Promise.all(numbers.map((number) => value(supervisor, of('batched', number))))
  for (const [at, number] of numbers.entries()) expect(answers[at]).toBeCloseTo(number, 3)
  const { figures } = (await supervisor.status()).models[0] ?? {}
  expect(figures?.batchedRows).toBeGreaterThan(12)
  expect((figures?.batchedRows ?? 0) / (figures?.batches ?? 0)).toBeGreaterThan(2)
})
