/**
 * `resize`: a picture [h,w,c] in another size. Pixels are squares whose centres lie at half numbers: output pixel i is taken
 * at (i + ½) × from / to − ½, clamped to the picture (ONNX operator Resize, `half_pixel`). `nearest` rounds halves down
 * (`round_prefer_floor`). `bilinear` weighs the two nearest of each axis; with `antialias` a triangle as wide as what one
 * output pixel covers (Resize-18, `antialias` = 1, `exclude_outside` = 1). UINT8 is rounded to the nearest.
 */
import type { StepOf } from '../../../wire/steps.ts'
import { type Buffers, type Picture, pictureOf, type StepKind } from './step.ts'

type Resize = StepOf<'resize'>

/** The whole new picture, and where in it the old one went. */
interface Place {
  readonly width: number
  readonly height: number
  readonly left: number
  readonly top: number
  readonly contentWidth: number
  readonly contentHeight: number
  readonly fill: number
}

export const resize: StepKind<Resize, 'in', 'image' | 'frame'> = {
  takes: { in: ['UINT8', 'FP32'] },
  prepare(step, types) {
    const datatype = types.in as 'UINT8' | 'FP32'
    const scale = step.method === 'nearest' ? nearest : bilinear(step.antialias)
    return {
      types: step.out.frame === undefined ? { image: datatype } : { image: datatype, frame: 'FP32' },
      run({ in: content }, buffers) {
        const picture = pictureOf(content)
        const place = placeOf(step, picture.width, picture.height)
        const data = buffers.take(datatype, place.width * place.height * picture.channels)
        if (place.contentWidth < place.width || place.contentHeight < place.height) data.fill(place.fill)
        scale(picture, data, place, buffers)
        const shape = [place.height, place.width, picture.channels]
        const image =
          datatype === 'UINT8'
            ? { datatype, shape, data: data as Uint8Array }
            : { datatype, shape, data: data as Float32Array }
        return { image, frame: { datatype: 'FP32', shape: [8], data: frameOf(picture, place) } }
      },
    }
  },
}

function placeOf(step: Resize, width: number, height: number): Place {
  if (step.fit === 'stretch') return whole(step.width, step.height)
  if (step.fit === 'letterbox') {
    const scale = Math.min(step.width / width, step.height / height)
    const contentWidth = clamp(Math.round(width * scale), 1, step.width)
    const contentHeight = clamp(Math.round(height * scale), 1, step.height)
    const left = Math.floor((step.width - contentWidth) / 2)
    const top = Math.floor((step.height - contentHeight) / 2)
    return { width: step.width, height: step.height, left, top, contentWidth, contentHeight, fill: step.fill }
  }
  if (step.fit === 'height') {
    const contentWidth = clamp(Math.ceil((width * step.height) / height), 1, step.widthMax)
    const padded = Math.max(contentWidth, step.widthMin)
    return { ...whole(padded, step.height), contentWidth, fill: step.fill }
  }
  const { sideMax, sideMin, multiple } = step
  const grown = Math.max(1, sideMin / Math.min(width, height))
  const scale = Math.min(grown, sideMax / Math.max(width, height))
  const multipleOf = (length: number) =>
    Math.max(multiple, Math.round((length * scale) / multiple) * multiple)
  return whole(multipleOf(width), multipleOf(height))
}

function whole(width: number, height: number): Place {
  return { width, height, left: 0, top: 0, contentWidth: width, contentHeight: height, fill: 0 }
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high)
}

/** Width and height before, after, then left, top, width and height of the old picture in the new one. */
function frameOf(picture: Picture, place: Place): Float32Array {
  const { width, height, left, top, contentWidth, contentHeight } = place
  return Float32Array.of(picture.width, picture.height, width, height, left, top, contentWidth, contentHeight)
}

type Target = Uint8Array | Float32Array

function nearest(picture: Picture, data: Target, place: Place): void {
  const { channels } = picture
  const columns = nearestOf(picture.width, place.contentWidth)
  const rows = nearestOf(picture.height, place.contentHeight)
  for (let y = 0; y < place.contentHeight; y += 1) {
    const from = (rows[y] as number) * picture.width
    let to = ((y + place.top) * place.width + place.left) * channels
    for (let x = 0; x < place.contentWidth; x += 1) {
      const pixel = (from + (columns[x] as number)) * channels
      for (let c = 0; c < channels; c += 1) {
        data[to] = picture.data[pixel + c] as number
        to += 1
      }
    }
  }
}

function nearestOf(from: number, to: number): Int32Array {
  return Int32Array.from({ length: to }, (_, i) => clamp(Math.ceil(((i + 0.5) * from) / to - 1), 0, from - 1))
}

/** Taps of each output place along one axis: `count` neighbours from `first`, with weights that sum to 1. */
interface Taps {
  readonly count: number
  readonly first: Int32Array
  readonly weights: Float32Array
}

const bilinear = (antialias: boolean) => (picture: Picture, data: Target, place: Place, buffers: Buffers) => {
  const { channels, width } = picture
  const columns = tapsOf(width, place.contentWidth, antialias, buffers)
  const rows = tapsOf(picture.height, place.contentHeight, antialias, buffers)
  const line = buffers.take('FP32', width * channels)
  const round = data instanceof Uint8Array ? 0.5 : 0
  for (let y = 0; y < place.contentHeight; y += 1) {
    blendRows(picture, rows, y, line)
    blendColumns(
      line,
      columns,
      channels,
      data,
      ((y + place.top) * place.width + place.left) * channels,
      round,
    )
  }
  buffers.give(line)
}

function blendRows(picture: Picture, rows: Taps, y: number, line: Float32Array): void {
  const length = line.length
  line.fill(0)
  for (let tap = 0; tap < rows.count; tap += 1) {
    const weight = rows.weights[y * rows.count + tap] as number
    if (weight === 0) continue
    const start = ((rows.first[y] as number) + tap) * length
    for (let at = 0; at < length; at += 1)
      line[at] = (line[at] as number) + weight * (picture.data[start + at] as number)
  }
}

function blendColumns(
  line: Float32Array,
  columns: Taps,
  channels: number,
  data: Target,
  start: number,
  round: number,
): void {
  const { count, first, weights } = columns
  let to = start
  for (let x = 0; x < first.length; x += 1) {
    const pixel = (first[x] as number) * channels
    for (let c = 0; c < channels; c += 1) {
      let sum = round
      for (let tap = 0; tap < count; tap += 1)
        sum += (weights[x * count + tap] as number) * (line[pixel + tap * channels + c] as number)
      data[to] = sum
      to += 1
    }
  }
}

function tapsOf(from: number, to: number, antialias: boolean, buffers: Buffers): Taps {
  const scale = from / to
  const reach = antialias ? Math.max(1, scale) : 1
  const count = Math.min(from, 2 * Math.ceil(reach) + (antialias ? 1 : 0))
  buffers.bound(to * count)
  const first = new Int32Array(to)
  const weights = new Float32Array(to * count)
  for (let i = 0; i < to; i += 1) {
    const unclamped = (i + 0.5) * scale - 0.5
    const centre = antialias ? unclamped : clamp(unclamped, 0, from - 1)
    const start = clamp(Math.ceil(centre - reach), 0, from - count)
    first[i] = start
    let sum = 0
    for (let tap = 0; tap < count; tap += 1)
      sum += weights[i * count + tap] = Math.max(0, 1 - Math.abs(start + tap - centre) / reach)
    for (let tap = 0; tap < count; tap += 1)
      weights[i * count + tap] = (weights[i * count + tap] as number) / sum
  }
  return { count, first, weights }
}
