/** `softmax` (ONNX Softmax-13, the largest subtracted first) and `sigmoid` (ONNX Sigmoid), FP32 in and out. */
import type { StepOf } from '../../../wire/steps.ts'
import { around, floatsOf, type StepKind } from './step.ts'

export const softmax: StepKind<StepOf<'softmax'>, 'in', 'out'> = {
  takes: { in: ['FP32'] },
  prepare({ axis }) {
    return {
      types: { out: 'FP32' },
      run({ in: content }, buffers) {
        const { outer, length, inner } = around(content, axis)
        const from = floatsOf(content)
        const data = buffers.take('FP32', from.length)
        for (let o = 0; o < outer; o += 1)
          for (let n = 0; n < inner; n += 1) softmaxAlong(from, data, o * length * inner + n, length, inner)
        return { out: { datatype: 'FP32', shape: content.shape, data } }
      },
    }
  },
}

function softmaxAlong(
  from: Float32Array,
  to: Float32Array,
  start: number,
  length: number,
  stride: number,
): void {
  const end = start + length * stride
  let largest = Number.NEGATIVE_INFINITY
  for (let at = start; at < end; at += stride) largest = Math.max(largest, from[at] as number)
  let sum = 0
  for (let at = start; at < end; at += stride) {
    const power = Math.exp((from[at] as number) - largest)
    to[at] = power
    sum += power
  }
  for (let at = start; at < end; at += stride) to[at] = (to[at] as number) / sum
}

export const sigmoid: StepKind<StepOf<'sigmoid'>, 'in', 'out'> = {
  takes: { in: ['FP32'] },
  prepare() {
    return {
      types: { out: 'FP32' },
      run({ in: content }, buffers) {
        const from = floatsOf(content)
        const data = buffers.take('FP32', from.length)
        for (let at = 0; at < data.length; at += 1) data[at] = 1 / (1 + Math.exp(-(from[at] as number)))
        return { out: { datatype: 'FP32', shape: content.shape, data } }
      },
    }
  },
}
