/** `check`: passes a tensor on unless it has an element that is no number, infinite, or beyond `min` or `max`. */
import type { StepOf } from '../../../wire/steps.ts'
import { fault, numbersOf, numeric, type StepKind } from './step.ts'

export const check: StepKind<StepOf<'check'>, 'in', 'out'> = {
  takes: { in: numeric },
  prepare({ min = -Number.MAX_VALUE, max = Number.MAX_VALUE }, types) {
    return {
      types: { out: types.in },
      run({ in: content }) {
        const data = numbersOf(content)
        for (let at = 0; at < data.length; at += 1) {
          const value = data[at] as number
          if (!(value >= min && value <= max))
            fault(
              `element ${at} is ${value}; expected ${Number.isFinite(value) ? `${min} to ${max}` : 'a number'}`,
            )
        }
        return { out: content }
      },
    }
  },
}
