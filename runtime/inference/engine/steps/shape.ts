/** Steps that move elements or rename axes: `reshape`, `transpose`, `concat`, `slice`, `frames` (each after its ONNX operator or numpy). */
import type { StepOf } from '../../../wire/steps.ts'
import {
  around,
  axisOf,
  type Buffers,
  type Content,
  copy,
  describe,
  fault,
  moving,
  type Numbers,
  type Numeric,
  numbersOf,
  numeric,
  type StepKind,
} from './step.ts'

/** Same elements, another shape; one length may be -1: what is left. Shares the elements. */
export const reshape: StepKind<StepOf<'reshape'>, 'in', 'out'> = {
  prepare({ shape }, types) {
    if (shape.filter((length) => length === -1).length > 1) fault(`shape [${shape}] leaves two lengths open`)
    const known = shape.reduce((product, length) => (length === -1 ? product : product * length), 1)
    const open = shape.includes(-1)
    return {
      types: { out: types.in },
      run({ in: content }) {
        const length = content.data.length
        const rest = open ? (known === 0 ? 0 : length / known) : 1
        if (!Number.isInteger(rest) || known * rest !== length)
          fault(`${describe(content)} does not fit into [${shape}]`)
        return { out: { ...content, shape: shape.map((one) => (one === -1 ? rest : one)) } }
      },
    }
  },
}

/** Output axis i is input axis `order[i]`. */
export const transpose = moving<StepOf<'transpose'>>(({ order }) => {
  if ([...order].sort((a, b) => a - b).some((axis, at) => axis !== at))
    fault(`order [${order}] does not name each axis once`)
  return (content, take) => {
    if (content.shape.length !== order.length)
      fault(`${describe(content)} has ${content.shape.length} axes; expected ${order.length}`)
    const strides = stridesOf(content.shape)
    const shape = order.map((axis) => content.shape[axis] as number)
    const data = take(content.data.length)
    walk(
      numbersOf(content),
      data,
      shape,
      order.map((axis) => strides[axis] as number),
    )
    return { shape, data }
  }
})

/** Each element of the new shape, where one step along its axis i is `steps[i]` in the old one. */
function walk(from: Numbers, to: Numbers, shape: readonly number[], steps: readonly number[]): void {
  const place = new Int32Array(shape.length)
  let source = 0
  for (let at = 0; at < to.length; at += 1) {
    to[at] = from[source] as number
    for (let axis = shape.length - 1; axis >= 0; axis -= 1) {
      source += steps[axis] as number
      place[axis] = (place[axis] as number) + 1
      if ((place[axis] as number) < (shape[axis] as number)) break
      source -= (steps[axis] as number) * (shape[axis] as number)
      place[axis] = 0
    }
  }
}

function stridesOf(shape: readonly number[]): number[] {
  const strides = Array<number>(shape.length).fill(1)
  for (let axis = shape.length - 2; axis >= 0; axis -= 1)
    strides[axis] = (strides[axis + 1] as number) * (shape[axis + 1] as number)
  return strides
}

/** Tensors that differ in one axis only, one after the other along it. */
export const concat: StepKind<StepOf<'concat'>> = {
  takes: { '': numeric },
  prepare({ axis, in: names }, types) {
    const datatypes = new Set(Object.values(types))
    if (datatypes.size !== 1) fault(`it joins tensors of ${[...datatypes].join(' and ')}`)
    const datatype = types['0'] as Numeric
    return {
      types: { out: datatype },
      run(inputs, buffers) {
        return {
          out: joined(
            names.map((_, at) => inputs[at] as Content),
            axis,
            datatype,
            buffers,
          ),
        }
      },
    }
  },
}

/** Also what `join` does to a list. Throws StepFault for shapes that differ elsewhere. */
export function joined(
  parts: readonly Content[],
  axis: number,
  datatype: Numeric,
  buffers: Buffers,
): Content {
  const first = parts[0] as Content
  const at = axisOf(first, axis)
  for (const part of parts)
    if (
      part.shape.length !== first.shape.length ||
      part.shape.some((n, a) => a !== at && n !== first.shape[a])
    )
      fault(`${describe(part)} does not join ${describe(first)} along axis ${axis}`)
  const sizes = parts.map((part) => around(part, at))
  const total = sizes.reduce((sum, { length }) => sum + length, 0)
  const { outer, inner } = sizes[0] as { outer: number; inner: number }
  const data = buffers.take(datatype, outer * total * inner)
  let offset = 0
  for (const [index, part] of parts.entries()) {
    const block = (sizes[index]?.length ?? 0) * inner
    for (let o = 0; o < outer; o += 1)
      copy(numbersOf(part), o * block, (o + 1) * block, data, o * total * inner + offset)
    offset += block
  }
  const shape = first.shape.map((length, a) => (a === at ? total : length))
  return { datatype, shape, data } as Content
}

/** Places `from` up to, not including, `to` of one axis. */
export const slice = moving<StepOf<'slice'>>(({ axis, from, to }) => (content, take) => {
  const { outer, length, inner } = around(content, axis)
  const end = to ?? length
  if (from >= end || end > length)
    fault(`${describe(content)} has no places ${from} to ${end} on axis ${axis}`)
  const kept = (end - from) * inner
  const data = take(outer * kept)
  for (let o = 0; o < outer; o += 1) {
    const start = (o * length + from) * inner
    copy(numbersOf(content), start, start + kept, data, o * kept)
  }
  const at = axisOf(content, axis)
  return { shape: content.shape.map((one, a) => (a === at ? end - from : one)), data }
})

/** Windows of `count` rows of [n,b] after each other, each as one row: [windows, count × b]. */
export const frames = moving<StepOf<'frames'>>(({ count, stride }) => (content, take) => {
  const [rows = 0, width = 0] = content.shape
  if (content.shape.length !== 2 || rows < count) fault(`${describe(content)} has no window of ${count} rows`)
  const windows = 1 + Math.floor((rows - count) / stride)
  const size = count * width
  const data = take(windows * size)
  for (let window = 0; window < windows; window += 1) {
    const start = window * stride * width
    copy(numbersOf(content), start, start + size, data, window * size)
  }
  return { shape: [windows, size], data }
})
