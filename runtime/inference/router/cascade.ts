/**
 * A cascade: a small model answers where it is sure, the large one is asked where it is not. How sure a model is, is its
 * highest probability after temperature scaling (Guo et al., "On Calibration of Modern Neural Networks", 2017); temperature
 * and threshold are chosen on validation data (`calibration.ts`).
 */
import { type InferChunk, InferError, type Tensor } from '../../wire/infer.ts'

export interface CascadePlan {
  /** Name of the model that is asked when this one is not sure. It takes the same inputs and gives the same outputs. */
  readonly large: string
  /** Confidence from which on the small model's answer counts, 0 to 1. */
  readonly threshold: number
  /** Divides the logits; above 1 where the model is surer than it is right. */
  readonly temperature: number
  /** The output that has a score for each class: logits, or probabilities. */
  readonly output: string
}

/** The named output's numbers. Throws InferError `run` where there is no such output, or nothing to compare. */
export function answerOf({ outputs }: Pick<InferChunk, 'outputs'>, name: string): ArrayLike<number> {
  const output: Tensor | undefined = outputs.find((tensor) => tensor.name === name)
  if (!output || output.datatype === 'BYTES' || output.datatype === 'INT64' || output.data.length < 2)
    throw new InferError('run', `cascade: the answer has no output ${name} with a number for each class`)
  return output.data
}

/** Probability of the likeliest class, 0 to 1; 0 where a score is no number, so that the large model is asked. */
export function confidenceOf(scores: ArrayLike<number>, temperature: number): number {
  return Math.max(...probabilities(scores, temperature))
}

/** Softmax of logits / temperature. What is a distribution already is taken as one: its logarithms are its logits. */
export function probabilities(scores: ArrayLike<number>, temperature: number): number[] {
  const values = Array.from(scores)
  if (!values.every(Number.isFinite)) return values.map(() => 0)
  const logits = isDistribution(values) ? values.map((p) => Math.log(Math.max(p, 1e-12))) : values
  const scaled = logits.map((logit) => logit / temperature)
  const highest = Math.max(...scaled)
  const exps = scaled.map((one) => Math.exp(one - highest))
  const sum = exps.reduce((a, b) => a + b, 0)
  return exps.map((one) => one / sum)
}

function isDistribution(values: readonly number[]): boolean {
  if (!values.every((value) => value >= 0 && value <= 1)) return false
  return Math.abs(values.reduce((a, b) => a + b, 0) - 1) < 0.02
}
