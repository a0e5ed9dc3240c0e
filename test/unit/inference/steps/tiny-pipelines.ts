/** Pipelines of steps on tiny graphs, in the engine without its process: what their tests share. */
import { writeFile } from 'node:fs/promises'
import { beforeAll } from 'vitest'
import type { EngineModel } from '../../../../runtime/wire/engine-protocol.ts'
import type { Tensor } from '../../../../runtime/wire/infer.ts'
import { ints, node, onnxModel, value } from '../../../fixtures/onnx.ts'
import { Bench, outputs, path, write } from '../engine-bench.ts'

const words = path('words')
beforeAll(async () => {
  // `mean` FP32 [1] of `picture` FP32 [1,3,h,w].
  await write(
    'mean',
    onnxModel({
      inputs: [value('picture', 'FP32', [1, 3, 'h', 'w'])],
      outputs: [value('mean', 'FP32', [1])],
      nodes: [
        node('ReduceMean', ['picture'], ['one'], { keepdims: 0 }),
        node('Unsqueeze', ['one', 'axis'], ['mean']),
      ],
      constants: [ints('axis', [1], [0])],
    }),
  )
  // `y` = ln `x`: no number of a negative one.
  await write(
    'log',
    onnxModel({
      inputs: [value('x', 'FP32', ['n'])],
      outputs: [value('y', 'FP32', ['n'])],
      nodes: [node('Log', ['x'], ['y'])],
    }),
  )
  await writeFile(words, 'lamp\ndoor\r\nfan\n')
})

export const image = (height: number, width: number, channels = 3, fill = 0): Tensor => ({
  name: 'image',
  datatype: 'UINT8',
  shape: [height, width, channels],
  data: new Uint8Array(height * width * channels).fill(fill),
})
export const sound = (...data: number[]): Tensor => ({
  name: 'x',
  datatype: 'FP32',
  shape: [data.length],
  data: Float32Array.from(data),
})
export const softmax = { step: 'softmax', in: 'x', out: 'y' }
export const logarithm = { step: 'run', file: 'model', feeds: { x: 'x' }, gives: { y: 'z' } }

/** From `x` FP32 [n] to `y` FP32 [n], with the graph `log`. */
export const pipeline = (steps: readonly object[], more: Partial<EngineModel> = {}): EngineModel => ({
  name: 'it',
  pipeline: 'steps',
  files: { model: path('log'), words },
  inputs: [{ name: 'x', datatype: 'FP32', shape: ['n'] }],
  outputs: [{ name: 'y', datatype: 'FP32', shape: ['n'] }],
  steps: steps as NonNullable<EngineModel['steps']>,
  ...more,
})

/** The brightness of each quad of a picture, by a native run each. */
export const brightness = (more: Partial<EngineModel> = {}): EngineModel =>
  pipeline(
    [
      { step: 'crop-quads', in: { image: 'image', quads: 'quads' }, out: 'part', max: 8 },
      { step: 'layout', in: 'part', out: 'planes', to: 'nchw' },
      { step: 'normalise', in: 'planes', out: 'p', scale: 1 / 255 },
      { step: 'run', file: 'model', feeds: { picture: 'p' }, gives: { mean: 'mean' } },
      { step: 'join', in: 'mean', out: 'y' },
    ],
    {
      files: { model: path('mean') },
      inputs: [
        { name: 'image', datatype: 'UINT8', shape: ['h', 'w', 3] },
        { name: 'quads', datatype: 'FP32', shape: ['n', 4, 2] },
      ],
      ...more,
    },
  )
/** Squares of 4 × 4 pixels, one beside the other. */
export const squares = (count: number): Tensor => ({
  name: 'quads',
  datatype: 'FP32',
  shape: [count, 4, 2],
  data: Float32Array.from(
    Array.from({ length: count }, (_, at) => [4 * at, 0, 4 * at + 4, 0, 4 * at + 4, 4, 4 * at, 4]).flat(),
  ),
})
/** As many stripes of 4 pixels, each `step` brighter than the one before. */
export const stripes = (count: number, step = 10): Tensor => {
  const { data, ...rest } = image(4, 4 * count)
  const bytes = (data as Uint8Array).map((_, at) => Math.floor((Math.floor(at / 3) % (4 * count)) / 4) * step)
  return { ...rest, data: bytes } as Tensor
}
export const brightnesses = (count: number, step = 10) =>
  Array.from({ length: count }, (_, at) => Math.fround((at * step) / 255))

export async function answer(model: EngineModel, inputs: readonly unknown[]) {
  const bench = new Bench([model])
  bench.infer('r', 'it', inputs)
  return outputs(await bench.final('r')) as Record<string, Float32Array>
}
export async function errorOf(model: EngineModel, inputs: readonly unknown[]): Promise<string> {
  const bench = new Bench([model])
  bench.infer('r', 'it', inputs)
  return bench.error('r')
}
