/**
 * `ctc`: text from scores [steps,classes]: the best class of each step, repeats once, blanks (class 0) left out (A. Graves
 * et al., "Connectionist Temporal Classification", 2006, section 3.2: best path decoding). `confidence` is the mean score of the steps
 * that gave a character; 0 where there is none.
 */
import type { StepOf } from '../../../wire/steps.ts'
import { describe, fault, floatsOf, lastAxes, type StepKind } from './step.ts'

export const ctc: StepKind<StepOf<'ctc'>, 'in', 'text' | 'confidence'> = {
  takes: { in: ['FP32'] },
  prepare({ dictionary, space }, _types, files) {
    const words = typeof dictionary === 'string' ? files(dictionary) : dictionary
    const characters = ['', ...words, ...(space ? [' '] : [])]
    return {
      types: { text: 'BYTES', confidence: 'FP32' },
      run({ in: content }) {
        const [steps = 0, classes = 0] = lastAxes(content, 2, 'a list of scores for each step')
        if (classes !== characters.length)
          fault(
            `${describe(content)} has ${classes} classes; the dictionary and the blank are ${characters.length}`,
          )
        const { text, confidence } = decode(floatsOf(content), steps, characters)
        return {
          text: { datatype: 'BYTES', shape: [1], data: [text] },
          confidence: { datatype: 'FP32', shape: [1], data: Float32Array.of(confidence) },
        }
      },
    }
  },
}

function decode(scores: Float32Array, steps: number, characters: readonly string[]) {
  let text = ''
  let sum = 0
  let count = 0
  let last = 0
  for (let step = 0; step < steps; step += 1) {
    const start = step * characters.length
    let best = 0
    for (let at = 1; at < characters.length; at += 1)
      if ((scores[start + at] as number) > (scores[start + best] as number)) best = at
    const score = scores[start + best] as number
    if (Number.isNaN(score)) fault(`score ${start + best} is no number`)
    if (best !== 0 && best !== last) {
      text += characters[best]
      sum += score
      count += 1
    }
    last = best
  }
  return { text, confidence: count === 0 ? 0 : sum / count }
}
