/** A folder of tiny models as a person would add them, for gateways under test: `add`, `slow`, `lengths` (embeddings by hand). */
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Tensor } from '../../runtime/wire/infer.ts'
import { addModel, slowModel } from '../fixtures/onnx.ts'

/** Its own store: what was found out about models is kept there. */
export function modelsFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ganglion-served-'))
  process.env['GANGLION_MODELS_DIR'] = join(folder, 'store')
  const put = (name: string, bytes: Uint8Array, more: readonly string[] = []) => {
    mkdirSync(join(folder, 'models', name), { recursive: true })
    writeFileSync(join(folder, 'models', name, 'model.onnx'), bytes)
    writeFileSync(join(folder, 'models', name, 'model.yaml'), ['file: model.onnx', ...more, ''].join('\n'))
  }
  put('add', addModel(), ['version: "3"', 'memoryMb: 20'])
  put('slow', slowModel(), ['memoryMb: 20'])
  return join(folder, 'models')
}

export const f32 = (name: string, ...values: number[]): Tensor => ({
  name,
  datatype: 'FP32',
  shape: [values.length],
  data: Float32Array.from(values),
})
export const addRequest = { model: 'add', inputs: [f32('a', 1, 2), f32('b', 10, 20)] }
export const isSum = (tensor: Tensor | undefined) =>
  tensor?.name === 'sum' && JSON.stringify([...(tensor.data as Float32Array)]) === '[11,22]'
/** About a second of native work. */
export const slowRequest = {
  model: 'slow',
  inputs: [
    { name: 'rounds', datatype: 'INT64', shape: [], data: BigInt64Array.of(40_000n) },
    f32('x', 7),
  ] as Tensor[],
}
