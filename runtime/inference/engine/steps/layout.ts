/**
 * `layout`: a picture between rows of pixels [h,w,c] and planes of channels [c,h,w], `nchw` with a batch of one in front.
 * `channels` picks and orders them: [2, 1, 0] makes BGR of RGB.
 */
import type { StepOf } from '../../../wire/steps.ts'
import {
  type Content,
  describe,
  fault,
  lastAxes,
  type Numbers,
  type Numeric,
  numbersOf,
  numeric,
  type StepKind,
} from './step.ts'

export const layout: StepKind<StepOf<'layout'>, 'in', 'out'> = {
  takes: { in: numeric },
  prepare({ to, channels }, types) {
    const datatype = types.in as Numeric
    return {
      types: { out: datatype },
      run({ in: content }, buffers) {
        const size = sizeOf(content, to)
        const order = channels ?? Array.from({ length: size.channels }, (_, c) => c)
        for (const c of order) if (c >= size.channels) fault(`${describe(content)} has no channel ${c}`)
        const data = buffers.take(datatype, size.height * size.width * order.length)
        const move = to === 'hwc' ? fromPlanes : toPlanes
        move(numbersOf(content), data, size.height * size.width, size.channels, order)
        const plane = [size.height, size.width]
        const shape =
          to === 'hwc' ? [...plane, order.length] : [...(to === 'nchw' ? [1] : []), order.length, ...plane]
        return { out: { datatype, shape, data } as Content }
      },
    }
  },
}

function sizeOf(content: Content, to: 'hwc' | 'chw' | 'nchw') {
  const shape = lastAxes(
    content,
    3,
    to === 'hwc' ? 'a picture [channels,height,width]' : 'a picture [height,width,channels]',
  )
  const [a = 0, b = 0, c = 0] = shape
  return to === 'hwc' ? { channels: a, height: b, width: c } : { height: a, width: b, channels: c }
}

function toPlanes(
  from: Numbers,
  to: Numbers,
  pixels: number,
  channels: number,
  order: readonly number[],
): void {
  for (const [place, channel] of order.entries()) {
    let at = channel
    for (let pixel = place * pixels; pixel < (place + 1) * pixels; pixel += 1) {
      to[pixel] = from[at] as number
      at += channels
    }
  }
}

function fromPlanes(
  from: Numbers,
  to: Numbers,
  pixels: number,
  _channels: number,
  order: readonly number[],
): void {
  for (const [place, channel] of order.entries()) {
    let at = place
    for (let pixel = channel * pixels; pixel < (channel + 1) * pixels; pixel += 1) {
      to[at] = from[pixel] as number
      at += order.length
    }
  }
}
