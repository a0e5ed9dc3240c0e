/** The model files of the repository, in the engine, against what their originals answered. */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import type { Tensor } from '../../../runtime/wire/infer.ts'
import { golden } from '../../fixtures/models/golden.ts'
import { distance } from './distance.ts'
import { Bench, outputs } from './engine-bench.ts'

const folder = new URL('../../../runtime/inference/models/files/', import.meta.url)
const readme = readFileSync(new URL('README.md', folder), 'utf8')

/** What `file` answers to `input` in the engine. */
async function answer(file: string, input: Tensor): Promise<Float32Array> {
  const model = fileURLToPath(new URL(file, folder))
  const bench = new Bench([{ name: 'it', pipeline: 'tensor', files: { model } }])
  bench.infer('r', 'it', [input], { deadlineMs: 60_000 })
  return Object.values(outputs(await bench.final('r')))[0] as Float32Array
}

function tensor(name: string, from: string): Tensor {
  const found = golden(from)[name]
  if (!found) throw new Error(`${from}.json has no ${name}`)
  return found
}

/** Bytes of pixels as the network's floats. */
function asFloats(image: Tensor, scale: number): Tensor {
  const data = Float32Array.from(image.data as Uint8Array, (byte) => byte * scale)
  return { name: image.name, datatype: 'FP32', shape: image.shape, data }
}

const numbers = (one: Tensor) => one.data as Float32Array | Uint8Array

test.for(readdirSync(folder).filter((file) => file.endsWith('.onnx')))(
  '[files-1] %s is what the README says, and at most 1 MiB',
  (file) => {
    const bytes = readFileSync(new URL(file, folder))
    const line = readme
      .split('\n')
      .find((one) => one.startsWith(`| \`${file}\` |`) && /[0-9a-f]{64}/.test(one))
    expect(line).toContain(createHash('sha256').update(bytes).digest('hex'))
    expect(line).toContain(`| ${bytes.byteLength.toLocaleString('en')} |`)
    expect(bytes.byteLength).toBeLessThanOrEqual(2 ** 20)
  },
)

test('[files-2] people: floats equal the Keras original', async () => {
  const image = tensor('image', 'vww-96')
  const { max } = distance(
    numbers(tensor('float', 'vww-96')),
    await answer('vww-96.onnx', asFloats(image, 1 / 255)),
  )
  expect(max).toBeLessThanOrEqual(1e-5)
})

test('[files-2] people: int8 equals the int8 original within its last rounding and one step', async () => {
  const original = Float32Array.from(numbers(tensor('int8', 'vww-96')), (step) => step / 256)
  const ours = await answer('vww-96-int8.onnx', tensor('image', 'vww-96'))
  const { max, agreement } = distance(original, ours, 2)
  expect(max).toBeLessThanOrEqual(1.5 / 256)
  expect(agreement).toBe(1)
})

test('people are seen in pictures of people, and not in others', async () => {
  const ours = await answer('vww-96-int8.onnx', tensor('image', 'vww-96'))
  // An astronaut's portrait and a photographer come first; then a cat, a cup, a rocket, galaxies, bricks, grass.
  expect(Array.from({ length: 8 }, (_, row) => (ours[2 * row + 1] ?? 0) > 0.5)).toEqual([
    true,
    true,
    ...Array(6).fill(false),
  ])
})

test('[files-2] images: floats equal the Keras original, int8 within the tolerance', async () => {
  const image = tensor('image', 'resnet8')
  const original = numbers(tensor('float', 'resnet8'))
  const float = distance(original, await answer('resnet8.onnx', asFloats(image, 1)), 10)
  expect(float.max).toBeLessThanOrEqual(1e-5)
  const int8 = distance(original, await answer('resnet8-int8.onnx', image), 10)
  expect(int8.max).toBeLessThanOrEqual(0.3)
  expect(int8.mean).toBeLessThanOrEqual(0.02)
})

test('[files-2] machine sound: reconstruction and score equal the original within the tolerance', async () => {
  const features = tensor('features', 'ad01')
  const original = numbers(tensor('float', 'ad01'))
  const scores = (output: ArrayLike<number>) =>
    Float64Array.from({ length: features.shape[0] ?? 0 }, (_, row) => {
      const heard = numbers(features).subarray(row * 640, (row + 1) * 640)
      const squares = Array.from(heard, (value, at) => (value - (output[row * 640 + at] ?? Number.NaN)) ** 2)
      return Math.log(squares.reduce((sum, square) => sum + square, 0) / 640)
    })
  const float = await answer('ad01.onnx', features)
  expect(distance(original, float).max).toBeLessThanOrEqual(0.05)
  expect(distance(scores(original), scores(float)).max).toBeLessThanOrEqual(0.001)
  const int8 = await answer('ad01-int8.onnx', features)
  expect(distance(original, int8).mean).toBeLessThanOrEqual(1)
  expect(distance(scores(original), scores(int8)).max).toBeLessThanOrEqual(0.25)
})

test('[files-2] keywords: floats equal the original whose weights are read as floats, int8 within the tolerance', async () => {
  const features = tensor('features', 'kws')
  const original = numbers(tensor('float', 'kws'))
  const float = await answer('kws.onnx', features)
  expect(distance(original, float).max).toBeLessThanOrEqual(1e-5)
  // As its interpreter runs the file, rounding activations.
  expect(distance(numbers(tensor('interpreter', 'kws')), float, 12)).toMatchObject({ agreement: 1 })
  expect(distance(numbers(tensor('interpreter', 'kws')), float).max).toBeLessThanOrEqual(0.1)
  const int8 = distance(original, await answer('kws-int8.onnx', features), 12)
  expect(int8.max).toBeLessThanOrEqual(0.3)
  expect(int8.mean).toBeLessThanOrEqual(0.02)
})

test('one run of many rows answers as many runs of one', async () => {
  const image = tensor('image', 'vww-96')
  const together = await answer('vww-96-int8.onnx', image)
  const size = 96 * 96 * 3
  for (const row of [0, 7]) {
    const data = Uint8Array.from(numbers(image).subarray(row * size, (row + 1) * size))
    const alone = await answer('vww-96-int8.onnx', {
      name: 'image',
      datatype: 'UINT8',
      shape: [1, 96, 96, 3],
      data,
    })
    expect([...alone]).toEqual([...together.subarray(2 * row, 2 * row + 2)])
  }
})
