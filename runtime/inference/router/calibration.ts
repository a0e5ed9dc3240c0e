/**
 * Temperature and threshold of a cascade, from validation data: answers of the small model (and of the large one, where they
 * are known) with what would have been right. Pure numbers; `scripts/calibrate.ts` runs the models.
 */
import { probabilities } from './cascade.ts'

export interface Example {
  /** The small model's scores: logits, or probabilities. */
  readonly scores: ArrayLike<number>
  /** Index of the right class. */
  readonly label: number
  /** The large model's scores for the same input. */
  readonly large?: ArrayLike<number>
}

export interface Calibration {
  readonly examples: number
  readonly temperature: number
  /** Expected calibration error, 15 bins of equal width: before and after. 0 is perfect. */
  readonly eceBefore: number
  readonly eceAfter: number
  readonly smallAccuracy: number
  /** Absent where the large model's answers are not known. */
  readonly largeAccuracy?: number
}

export interface ThresholdChoice {
  /** Confidence from which on the small model's answer counts; above 1: never. */
  readonly threshold: number
  /** Share of examples that the small model answers. */
  readonly keptShare: number
  /** Right among those, and the bound under which it is not with the stated confidence. */
  readonly keptAccuracy: number
  readonly keptAccuracyBound: number
  /** Of the cascade as a whole; absent where the large model's answers are not known. */
  readonly accuracy?: number
}

const bins = 15
/** Fewer kept examples than this prove nothing about a rate of mistakes. */
const keptMin = 20

export function calibrate(examples: readonly Example[]): Calibration {
  if (examples.length === 0) throw new RangeError('calibration needs examples')
  const temperature = fitTemperature(examples)
  const large = examples.filter((one) => one.large !== undefined)
  return {
    examples: examples.length,
    temperature,
    eceBefore: expectedCalibrationError(examples, 1),
    eceAfter: expectedCalibrationError(examples, temperature),
    smallAccuracy: share(examples, (one) => best(one.scores) === one.label),
    ...(large.length === examples.length
      ? { largeAccuracy: share(large, (one) => best(one.large ?? []) === one.label) }
      : {}),
  }
}

/** The temperature with the least negative log likelihood, which has one minimum in it: golden section on its logarithm. */
export function fitTemperature(examples: readonly Example[]): number {
  const loss = (logT: number) => meanLoss(examples, Math.exp(logT))
  const ratio = (Math.sqrt(5) - 1) / 2
  let [from, to] = [Math.log(0.05), Math.log(20)]
  let [a, b] = [to - ratio * (to - from), from + ratio * (to - from)]
  let [lossA, lossB] = [loss(a), loss(b)]
  for (let step = 0; step < 60; step += 1) {
    if (lossA < lossB) {
      ;[to, b, lossB] = [b, a, lossA]
      a = to - ratio * (to - from)
      lossA = loss(a)
    } else {
      ;[from, a, lossA] = [a, b, lossB]
      b = from + ratio * (to - from)
      lossB = loss(b)
    }
  }
  return Math.exp((from + to) / 2)
}

/** Naeini et al., 2015: mean gap between how sure and how right, over bins of confidence. */
export function expectedCalibrationError(examples: readonly Example[], temperature: number): number {
  const seen = Array.from({ length: bins }, () => ({ count: 0, sure: 0, right: 0 }))
  for (const { scores, label } of examples) {
    const confidence = Math.max(...probabilities(scores, temperature))
    const bin = seen[Math.min(bins - 1, Math.floor(confidence * bins))]
    if (!bin) continue
    bin.count += 1
    bin.sure += confidence
    bin.right += best(scores) === label ? 1 : 0
  }
  return seen.reduce((sum, { sure, right }) => sum + Math.abs(sure - right), 0) / examples.length
}

/**
 * The lowest threshold at which what the small model keeps is right at `accuracy`, surely enough: the Wilson lower bound
 * (Wilson, 1927) at `confidence` is there. Many thresholds are looked at, so the bound is corrected for that (Bonferroni, over
 * a grid of 100). Above 1, so that everything goes to the large model, where no threshold will do.
 */
export function chooseThreshold(
  examples: readonly Example[],
  options: { readonly temperature: number; readonly accuracy: number; readonly confidence: number },
): ThresholdChoice {
  const { temperature, accuracy, confidence } = options
  const grid = 100
  const z = normalQuantile(1 - (1 - confidence) / grid)
  const rated = examples.map((one) => ({
    sure: Math.max(...probabilities(one.scores, temperature)),
    right: best(one.scores) === one.label,
    largeRight: one.large === undefined ? undefined : best(one.large) === one.label,
  }))
  for (let step = 0; step <= grid; step += 1) {
    const threshold = step / grid
    const kept = rated.filter(({ sure }) => sure >= threshold)
    const right = kept.filter((one) => one.right).length
    const bound = wilsonLower(right, kept.length, z)
    if (kept.length >= keptMin && bound >= accuracy) return told(threshold, rated, kept, right, bound)
  }
  return told(1.01, rated, [], 0, 0)
}

interface Rated {
  readonly sure: number
  readonly right: boolean
  readonly largeRight: boolean | undefined
}

function told(
  threshold: number,
  rated: readonly Rated[],
  kept: readonly Rated[],
  right: number,
  bound: number,
): ThresholdChoice {
  const known = rated.every(({ largeRight }) => largeRight !== undefined)
  return {
    threshold,
    keptShare: kept.length / Math.max(1, rated.length),
    keptAccuracy: kept.length === 0 ? 0 : right / kept.length,
    keptAccuracyBound: bound,
    ...(known
      ? { accuracy: share(rated, (one) => (one.sure >= threshold ? one.right : one.largeRight === true)) }
      : {}),
  }
}

/** Lower end of Wilson's score interval for `right` of `all`. */
export function wilsonLower(right: number, all: number, z: number): number {
  if (all === 0) return 0
  const p = right / all
  const middle = p + z ** 2 / (2 * all)
  const spread = z * Math.sqrt((p * (1 - p)) / all + z ** 2 / (4 * all ** 2))
  return Math.max(0, (middle - spread) / (1 + z ** 2 / all))
}

/** Quantile of the standard normal distribution (Abramowitz and Stegun 26.2.23, off by under 0.00045), for p from 0.5. */
export function normalQuantile(p: number): number {
  const t = Math.sqrt(-2 * Math.log(1 - p))
  const numerator = 2.515517 + 0.802853 * t + 0.010328 * t ** 2
  return t - numerator / (1 + 1.432788 * t + 0.189269 * t ** 2 + 0.001308 * t ** 3)
}

function meanLoss(examples: readonly Example[], temperature: number): number {
  const losses = examples.map(
    ({ scores, label }) => -Math.log(Math.max(1e-12, probabilities(scores, temperature)[label] ?? 0)),
  )
  return losses.reduce((a, b) => a + b, 0) / losses.length
}

function best(scores: ArrayLike<number>): number {
  let at = 0
  for (let index = 1; index < scores.length; index += 1)
    if ((scores[index] ?? 0) > (scores[at] ?? 0)) at = index
  return at
}

function share<T>(list: readonly T[], test: (one: T) => boolean): number {
  return list.filter(test).length / Math.max(1, list.length)
}
