/**
 * `nms`: of boxes [n,4] (left, top, right, bottom) with scores [n,classes] or [n], those that are the best of their place.
 * Class by class, best first; a box that shares more than `iou` with one that stays goes (ONNX operator NonMaxSuppression). What stays is
 * given best first, whatever its class.
 */
import type { StepOf } from '../../../wire/steps.ts'
import { type Content, describe, fault, floatsOf, lastAxes, type StepKind } from './step.ts'

interface Found {
  readonly box: number
  readonly score: number
  readonly class: number
}

export const nms: StepKind<StepOf<'nms'>, 'boxes' | 'scores', 'boxes' | 'scores' | 'classes'> = {
  takes: { boxes: ['FP32'], scores: ['FP32'] },
  prepare({ iou, score, max, from, out }) {
    return {
      types: {
        boxes: 'FP32',
        scores: 'FP32',
        ...(out.classes === undefined ? {} : { classes: 'INT32' as const }),
      },
      run(inputs) {
        const [rows = 0, four] = lastAxes(inputs.boxes, 2, 'a list of boxes')
        if (four !== 4) fault(`${describe(inputs.boxes)} is not a list of boxes; expected [n,4]`)
        const boxes = floatsOf(inputs.boxes)
        const scores = floatsOf(inputs.scores)
        const classes = classesOf(inputs.scores, rows)
        const found: Found[] = []
        for (let at = from; at < classes; at += 1)
          found.push(...bestOf(boxes, candidates(scores, rows, classes, at, score), iou, max))
        return tensorsOf(boxes, found.sort(byScore).slice(0, max))
      },
    }
  },
}

function classesOf(scores: Content, rows: number): number {
  const { shape } = scores
  const perRow = rows === 0 ? 0 : scores.data.length / rows
  const last = shape.at(-1) as number
  if (rows > 0 && last !== perRow && !(perRow === 1 && last === rows))
    fault(`${describe(scores)} has not the scores of ${rows} boxes`)
  return perRow
}

function candidates(scores: Float32Array, rows: number, classes: number, at: number, min: number): Found[] {
  const found: Found[] = []
  for (let box = 0; box < rows; box += 1) {
    const score = scores[box * classes + at] as number
    if (Number.isNaN(score)) fault(`score ${box * classes + at} is no number`)
    if (score > min) found.push({ box, score, class: at })
  }
  return found.sort(byScore)
}

function byScore(a: Found, b: Found): number {
  return b.score - a.score || a.box - b.box
}

function bestOf(boxes: Float32Array, sorted: readonly Found[], iou: number, max: number): Found[] {
  const kept: Found[] = []
  for (const one of sorted) {
    if (kept.length === max) break
    if (kept.every((other) => overlap(boxes, one.box * 4, other.box * 4) <= iou)) kept.push(one)
  }
  return kept
}

/** What two boxes share, of what they cover together. */
function overlap(boxes: Float32Array, a: number, b: number): number {
  const side = (axis: number) =>
    Math.min(boxes[a + 2 + axis] as number, boxes[b + 2 + axis] as number) -
    Math.max(boxes[a + axis] as number, boxes[b + axis] as number)
  const shared = Math.max(0, side(0)) * Math.max(0, side(1))
  return shared === 0 ? 0 : shared / (area(boxes, a) + area(boxes, b) - shared)
}

function area(boxes: Float32Array, at: number): number {
  const [left, top, right, bottom] = boxes.subarray(at, at + 4) as unknown as [number, number, number, number]
  return (right - left) * (bottom - top)
}

function tensorsOf(boxes: Float32Array, found: readonly Found[]) {
  const data = new Float32Array(found.length * 4)
  for (const [row, { box }] of found.entries()) data.set(boxes.subarray(box * 4, box * 4 + 4), row * 4)
  return {
    boxes: { datatype: 'FP32', shape: [found.length, 4], data },
    scores: { datatype: 'FP32', shape: [found.length], data: Float32Array.from(found, ({ score }) => score) },
    classes: { datatype: 'INT32', shape: [found.length], data: Int32Array.from(found, (one) => one.class) },
  } as const
}
