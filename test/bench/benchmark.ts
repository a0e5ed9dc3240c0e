/** What a benchmark is, and what it gives. Speed is never a failure here; not being able to measure is. */

export interface Measurement {
  /** `<family>.<what>`; stable, since results are compared over time by it. */
  readonly name: string
  readonly value: number
  readonly unit: string
  /** The same by `against`, measured in the same run, or a promise where `against` says so. In the same unit. */
  readonly baseline: number
  readonly against: string
  readonly budget?: Budget
  /** What limits the value. */
  readonly limit: string
  /** What a reader has to know, with the parts of the value. */
  readonly note?: string
}

/** What the project promises of the value, or of value / baseline. */
export interface Budget {
  readonly of: 'value' | 'ratio'
  readonly max?: number
  readonly min?: number
}

export interface BenchmarkContext {
  readonly quick: boolean
  readonly signal: AbortSignal
  /** One line for a person who waits. */
  readonly progress: (line: string) => void
}

export interface Benchmark {
  /** What `--only` takes; the measurements' names start with it. */
  readonly name: string
  /** Throws when it cannot be measured; the message says why. */
  run(context: BenchmarkContext): Promise<readonly Measurement[]>
}

export interface Result extends Measurement {
  readonly ratio: number
  readonly met: boolean | undefined
}

/** Throws where there is nothing to compare with. */
export function judge(measurement: Measurement): Result {
  const { name, value, baseline, budget } = measurement
  if (!Number.isFinite(value)) throw new Error(`${name}: ${value} is no measured value`)
  if (!(Number.isFinite(baseline) && baseline > 0)) throw new Error(`${name}: ${baseline} is no baseline`)
  const ratio = value / baseline
  if (!budget) return { ...measurement, ratio, met: undefined }
  const judged = budget.of === 'ratio' ? ratio : value
  return {
    ...measurement,
    ratio,
    met: judged <= (budget.max ?? Infinity) && judged >= (budget.min ?? -Infinity),
  }
}
