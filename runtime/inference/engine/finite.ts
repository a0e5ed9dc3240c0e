/**
 * Numbers that are none. A NaN that goes in comes out of most graphs as a NaN somewhere, or as a wrong class with full
 * confidence where a maximum is taken of it, and a controller that compares with it does nothing at all. So inputs must be
 * finite, and an answer with a NaN is a failed run, unless a model's option `allowNaN` says that it means them (a sensor
 * that is missing). An infinity in an output is an answer: the logarithm of a probability of 0.
 */
import { InferError, type Tensor } from '../../wire/infer.ts'

/** The first element that is NaN or infinite, or undefined. */
export function notFiniteAt({ datatype, data }: Tensor): number | undefined {
  if (datatype !== 'FP32' && datatype !== 'FP64') return undefined
  return allFinite(data) ? undefined : data.findIndex((value: number) => !Number.isFinite(value))
}

/** Throws InferError `run` that names the output. */
export function checkAnswer(outputs: readonly Tensor[]): void {
  for (const { name, datatype, data } of outputs) {
    if (datatype !== 'FP32' && datatype !== 'FP64') continue
    const at = nanAt(data)
    if (at !== undefined)
      throw new InferError('run', `output ${name} is NaN at element ${at}: the model's arithmetic failed`)
  }
}

/** Every finite number times 0 is 0, every other is NaN. Four sums, since each addition waits for the last of its own. */
function allFinite(data: Float32Array | Float64Array): boolean {
  let [a, b, c, d] = [0, 0, 0, 0]
  const { length } = data
  let at = 0
  for (; at + 3 < length; at += 4) {
    a += (data[at] as number) * 0
    b += (data[at + 1] as number) * 0
    c += (data[at + 2] as number) * 0
    d += (data[at + 3] as number) * 0
  }
  for (; at < length; at += 1) a += (data[at] as number) * 0
  return a + b + c + d === 0
}

function nanAt(data: Float32Array | Float64Array): number | undefined {
  for (let at = 0; at < data.length; at += 1) if (Number.isNaN(data[at])) return at
  return undefined
}
