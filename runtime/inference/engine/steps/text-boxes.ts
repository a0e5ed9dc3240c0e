/**
 * `text-boxes`: where the text is, from a map [h,w] of how likely each pixel belongs to the shrunk core of a line of text
 * (M. Liao et al., "Real-time Scene Text Detection with Differentiable Binarization", 2020, section 3.5; parameters named as
 * PaddleOCR's DBPostProcess). The map is cut at `threshold`; each connected part gives the smallest rectangle around it;
 * parts with a mean below `score` go; the rectangles of the others grow by area × `unclip` / circumference on each side, which is what
 * shrinking took. Gives `quads` FP32 [n,4,2] in pixels of the map (its corner is 0, 0), corners clockwise from the top left, in reading order.
 */
import type { StepOf } from '../../../wire/steps.ts'
import { componentsOf, type Part, rowEnds } from './components.ts'
import { corners, grown, type Point, type RotatedBox, smallestBox } from './rotated-box.ts'
import { floatsOf, lastAxes, type StepKind } from './step.ts'

type TextBoxes = StepOf<'text-boxes'>
interface Line {
  readonly quad: readonly [Point, Point, Point, Point]
  readonly score: number
}

/** Parts looked at: specks of a noisy picture come by the thousand. */
const partsMax = 4000

export const textBoxes: StepKind<TextBoxes, 'in', 'quads' | 'scores'> = {
  takes: { in: ['FP32'] },
  prepare(step) {
    return {
      types: step.out.scores === undefined ? { quads: 'FP32' } : { quads: 'FP32', scores: 'FP32' },
      run({ in: content }, buffers) {
        const [, width = 0] = lastAxes(content, 2, 'a map')
        const map = floatsOf(content)
        const bits = buffers.take('UINT8', map.length)
        for (let at = 0; at < map.length; at += 1) bits[at] = (map[at] as number) > step.threshold ? 1 : 0
        const lines: Line[] = []
        for (const part of componentsOf(bits, width, partsMax)) {
          const line = lineOf(part, map, width, step)
          if (line) lines.push(line)
        }
        buffers.give(bits)
        const best = lines.sort((a, b) => b.score - a.score).slice(0, step.max)
        return tensorsOf(readingOrder(best))
      },
    }
  },
}

function lineOf(part: Part, map: Float32Array, width: number, step: TextBoxes): Line | undefined {
  const box = smallestBox(rowEnds(part, width))
  if (shortSide(box) < step.sideMin) return undefined
  const score = meanOf(part, map)
  if (!(score >= step.score)) return undefined
  const [a, b] = [2 * box.halfLength, 2 * box.halfWidth]
  const whole = grown(box, (a * b * step.unclip) / (2 * (a + b)))
  return shortSide(whole) < step.sideMin + 2 ? undefined : { quad: corners(whole), score }
}

function shortSide(box: RotatedBox): number {
  return 2 * Math.min(box.halfLength, box.halfWidth)
}

/** Of the part itself, not of its rectangle: a line that bends fills little of that. */
function meanOf(part: Part, map: Float32Array): number {
  let sum = 0
  for (const at of part) sum += map[at] as number
  return sum / part.length
}

/** Lines from top to bottom; those that stand beside each other, by half of the lower one's height, from left to right. */
function readingOrder(lines: readonly Line[]): Line[] {
  const rest = [...lines].sort((a, b) => middle(a)[1] - middle(b)[1])
  const ordered: Line[] = []
  while (rest.length > 0) {
    const first = rest[0] as Line
    const row = rest.filter(
      (line) => middle(line)[1] - middle(first)[1] < Math.min(tall(line), tall(first)) / 2,
    )
    ordered.push(...row.sort((a, b) => middle(a)[0] - middle(b)[0]))
    for (const line of row) rest.splice(rest.indexOf(line), 1)
  }
  return ordered
}

function middle({ quad }: Line): Point {
  return [(quad[0][0] + quad[2][0]) / 2, (quad[0][1] + quad[2][1]) / 2]
}

function tall({ quad }: Line): number {
  return Math.hypot(quad[3][0] - quad[0][0], quad[3][1] - quad[0][1])
}

function tensorsOf(lines: readonly Line[]) {
  return {
    quads: {
      datatype: 'FP32',
      shape: [lines.length, 4, 2],
      // Pixel i reaches from i to i + 1; its centre counted as i until here.
      data: Float32Array.from(lines.flatMap(({ quad }) => quad.flat().map((place) => place + 0.5))),
    },
    scores: { datatype: 'FP32', shape: [lines.length], data: Float32Array.from(lines, ({ score }) => score) },
  } as const
}
