/**
 * `layout`: a picture between rows of pixels [h,w,c] and planes of channels [c,h,w], `nchw` with a batch of one in front.
 * `channels` picks and orders them: [2, 1, 0] makes BGR of RGB.
 */
import type { StepOf } from '../../../wire/steps.ts'
import { type Content, describe, fault, lastAxes, moving, type Numbers, numbersOf } from './step.ts'

export const layout = moving<StepOf<'layout'>>(({ to, channels }) => (content, take) => {
  const size = sizeOf(content, to)
  const order = channels ?? Array.from({ length: size.channels }, (_, c) => c)
  for (const c of order) if (c >= size.channels) fault(`${describe(content)} has no channel ${c}`)
  const pixels = size.height * size.width
  const data = take(pixels * order.length)
  const plane = [size.height, size.width]
  if (to === 'hwc') {
    fromPlanes(numbersOf(content), data, pixels, order)
    return { shape: [...plane, order.length], data }
  }
  toPlanes(numbersOf(content), data, pixels, size.channels, order)
  return { shape: [...(to === 'nchw' ? [1] : []), order.length, ...plane], data }
})

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

function fromPlanes(from: Numbers, to: Numbers, pixels: number, order: readonly number[]): void {
  for (const [place, channel] of order.entries()) {
    let at = place
    for (let pixel = channel * pixels; pixel < (channel + 1) * pixels; pixel += 1) {
      to[at] = from[pixel] as number
      at += order.length
    }
  }
}
