/**
 * `unmap`: boxes [n,4] or quads [n,4,2] from a resized picture back into the one it was made of, by the `frame` that `resize`
 * gave; in pixels, clipped to the picture. `units`: `pixels` or `shares` of the resized picture.
 */
import type { StepOf } from '../../../wire/steps.ts'
import { type Content, describe, fault, floatsOf, type StepKind } from './step.ts'

export const unmap: StepKind<StepOf<'unmap'>, 'boxes' | 'frame', 'out'> = {
  takes: { boxes: ['FP32'], frame: ['FP32'] },
  prepare({ units }) {
    return {
      types: { out: 'FP32' },
      run({ boxes, frame }, buffers) {
        if (boxes.data.length % 2 !== 0) fault(`${describe(boxes)} is no list of points`)
        const from = floatsOf(boxes)
        const { x, y, newWidth, newHeight } = frameOf(frame)
        const [scaleX, scaleY] = units === 'shares' ? [newWidth, newHeight] : [1, 1]
        const data = buffers.take('FP32', from.length)
        for (let at = 0; at < data.length; at += 2) {
          data[at] = x((from[at] as number) * scaleX)
          data[at + 1] = y((from[at + 1] as number) * scaleY)
        }
        return { out: { datatype: 'FP32', shape: boxes.shape, data } }
      },
    }
  },
}

function frameOf(frame: Content) {
  const data = floatsOf(frame)
  if (data.length !== 8) fault(`frame is ${describe(frame)}; expected the FP32 [8] that resize gives`)
  const [width, height, newWidth, newHeight, left, top, contentWidth, contentHeight] =
    data as unknown as Eight
  const clip = (value: number, length: number) => Math.min(Math.max(value, 0), length)
  return {
    newWidth,
    newHeight,
    x: (value: number) => clip(((value - left) * width) / contentWidth, width),
    y: (value: number) => clip(((value - top) * height) / contentHeight, height),
  }
}

type Eight = [number, number, number, number, number, number, number, number]
