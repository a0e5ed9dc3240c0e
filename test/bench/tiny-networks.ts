/** The four networks of MLPerf Tiny (Banbury et al., "MLPerf Tiny Benchmark", 2021), floats and int8, and an input for each. */
import type { Tensor } from '../../runtime/wire/infer.ts'

export interface TinyNetwork {
  readonly name: string
  /** In `runtime/inference/models/files`. */
  readonly file: string
  readonly input: string
  readonly output: string
  readonly bytes: boolean
  readonly shape: readonly number[]
}

const kinds = [
  { name: 'people', file: 'vww-96', input: 'image', output: 'probabilities', shape: [1, 96, 96, 3] },
  { name: 'images', file: 'resnet8', input: 'image', output: 'probabilities', shape: [1, 32, 32, 3] },
  { name: 'machine-sound', file: 'ad01', input: 'features', output: 'reconstruction', shape: [1, 640] },
  { name: 'keywords', file: 'kws', input: 'features', output: 'probabilities', shape: [1, 49, 10, 1] },
] as const

export const tinyNetworks: readonly TinyNetwork[] = kinds.flatMap(({ name, file, ...kind }) => [
  { ...kind, name: `${name}-fp32`, file: `${file}.onnx`, bytes: false },
  { ...kind, name: `${name}-int8`, file: `${file}-int8.onnx`, bytes: kind.input === 'image' },
])

export const fileOf = ({ file }: TinyNetwork): URL =>
  new URL(`../../runtime/inference/models/files/${file}`, import.meta.url)

/** The same each time: a slow wave with some roughness. */
export function inputOf({ input, bytes, shape }: TinyNetwork): Tensor {
  const length = shape.reduce((product, one) => product * one, 1)
  const wave = (at: number) => 0.5 + 0.4 * Math.sin(at / 40) + 0.1 * Math.sin(at * at)
  if (bytes)
    return {
      name: input,
      datatype: 'UINT8',
      shape,
      data: Uint8Array.from({ length }, (_, at) => Math.round(255 * wave(at))),
    }
  return { name: input, datatype: 'FP32', shape, data: Float32Array.from({ length }, (_, at) => wave(at)) }
}
