/**
 * Vectors of texts, for search by meaning: made by the sentence model of this device where it has one, kept as 8-bit numbers (a
 * quarter of the room; the angle changes by well under a degree), compared one by one.
 */
import type { Inference } from '../../inference/inference.ts'

/** One vector a text. Throws where no model can be asked now. */
export type Embed = (texts: readonly string[], signal: AbortSignal) => Promise<readonly Float32Array[]>

const model = 'use-lite'
/** Loading it included. */
const embedMsMax = 10_000

/** By the model `use-lite`, on this device only: texts are remembered under `device` unless somebody said otherwise. */
export function embedWith(inference: Inference): Embed {
  return async (texts, signal) => {
    const request = {
      ...{ model, priority: 'background' as const, deadlineMs: embedMsMax, privacy: 'device' as const },
      inputs: [{ name: 'text', datatype: 'BYTES' as const, shape: [texts.length], data: [...texts] }],
    }
    for await (const { outputs } of inference.infer(request, signal)) {
      const found = outputs.find(({ datatype, shape }) => datatype === 'FP32' && shape[0] === texts.length)
      if (found?.datatype !== 'FP32') continue
      const length = found.data.length / texts.length
      return texts.map((_, row) => found.data.subarray(row * length, (row + 1) * length))
    }
    throw new Error(`${model} gave no vectors`)
  }
}

/** Largest component as ±127. */
export function quantized(vector: Float32Array): Int8Array {
  const most = vector.reduce((max, one) => Math.max(max, Math.abs(one)), 0)
  return Int8Array.from(vector, (one) => (most === 0 ? 0 : Math.round((one / most) * 127)))
}

/** Cosine of the angle between them; 0 for vectors of two lengths, which different models made. */
export function cosine(a: Int8Array, b: Int8Array): number {
  if (a.length !== b.length) return 0
  let dot = 0
  let aa = 0
  let bb = 0
  for (let at = 0; at < a.length; at += 1) {
    const x = a[at] ?? 0
    const y = b[at] ?? 0
    dot += x * y
    aa += x * x
    bb += y * y
  }
  return aa === 0 || bb === 0 ? 0 : dot / Math.sqrt(aa * bb)
}
