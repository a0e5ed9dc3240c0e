/** int8 and int4 graphs, as `scripts/models/quantize.py` makes them, run in the engine nearly as the float graph does. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { distance } from './distance.ts'
import { Bench, outputs } from './engine-bench.ts'

const rows = 32
const data = Float32Array.from({ length: rows * 64 }, (_, i) => Math.sin(i * i))
const file = (kind: string) => new URL(`../../fixtures/models/tiny-${kind}.onnx`, import.meta.url)

async function answer(kind: string): Promise<Float32Array> {
  const bench = new Bench([{ name: 'it', pipeline: 'tensor', files: { model: fileURLToPath(file(kind)) } }])
  bench.infer('r', 'it', [{ name: 'x', datatype: 'FP32', shape: [rows, 64], data }])
  return outputs(await bench.final('r'))['y'] as Float32Array
}

test.for([
  ['static', 'DequantizeLinear', 25, 0.6],
  ['dynamic', 'MatMulInteger', 30, 0.5],
  ['int4', 'MatMulNBits', 15, 0.3],
] as const)('%s is quantized, smaller and near the floats', async ([kind, operator, sqnrDb, share]) => {
  const bytes = readFileSync(file(kind))
  expect(bytes.includes(operator)).toBe(true)
  expect(bytes.byteLength).toBeLessThan(readFileSync(file('float')).byteLength * share)
  const near = distance(await answer('float'), await answer(kind), 8)
  expect(near.sqnrDb).toBeGreaterThan(sqnrDb)
  // A quantized graph that answers exactly as floats do was not quantized.
  expect(near.sqnrDb).toBeLessThan(70)
  expect(near.agreement).toBeGreaterThan(0.8)
})
