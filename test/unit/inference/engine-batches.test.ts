/** Requests that run as one, on tiny graphs in the real ONNX Runtime and, for whose turn it is, on a shelf of models. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { shareOf, split, stack } from '../../../runtime/inference/engine/batch.ts'
import type { EngineModel } from '../../../runtime/wire/engine-protocol.ts'
import type { Tensor } from '../../../runtime/wire/infer.ts'
import { floats, node, onnxModel, value } from '../../fixtures/onnx.ts'
import { Bench, f32, moonshine, outputs, path, tensorModel, write } from './engine-bench.ts'
import { Shelf, shelved } from './model-shelf.ts'

const batch = { max: 8, delayMs: 20 }
const together = (name: string, more: Partial<EngineModel> = {}): EngineModel => ({
  ...tensorModel(name),
  batch,
  ...more,
})
const add = (a: number[], b: number[]) => [f32('a', ...a), f32('b', ...b)]

function figures(bench: Bench) {
  bench.engine.handle({ t: 'status' })
  const status = bench.messages.at(-1)
  return status?.t === 'status' ? status.models[0]?.figures : undefined
}

test('[engine-14] requests that wait run as one, and each gets its own rows', async () => {
  const bench = new Bench([together('add')])
  bench.infer('1', 'add', add([1], [10]))
  bench.infer('2', 'add', add([2, 3, 4], [20, 30, 40]))
  bench.infer('3', 'add', add([5], [50]))
  bench.clock.advance(20)
  await bench.final('3')
  expect(outputs(await bench.final('1'))['sum']).toEqual(Float32Array.of(11))
  expect(await bench.final('2')).toMatchObject({
    outputs: [{ name: 'sum', shape: [3], data: Float32Array.of(22, 33, 44) }],
  })
  expect(outputs(await bench.final('3'))['sum']).toEqual(Float32Array.of(55))
  expect(figures(bench)).toMatchObject({ batches: 1, batchedRows: 5, answered: 3 })
})

test('[engine-14] a full batch does not wait, and what has no room in it comes after it', async () => {
  const bench = new Bench([together('add', { batch: { max: 2, delayMs: 1000 } })])
  for (const id of ['1', '2', '3', '4']) bench.infer(id, 'add', add([Number(id)], [0]))
  await bench.final('4')
  expect(figures(bench)).toMatchObject({ batches: 2, batchedRows: 4 })
})

test('[engine-14] a batch waits no longer than its delay, and leaves before the earliest deadline of those in it', async () => {
  const shelf = new Shelf([shelved('m', 1, { batch })])
  const x: Tensor = { name: 'x', datatype: 'FP32', shape: [1], data: Float32Array.of(1) }
  shelf.ask('warm', 'm')
  await shelf.until('warm')
  const startMs = shelf.clock.monotonicMs()
  const leftAfter = () => shelf.clock.monotonicMs() - startMs - shelf.runMs
  await shelf.clock.run(async () => {
    shelf.ask('1', 'm', { inputs: [x] })
    shelf.ask('2', 'm', { inputs: [x] })
    await shelf.until('1', '2')
  })
  expect(leftAfter()).toBe(batch.delayMs)
  await shelf.clock.run(async () => {
    shelf.ask('3', 'm', { inputs: [x] })
    shelf.ask('4', 'm', { inputs: [x], deadlineMs: 15 })
    await shelf.until('3', '4')
  })
  // 15 ms less the 10 ms that a run takes.
  expect(leftAfter()).toBe(batch.delayMs + shelf.runMs + 5)
  expect(shelf.said.filter((line) => line.startsWith('together'))).toEqual(['together 2', 'together 2'])
})

test('[engine-14] one whose inputs are wrong is told so, and its mates are answered', async () => {
  const bench = new Bench([together('add')])
  bench.infer('good', 'add', add([1], [10]))
  bench.infer('NaN', 'add', add([Number.NaN], [1]))
  bench.infer('uneven', 'add', add([1, 2], [1, 2, 3]))
  bench.infer('other', 'add', [f32('a', 1), f32('c', 1)])
  bench.clock.advance(20)
  expect(await bench.error('NaN')).toBe('bad-input: input a is NaN at element 0; expected finite numbers')
  expect(outputs(await bench.final('good'))['sum']).toEqual(Float32Array.of(11))
  expect(await bench.error('uneven')).toMatch(/^run: the model stopped/)
  expect(await bench.error('other')).toBe('bad-input: input b is missing; expected FP32 [n]')
})

test('[engine-14] when a run of several fails each runs by itself, so that only the culprit fails', async () => {
  // The third row of a table of three, by index: the run fails for an index that is not there.
  await write('pick', pickModel())
  const bench = new Bench([together('pick')])
  const index = (at: number): Tensor => ({
    name: 'at',
    datatype: 'INT64',
    shape: [1],
    data: BigInt64Array.of(BigInt(at)),
  })
  bench.infer('one', 'pick', [index(1)])
  bench.infer('none', 'pick', [index(99)])
  bench.infer('two', 'pick', [index(2)])
  bench.clock.advance(20)
  expect(outputs(await bench.final('one'))['row']).toEqual(Float32Array.of(10))
  expect(outputs(await bench.final('two'))['row']).toEqual(Float32Array.of(20))
  expect(await bench.error('none')).toMatch(/^run: the model stopped: .*indices/)
})

function pickModel(): Uint8Array {
  return onnxModel({
    inputs: [value('at', 'INT64', ['n'])],
    outputs: [value('row', 'FP32', ['n'])],
    nodes: [node('Gather', ['table', 'at'], ['row'])],
    constants: [floats('table', [3], [0, 10, 20])],
  })
}

test('[engine-14] a more urgent request leads those of less urgent classes; they do not lead it', async () => {
  const shelf = new Shelf([shelved('m', 1, { batch }), shelved('other', 1)])
  const inputs = [{ name: 'x', datatype: 'FP32', shape: [1], data: Float32Array.of(1) }]
  shelf.ask('warm', 'm')
  await shelf.until('warm')
  const { letOn } = shelf.hold('other')
  shelf.ask('other', 'other')
  await shelf.until('begun other')
  shelf.ask('background', 'm', { inputs, priority: 'background' })
  shelf.clock.advance(batch.delayMs)
  shelf.ask('control', 'm', { inputs, priority: 'control' })
  letOn()
  await shelf.until('other')
  // Ahead of the interactive request, since the control request leads.
  expect(shelf.said.slice(-4)).toEqual(['together 2', 'control', 'background', 'other'])
})

test.for([
  [
    'whose first axis is fixed',
    together('fixed'),
    'model fixed: a batch needs a first axis of any length, but x is FP32 [1,2]',
  ],
  [
    'with an input that has no axis',
    together('scalar'),
    'model scalar: a batch needs a first axis of any length, but k is FP32 []',
  ],
  [
    'whose pipeline runs none',
    { ...moonshine('stt', 'decoder'), batch },
    'model stt: pipeline moonshine runs no batches',
  ],
] as const)('[engine-14] a model %s does not load with a batch', async ([, model, message]) => {
  await write(
    'fixed',
    onnxModel({
      inputs: [value('x', 'FP32', [1, 2])],
      outputs: [value('y', 'FP32', [1, 2])],
      nodes: [node('Identity', ['x'], ['y'])],
    }),
  )
  await write(
    'scalar',
    onnxModel({
      inputs: [value('x', 'FP32', ['n']), value('k', 'FP32', [])],
      outputs: [value('y', 'FP32', ['n'])],
      nodes: [node('Mul', ['x', 'k'], ['y'])],
    }),
  )
  expect(path(model.name)).toContain('onnx')
  const bench = new Bench([model])
  bench.infer('r', model.name, [])
  expect(await bench.error('r')).toBe(`model-load: ${message}`)
})

test('[engine-14] requests of a graph that gives another number of rows run each by itself', async () => {
  await write(
    'doubled',
    onnxModel({
      inputs: [value('x', 'FP32', ['n'])],
      outputs: [value('y', 'FP32', ['m'])],
      nodes: [node('Concat', ['x', 'x'], ['y'], { axis: 0 })],
    }),
  )
  const bench = new Bench([together('doubled')])
  bench.infer('1', 'doubled', [f32('x', 1)])
  bench.infer('2', 'doubled', [f32('x', 2)])
  bench.clock.advance(20)
  expect(outputs(await bench.final('1'))['y']).toEqual(Float32Array.of(1, 1))
  expect(outputs(await bench.final('2'))['y']).toEqual(Float32Array.of(2, 2))
  expect(figures(bench)).toMatchObject({ batches: 0, answered: 2 })
})

const rows = fc.integer({ min: 1, max: 4 })
const width = fc.integer({ min: 0, max: 3 })
test('[engine-14] what is stacked comes apart again as it was', () => {
  fc.assert(
    fc.property(fc.array(rows, { minLength: 1, maxLength: 5 }), width, (counts, wide) => {
      let next = 0
      const tensors = counts.map(
        (count): Tensor => ({
          name: 'x',
          datatype: 'INT32',
          shape: [count, wide],
          data: Int32Array.from({ length: count * wide }, () => next++),
        }),
      )
      expect(split(stack(tensors), counts)).toEqual(tensors)
      const words = counts.map(
        (count): Tensor => ({ name: 'x', datatype: 'BYTES', shape: [count], data: Array(count).fill('x') }),
      )
      expect(split(stack(words), counts)).toEqual(words)
    }),
  )
})

test('[engine-14] only inputs that agree in all but their rows share a batch', () => {
  const tensor = (shape: number[], datatype: 'FP32' | 'INT32' = 'FP32', name = 'x') => {
    const length = shape.reduce((a, b) => a * b, 1)
    return {
      name,
      datatype,
      shape,
      data: datatype === 'FP32' ? new Float32Array(length) : new Int32Array(length),
    } as Tensor
  }
  const key = (...inputs: unknown[]) => shareOf(inputs)?.key
  expect(key(tensor([1, 2]))).toBe(key(tensor([3, 2])))
  expect(key(tensor([1, 2]), tensor([1], 'FP32', 'y'))).toBe(key(tensor([2], 'FP32', 'y'), tensor([2, 2])))
  expect(key(tensor([1, 2]))).not.toBe(key(tensor([1, 3])))
  expect(key(tensor([1, 2]))).not.toBe(key(tensor([1, 2], 'INT32')))
  expect(key(tensor([1, 2]))).not.toBe(key(tensor([1, 2], 'FP32', 'y')))
  for (const alone of [
    [],
    [tensor([])],
    [tensor([0, 2])],
    [tensor([1]), tensor([2], 'FP32', 'y')],
    [null],
    [{ ...tensor([2]), shape: [3] }],
  ])
    expect(shareOf(alone)).toBeUndefined()
})
