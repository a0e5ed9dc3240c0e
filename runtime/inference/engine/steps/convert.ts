/**
 * Steps between datatypes. `cast`: the fraction is cut off (ONNX Cast), and what the new type cannot hold becomes its nearest
 * bound, where Cast leaves it undefined. `quantize` and `dequantize`: ONNX QuantizeLinear (halves to even, saturating) and
 * DequantizeLinear, one scale for the tensor.
 */
import type { StepOf } from '../../../wire/steps.ts'
import { type Content, fault, type Numeric, numbersOf, numeric, type StepKind } from './step.ts'

const bounds: { readonly [D in Numeric]?: readonly [number, number] } = {
  UINT8: [0, 255],
  INT8: [-128, 127],
  INT16: [-32_768, 32_767],
  INT32: [-(2 ** 31), 2 ** 31 - 1],
}

export const cast: StepKind<StepOf<'cast'>, 'in', 'out'> = {
  takes: { in: numeric },
  prepare({ to }) {
    const range = bounds[to]
    return {
      types: { out: to },
      run({ in: content }, buffers) {
        const from = numbersOf(content)
        const data = buffers.take(to, from.length)
        if (range === undefined) data.set(from as Float32Array)
        else {
          const [low, high] = range
          for (let at = 0; at < data.length; at += 1)
            data[at] = Math.min(Math.max(Math.trunc(from[at] as number), low), high)
        }
        return { out: { datatype: to, shape: content.shape, data } as Content }
      },
    }
  },
}

export const quantize: StepKind<StepOf<'quantize'>, 'in', 'out'> = {
  takes: { in: ['FP32'] },
  prepare({ to, scale, zeroPoint }) {
    const [low, high] = bounds[to] as readonly [number, number]
    if (zeroPoint < low || zeroPoint > high) fault(`zeroPoint ${zeroPoint} is no ${to}`)
    const single = Math.fround(scale)
    return {
      types: { out: to },
      run({ in: content }, buffers) {
        const from = numbersOf(content)
        const data = buffers.take(to, from.length)
        for (let at = 0; at < data.length; at += 1) {
          const rounded = roundEven(Math.fround((from[at] as number) / single))
          data[at] = Math.min(Math.max(rounded + zeroPoint, low), high)
        }
        return { out: { datatype: to, shape: content.shape, data } as Content }
      },
    }
  },
}

export const dequantize: StepKind<StepOf<'dequantize'>, 'in', 'out'> = {
  takes: { in: ['UINT8', 'INT8'] },
  prepare({ scale, zeroPoint }) {
    return {
      types: { out: 'FP32' },
      run({ in: content }, buffers) {
        const from = numbersOf(content)
        const data = buffers.take('FP32', from.length)
        for (let at = 0; at < data.length; at += 1) data[at] = ((from[at] as number) - zeroPoint) * scale
        return { out: { datatype: 'FP32', shape: content.shape, data } }
      },
    }
  },
}

/** Halves to the even neighbour (IEEE 754 roundTiesToEven). */
function roundEven(value: number): number {
  const rounded = Math.round(value)
  return rounded - value === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded
}
