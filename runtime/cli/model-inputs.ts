/** Pictures and sound as a model takes them: the datatype and the order of its input's dimensions say how. */
import { UsageError } from '../base/errors.ts'
import type { TensorSpec } from '../wire/engine-protocol.ts'
import type { Tensor } from '../wire/infer.ts'
import type { Picture } from './decode-file.ts'

/** What speech and keyword models hear. */
export const soundRateHz = 16_000

interface PictureLayout {
  readonly spec: TensorSpec
  /** `[h, w, 3]`, or behind a batch of one; `[3, h, w]` likewise. */
  readonly order: 'rows' | 'planes'
  readonly batched: boolean
  readonly size: { readonly width: number; readonly height: number } | undefined
}

/** The input that takes a picture. Throws UsageError. */
export function pictureInput(specs: readonly TensorSpec[]): PictureLayout {
  for (const spec of specs) {
    const { shape, datatype } = spec
    if (datatype !== 'UINT8' && datatype !== 'FP32') continue
    const batched = shape.length === 4
    const lengths = batched ? shape.slice(1) : shape
    if (lengths.length !== 3) continue
    const order = lengths[2] === 3 ? 'rows' : lengths[0] === 3 ? 'planes' : undefined
    if (!order) continue
    const [height, width] = order === 'rows' ? lengths : lengths.slice(1)
    const fixed = typeof height === 'number' && typeof width === 'number' && height > 0 && width > 0
    return { spec, order, batched, size: fixed ? { width, height } : undefined }
  }
  throw new UsageError(
    `the model takes no picture of three colours, but ${describe(specs)}: give it with --input`,
  )
}

/** FP32 is the share of full brightness, 0 to 1; what a model wants beyond that is for its manifest's steps. */
export function pictureTensor(
  { spec, order, batched }: PictureLayout,
  { width, height, rgb }: Picture,
): Tensor {
  const shape = [...(batched ? [1] : []), ...(order === 'rows' ? [height, width, 3] : [3, height, width])]
  const pixels = width * height
  const values = order === 'rows' ? rgb : new Uint8Array(rgb.length)
  if (order === 'planes')
    for (let pixel = 0; pixel < pixels; pixel += 1)
      for (let colour = 0; colour < 3; colour += 1)
        values[colour * pixels + pixel] = rgb[pixel * 3 + colour] as number
  if (spec.datatype === 'UINT8') return { name: spec.name, datatype: 'UINT8', shape, data: values }
  return { name: spec.name, datatype: 'FP32', shape, data: Float32Array.from(values, (value) => value / 255) }
}

/** Samples for the input that takes sound; of a fixed length: cut, or silence at the end. Throws UsageError. */
export function soundTensor(specs: readonly TensorSpec[], samples: Float32Array): Tensor {
  const spec = specs.find(
    ({ datatype, shape }) => datatype === 'FP32' && (shape.length === 1 || shape.length === 2),
  )
  if (!spec) throw new UsageError(`the model takes no sound, but ${describe(specs)}: give it with --input`)
  const length = spec.shape.at(-1)
  const data = typeof length === 'number' && length > 0 ? new Float32Array(length) : samples
  if (data !== samples) data.set(samples.subarray(0, data.length))
  return {
    name: spec.name,
    datatype: 'FP32',
    shape: spec.shape.length === 2 ? [1, data.length] : [data.length],
    data,
  }
}

function describe(specs: readonly TensorSpec[]): string {
  return (
    specs.map(({ name, datatype, shape }) => `${name} ${datatype} [${shape.join(', ')}]`).join(', ') ||
    'nothing that is known'
  )
}
