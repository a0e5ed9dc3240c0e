/** `normalise`: (x × scale − mean) / deviation as FP32, with a mean and a deviation for all or for each channel. */
import type { StepOf } from '../../../wire/steps.ts'
import { around, describe, fault, numbersOf, numeric, type StepKind } from './step.ts'

export const normalise: StepKind<StepOf<'normalise'>, 'in', 'out'> = {
  takes: { in: numeric },
  prepare({ scale, mean, deviation, channels }) {
    const count = Math.max(mean.length, deviation.length)
    for (const [name, { length }] of Object.entries({ mean, deviation }))
      if (length !== 1 && length !== count) fault(`${name} has ${length} numbers; expected 1 or ${count}`)
    const of = (list: readonly number[], channel: number) => list[list.length === 1 ? 0 : channel] as number
    const factors = Float32Array.from({ length: count }, (_, c) => scale / of(deviation, c))
    const offsets = Float32Array.from({ length: count }, (_, c) => -of(mean, c) / of(deviation, c))
    return {
      types: { out: 'FP32' },
      run({ in: content }, buffers) {
        // One mean for all needs no axis of channels.
        const { outer, length, inner } =
          count === 1
            ? { outer: 1, length: 1, inner: content.data.length }
            : around(content, channels === 'last' ? -1 : -3)
        if (length !== count) fault(`${describe(content)} has ${length} channels; expected ${count}`)
        const from = numbersOf(content)
        const data = buffers.take('FP32', from.length)
        let at = 0
        for (let o = 0; o < outer; o += 1)
          for (let c = 0; c < length; c += 1) {
            const factor = factors[c] as number
            const offset = offsets[c] as number
            for (const end = at + inner; at < end; at += 1) data[at] = (from[at] as number) * factor + offset
          }
        return { out: { datatype: 'FP32', shape: content.shape, data } }
      },
    }
  },
}
