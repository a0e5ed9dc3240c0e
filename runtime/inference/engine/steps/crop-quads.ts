/**
 * `crop-quads`: the part of a picture inside each quad [n,4,2] (corners clockwise from the top left, pixels), set upright: a
 * list of pictures. Width and height are the longer of the quad's opposite sides. The projective map is the one from the
 * unit square to the quad (P. Heckbert, "Fundamentals of Texture Mapping", 1989, section 2.2.3), sampled bilinearly; beyond the
 * picture its edge goes on.
 */
import type { StepOf } from '../../../wire/steps.ts'
import {
  type Buffers,
  type Content,
  describe,
  fault,
  floatsOf,
  type Picture,
  pictureOf,
  type StepKind,
} from './step.ts'

type Datatype = 'UINT8' | 'FP32'

export const cropQuads: StepKind<StepOf<'crop-quads'>, 'image' | 'quads', 'out'> = {
  takes: { image: ['UINT8', 'FP32'], quads: ['FP32'] },
  prepare({ max, tall }, types) {
    const datatype = types.image as Datatype
    return {
      types: { out: datatype },
      lists: ['out'],
      run({ image, quads }, buffers) {
        const picture = pictureOf(image)
        const [count = 0] = quads.shape
        if (quads.data.length !== count * 8) fault(`${describe(quads)} is no list of quads; expected [n,4,2]`)
        if (count > max) fault(`there are ${count} quads; at most ${max}`)
        const cropped: Content[] = []
        let elements = 0
        for (let at = 0; at < count * 8; at += 8) {
          const upright = crop(picture, floatsOf(quads).subarray(at, at + 8), datatype, buffers)
          // Lines lie beside each other: together they are no more than the picture.
          elements += upright.data.length
          buffers.bound(elements)
          const turned = tall > 0 && (upright.shape[0] as number) >= tall * (upright.shape[1] as number)
          cropped.push(turned ? quarterLeft(upright, buffers) : upright)
        }
        return { out: cropped }
      },
    }
  },
}

function crop(picture: Picture, quad: Float32Array, datatype: Datatype, buffers: Buffers): Content {
  const side = (a: number, b: number) =>
    Math.hypot((quad[b] as number) - (quad[a] as number), (quad[b + 1] as number) - (quad[a + 1] as number))
  // A quad reaches no further than the picture, unless who made it erred.
  const length = (a: number, b: number) =>
    Math.round(Math.min(Math.max(a, b, 1), 2 * (picture.width + picture.height)))
  const width = length(side(0, 2), side(6, 4))
  const height = length(side(0, 6), side(2, 4))
  if (!quad.every(Number.isFinite)) fault('a corner of a quad is no number')
  const { channels } = picture
  const data = buffers.take(datatype, width * height * channels)
  const map = projection(quad)
  const round = datatype === 'UINT8' ? 0.5 : 0
  let to = 0
  for (let y = 0; y < height; y += 1)
    for (let x = 0; x < width; x += 1) {
      const u = (x + 0.5) / width
      const v = (y + 0.5) / height
      const w = map.g * u + map.h * v + 1
      sample(
        picture,
        (map.a * u + map.b * v + map.c) / w,
        (map.d * u + map.e * v + map.f) / w,
        round,
        data,
        to,
      )
      to += channels
    }
  return { datatype, shape: [height, width, channels], data } as Content
}

/** x = (a u + b v + c) / (g u + h v + 1), y = (d u + e v + f) / the same. */
function projection(quad: Float32Array) {
  const [x0, y0, x1, y1, x2, y2, x3, y3] = quad as unknown as Eight
  const [dx1, dx2, sx] = [x1 - x2, x3 - x2, x0 - x1 + x2 - x3]
  const [dy1, dy2, sy] = [y1 - y2, y3 - y2, y0 - y1 + y2 - y3]
  const area = dx1 * dy2 - dx2 * dy1
  const g = area === 0 ? 0 : (sx * dy2 - dx2 * sy) / area
  const h = area === 0 ? 0 : (dx1 * sy - sx * dy1) / area
  return {
    a: x1 - x0 + g * x1,
    b: x3 - x0 + h * x3,
    c: x0,
    d: y1 - y0 + g * y1,
    e: y3 - y0 + h * y3,
    f: y0,
    g,
    h,
  }
}

type Eight = [number, number, number, number, number, number, number, number]

/** One pixel at a place between pixels; a corner of the picture's first pixel is at 0, 0. */
function sample(
  picture: Picture,
  x: number,
  y: number,
  round: number,
  to: Uint8Array | Float32Array,
  at: number,
): void {
  const { width, height, channels, data } = picture
  const clampedX = Math.min(Math.max(x - 0.5, 0), width - 1)
  const clampedY = Math.min(Math.max(y - 0.5, 0), height - 1)
  const left = Math.floor(clampedX)
  const top = Math.floor(clampedY)
  const fx = clampedX - left
  const fy = clampedY - top
  const right = fx > 0 ? channels : 0
  const below = fy > 0 ? width * channels : 0
  let from = (top * width + left) * channels
  for (let c = 0; c < channels; c += 1) {
    const upper = (data[from] as number) * (1 - fx) + (data[from + right] as number) * fx
    const lower = (data[from + below] as number) * (1 - fx) + (data[from + below + right] as number) * fx
    to[at + c] = upper * (1 - fy) + lower * fy + round
    from += 1
  }
}

/** The picture turned a quarter to the left: what ran down now runs to the right. */
function quarterLeft(content: Content, buffers: Buffers): Content {
  const { width, height, channels, data: from } = pictureOf(content)
  const datatype = content.datatype as Datatype
  const data = buffers.take(datatype, from.length)
  let to = 0
  for (let x = width - 1; x >= 0; x -= 1)
    for (let y = 0; y < height; y += 1)
      for (let c = 0; c < channels; c += 1) {
        data[to] = from[(y * width + x) * channels + c] as number
        to += 1
      }
  buffers.give(from)
  return { datatype, shape: [width, height, channels], data } as Content
}
