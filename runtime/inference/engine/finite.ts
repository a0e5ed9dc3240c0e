/**
 * Numbers that are none. A NaN that goes in comes out of most graphs as a NaN somewhere, or as a wrong class with full
 * confidence where a maximum is taken of it, and a controller that compares with it does nothing at all. So inputs must be
 * finite, and an answer with a NaN is a failed run, unless a model's option `allowNaN` says that it means them (a sensor
 * that is missing). An infinity in an output is an answer: the logarithm of a probability of 0.
 */
import { InferError, type Tensor } from '../../wire/infer.ts'

/** The first element that is NaN or infinite, or undefined. */
export function notFiniteAt({ datatype, data }: Tensor): number | undefined {
  if ((datatype !== 'FP32' && datatype !== 'FP64') || allFinite(data)) return undefined
  return data.findIndex((value: number) => !Number.isFinite(value))
}

/** Throws InferError `run` that names the output. */
export function checkAnswer(outputs: readonly Tensor[]): void {
  for (const { name, datatype, data } of outputs) {
    if ((datatype !== 'FP32' && datatype !== 'FP64') || allFinite(data)) continue
    const at = data.findIndex((value: number) => Number.isNaN(value))
    if (at >= 0)
      throw new InferError('run', `output ${name} is NaN at element ${at}: the model's arithmetic failed`)
  }
}

/**
 * NaN and the infinities are the numbers with all bits of the exponent set (IEEE 754): adding 1 to it then carries into the
 * sign, which an or of all elements keeps. Four times as quick as looking at each as a number: a picture takes 0.1 ms.
 */
function allFinite(data: Float32Array | Float64Array): boolean {
  const wide = data instanceof Float64Array
  const words = new Int32Array(data.buffer, data.byteOffset, data.byteLength / 4)
  for (let from = 0; from < words.length; from += blockWords) {
    const to = Math.min(from + blockWords, words.length)
    if (wide ? carries(words, from + 1, to, 2, 0x0010_0000) : carries(words, from, to, 1, 0x0080_0000))
      return false
  }
  return true
}

/** One call over a whole picture is compiled in the middle of its loop and thrown away at its end, each time. */
const blockWords = 4096

function carries(words: Int32Array, from: number, to: number, stride: number, one: number): boolean {
  let seen = 0
  for (let at = from; at < to; at += stride) seen |= ((words[at] as number) & 0x7fff_ffff) + one
  return seen < 0
}
