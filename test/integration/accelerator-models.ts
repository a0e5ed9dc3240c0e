/** The known runs of the accelerators' conformance suite on tiny ONNX graphs, and what their tests share. */
import { mkdtempSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll } from 'vitest'
import type { AcceleratorTensor } from '../../hal/contract/accelerator.ts'
import type { Host } from '../../hal/contract/host.ts'
import { realClock } from '../../runtime/base/clock.ts'
import type { AcceleratorFixtures, KnownRun } from '../conformance/accelerator.suite.ts'
import { addModel, identityModel, slowModel } from '../fixtures/onnx.ts'

const folder = mkdtempSync(join(tmpdir(), 'accelerator-'))
afterAll(() => rm(folder, { recursive: true, force: true }))

function onnx(name: string, model: Uint8Array): { readonly onnx: string } {
  const path = join(folder, `${name}.onnx`)
  writeFileSync(path, model)
  return { onnx: path }
}

export const f32 = (name: string, ...values: readonly number[]): AcceleratorTensor => ({
  name,
  datatype: 'FP32',
  shape: [values.length],
  data: Float32Array.from(values),
})

const sum: Omit<KnownRun, 'files'> = {
  inputs: [f32('a', 1, 2, 3), f32('b', 0.5, -2, 1e6)],
  outputs: [f32('sum', 1.5, 0, 1_000_003)],
}
const otherSum: Omit<KnownRun, 'files'> = { inputs: [f32('a', 7), f32('b', 8)], outputs: [f32('sum', 15)] }

/** 16 MiB each way. */
const many = BigInt64Array.from({ length: 2 ** 21 }, (_, index) => BigInt(index) * 0x1_0000_0001n)
const manyTensor = (name: string): AcceleratorTensor => ({
  name,
  datatype: 'INT64',
  shape: [many.length],
  data: many,
})

export const onnxFixtures: Omit<AcceleratorFixtures, 'open'> = {
  small: { files: onnx('add', addModel()), ...sum },
  others: otherSum,
  large: {
    files: onnx('identity', identityModel('INT64')),
    inputs: [manyTensor('x')],
    outputs: [manyTensor('y')],
  },
  slow: {
    files: onnx('slow', slowModel()),
    inputs: [{ name: 'rounds', datatype: 'INT64', shape: [], data: BigInt64Array.of(100_000n) }, f32('x', 7)],
    outputs: [f32('y', 7)],
  },
  broken: onnx('broken', Uint8Array.of(1, 2, 3)),
}

export const textModel = onnx('text', identityModel('BYTES'))

const silent = () => {}
export const host: Host = {
  clock: realClock,
  log: { debug: silent, info: silent, warn: silent, error: silent },
  random: () => Math.random(),
}

/** Our own adapter: the engine as a server of the protocol. */
export const engineCommand: [string, ...string[]] = [
  process.execPath,
  fileURLToPath(new URL('../../runtime/inference/engine/main.ts', import.meta.url)),
  '--oip',
]
