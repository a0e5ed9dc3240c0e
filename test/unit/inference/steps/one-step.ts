/** One step by itself, and one operator of ONNX Runtime by itself, to be compared. */
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node'
import { FreeBuffers, RequestBuffers } from '../../../../runtime/inference/engine/steps/buffers.ts'
import { kindOf } from '../../../../runtime/inference/engine/steps/index.ts'
import type { Content } from '../../../../runtime/inference/engine/steps/step.ts'
import type { Datatype } from '../../../../runtime/wire/infer.ts'
import { checkSteps, reads, writes } from '../../../../runtime/wire/steps.ts'
import { type Graph, onnxModel } from '../../../fixtures/onnx.ts'

export const f32 = (shape: readonly number[], data: ArrayLike<number>): Content => ({
  datatype: 'FP32',
  shape,
  data: Float32Array.from(data),
})
export const u8 = (shape: readonly number[], data: ArrayLike<number>): Content => ({
  datatype: 'UINT8',
  shape,
  data: Uint8Array.from(data),
})

/** What a step gives, by the names of its tensors; it is written as in a manifest, and checked as one. */
export function given(
  written: { readonly step: string; readonly [key: string]: unknown },
  inputs: Readonly<Record<string, Content>>,
  files: Readonly<Record<string, readonly string[]>> = {},
): Record<string, Content> {
  const lists = given.lists(written, inputs, files)
  return Object.fromEntries(Object.entries(lists).map(([name, items]) => [name, items[0] as Content]))
}

/** The same where a step gives lists. */
given.lists = (
  written: { readonly step: string; readonly [key: string]: unknown },
  inputs: Readonly<Record<string, Content>>,
  files: Readonly<Record<string, readonly string[]>> = {},
): Record<string, readonly Content[]> => {
  const names = Object.keys(inputs)
  const out = written['out'] as string | Record<string, string>
  const outputs = typeof out === 'string' ? [out] : Object.values(out)
  const checked = checkSteps([written], { inputs: names, outputs })
  if (!checked.ok) throw new Error(checked.reason)
  const [step] = checked.steps
  if (!step || step.step === 'run' || step.step === 'join') throw new Error('not a step of the library')
  const ports = Object.entries(reads(step))
  const types = Object.fromEntries(ports.map(([port, name]) => [port, inputs[name]?.datatype as Datatype]))
  const prepared = kindOf(step.step).prepare(step, types, (role) => files[role] ?? [])
  const contents = Object.fromEntries(ports.map(([port, name]) => [port, inputs[name] as Content]))
  const results = prepared.run(contents, new RequestBuffers(new FreeBuffers(2 ** 24)))
  return Object.fromEntries(
    Object.entries(writes(step)).map(([port, name]) => [name, [results[port] ?? []].flat() as Content[]]),
  )
}

const ortTypes = { FP32: 'float32', UINT8: 'uint8', INT8: 'int8', INT32: 'int32', INT64: 'int64' } as const

/** What ONNX Runtime makes of the same inputs with a graph. */
export async function ortAnswer(
  graph: Graph,
  inputs: Readonly<Record<string, Content>>,
  operatorSet = 17,
): Promise<readonly number[]> {
  const session = await InferenceSession.create(onnxModel(graph, operatorSet), { logSeverityLevel: 3 })
  const feeds = Object.fromEntries(
    Object.entries(inputs).map(([name, { datatype, shape, data }]) => [
      name,
      new OrtTensor(ortTypes[datatype as keyof typeof ortTypes] as 'float32', data as Float32Array, shape),
    ]),
  )
  const outputs = await session.run(feeds)
  const [first] = Object.values(outputs)
  await session.release()
  return Array.from(first?.data as ArrayLike<number | bigint>, Number)
}

export const numbers = (content: Content | undefined) => Array.from(content?.data as ArrayLike<number>)

/** Throws unless the numbers are as many and as near. */
export function expectNear(actual: readonly number[], expected: readonly number[], tolerance: number): void {
  if (actual.length !== expected.length)
    throw new Error(`${actual.length} numbers; expected ${expected.length}`)
  for (const [at, value] of actual.entries()) {
    const wanted = expected[at] as number
    if (!(Math.abs(value - wanted) <= tolerance))
      throw new Error(`element ${at} is ${value}; expected ${wanted}`)
  }
}
