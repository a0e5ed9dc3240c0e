/**
 * `priors`: offsets [n,4] of a single-shot detector to boxes [n,4] (left, top, right, bottom) as shares of the picture. Each
 * cell of each stride has squares of the sizes given for it, centred in it and clipped to the picture; an offset moves a
 * square's centre by centreVariance × offset × its side, and scales its sides by exp(sizeVariance × offset). W. Liu et al.,
 * "SSD: Single Shot MultiBox Detector", 2016, section 2.2; order of the squares as in Ultra-Light-Fast-Generic-Face-Detector
 * (Linzaer, `generate_priors`, `convert_locations_to_boxes`).
 */
import type { StepOf } from '../../../wire/steps.ts'
import { fault, floatsOf, lastAxes, type StepKind } from './step.ts'

type Priors = StepOf<'priors'>

/** Ten times what the largest detectors have. */
const boxesMax = 2 ** 20

export const priors: StepKind<Priors, 'in', 'out'> = {
  takes: { in: ['FP32'] },
  prepare(step) {
    const squares = squaresOf(step)
    const count = squares.length / 4
    return {
      types: { out: 'FP32' },
      run({ in: content }, buffers) {
        const [rows, four] = lastAxes(content, 2, 'a list of offsets')
        if (rows !== count || four !== 4)
          fault(`it has ${rows} rows of ${four} offsets; expected ${count} of 4`)
        const offsets = floatsOf(content)
        const data = buffers.take('FP32', offsets.length)
        for (let at = 0; at < data.length; at += 4) decode(squares, offsets, data, at, step)
        return { out: { datatype: 'FP32', shape: [count, 4], data } }
      },
    }
  },
}

/** Centre x, centre y, width, height of every square, as shares. */
function squaresOf({ width, height, strides, sizes }: Priors): Float32Array {
  if (strides.length !== sizes.length) fault(`${strides.length} strides have ${sizes.length} lists of sizes`)
  const grid = (stride: number) => [Math.ceil(width / stride), Math.ceil(height / stride)] as const
  const count = strides.reduce((sum, stride, at) => {
    const [columns, rows] = grid(stride)
    return sum + columns * rows * (sizes[at]?.length ?? 0)
  }, 0)
  if (count > boxesMax) fault(`there are ${count} boxes; at most ${boxesMax}`)
  const squares: number[] = []
  for (const [at, stride] of strides.entries()) {
    const [columns, rows] = grid(stride)
    for (let row = 0; row < rows; row += 1)
      for (let column = 0; column < columns; column += 1)
        for (const size of sizes[at] ?? []) {
          const centre = [((column + 0.5) * stride) / width, ((row + 0.5) * stride) / height]
          squares.push(
            ...[...centre, size / width, size / height].map((share) => Math.min(Math.max(share, 0), 1)),
          )
        }
  }
  return Float32Array.from(squares)
}

function decode(
  squares: Float32Array,
  offsets: Float32Array,
  boxes: Float32Array,
  at: number,
  step: Priors,
): void {
  for (let axis = 0; axis < 2; axis += 1) {
    const side = squares[at + 2 + axis] as number
    const centre =
      (squares[at + axis] as number) + (offsets[at + axis] as number) * step.centreVariance * side
    const half = (side * Math.exp((offsets[at + 2 + axis] as number) * step.sizeVariance)) / 2
    boxes[at + axis] = centre - half
    boxes[at + 2 + axis] = centre + half
  }
}
