/**
 * Steps that choose: `argmax` (ONNX ArgMax, the first of equals, INT32, without the axis), `threshold` (BOOL, x ≥ min),
 * `top` (the best classes with their words), `filter` (rows of several tensors whose `by` is at least `min`).
 */
import type { Datatype } from '../../../wire/infer.ts'
import type { StepOf } from '../../../wire/steps.ts'
import {
  around,
  axisOf,
  type Content,
  describe,
  fault,
  floatsOf,
  lastAxes,
  numbersOf,
  numeric,
  type StepKind,
} from './step.ts'

export const argmax: StepKind<StepOf<'argmax'>, 'in', 'out'> = {
  takes: { in: numeric },
  prepare({ axis }) {
    return {
      types: { out: 'INT32' },
      run({ in: content }, buffers) {
        const { outer, length, inner } = around(content, axis)
        if (length === 0) fault(`${describe(content)} has nothing to choose from`)
        const from = numbersOf(content)
        const data = buffers.take('INT32', outer * inner)
        for (let o = 0; o < outer; o += 1)
          for (let n = 0; n < inner; n += 1) {
            const start = o * length * inner + n
            let best = 0
            for (let i = 1; i < length; i += 1)
              if ((from[start + i * inner] as number) > (from[start + best * inner] as number)) best = i
            data[o * inner + n] = best
          }
        const at = axisOf(content, axis)
        return { out: { datatype: 'INT32', shape: content.shape.filter((_, a) => a !== at), data } }
      },
    }
  },
}

export const threshold: StepKind<StepOf<'threshold'>, 'in', 'out'> = {
  takes: { in: numeric },
  prepare({ min }) {
    return {
      types: { out: 'BOOL' },
      run({ in: content }) {
        const data = Uint8Array.from(numbersOf(content), (value) => (value >= min ? 1 : 0))
        return { out: { datatype: 'BOOL', shape: content.shape, data } }
      },
    }
  },
}

export const top: StepKind<StepOf<'top'>, 'in', 'labels' | 'scores'> = {
  takes: { in: ['FP32'] },
  prepare({ count, labels: given }, _types, files) {
    const words = typeof given === 'string' ? files(given) : given
    return {
      types: { labels: 'BYTES', scores: 'FP32' },
      run({ in: content }) {
        const [classes = 0] = lastAxes(content, 1, 'a list of scores')
        if (classes !== words.length)
          fault(`${describe(content)} has ${classes} scores; there are ${words.length} labels`)
        const scores = floatsOf(content)
        if (scores.some(Number.isNaN)) fault('a score is no number')
        const best = Array.from(scores.keys())
          .sort((a, b) => (scores[b] as number) - (scores[a] as number) || a - b)
          .slice(0, count)
        return {
          labels: { datatype: 'BYTES', shape: [best.length], data: best.map((at) => words[at] as string) },
          scores: {
            datatype: 'FP32',
            shape: [best.length],
            data: Float32Array.from(best, (at) => scores[at] as number),
          },
        }
      },
    }
  },
}

export const filter: StepKind<StepOf<'filter'>> = {
  takes: { by: ['FP32'] },
  prepare(step, types) {
    const given = Object.keys(step.in)
    for (const port of Object.keys(step.out))
      if (!given.includes(port)) fault(`it gives ${port}, which it is not given`)
    const ports = Object.keys(step.out)
    return {
      types: Object.fromEntries(ports.map((port) => [port, types[port] as Datatype])),
      run(inputs) {
        const by = inputs['by'] as Content
        const kept = [...floatsOf(by).entries()].filter(([, value]) => value >= step.min).map(([row]) => row)
        return Object.fromEntries(ports.map((port) => [port, rowsOf(inputs[port] as Content, kept, by)]))
      },
    }
  },
}

function rowsOf(content: Content, kept: readonly number[], by: Content): Content {
  const [rows, ...rest] = content.shape
  if (rows !== by.data.length || by.shape.length !== 1)
    fault(`${describe(content)} has not a row for each of ${describe(by)}`)
  const width = rest.reduce((a, b) => a * b, 1)
  const data = content.data.slice(0, kept.length * width) as Float32Array
  const from = content.data as Float32Array
  for (const [to, row] of kept.entries())
    for (let at = 0; at < width; at += 1) data[to * width + at] = from[row * width + at] as number
  return { datatype: content.datatype, shape: [kept.length, ...rest], data } as unknown as Content
}
