/**
 * How long a model of this home ran for an agent, without what it waited for others: what its account and its quota are charged. Of a
 * run that came to no end nobody says it: it counts as long as it was under way, and no longer than the last one of that model took.
 */
import type { InferChunk, InferErrorCode } from '../../wire/infer.ts'

const modelsMax = 64
/** Others say that it never began. */
const mayHaveRun: readonly (InferErrorCode | undefined)[] = [
  'deadline',
  'cancelled',
  'run',
  'engine-lost',
  'engine-stopped',
]

export class EngineTimes {
  /** Milliseconds of the last run, by model. */
  readonly #last = new Map<string, number>()

  /** `tookMs`: from asking to the answer; where nobody says how long it ran. */
  answered(model: string, { modelMs, served, cached }: InferChunk, tookMs: number): number {
    if (cached || served?.cached) return 0
    const ranMs = modelMs ?? served?.runMs ?? tookMs
    this.#last.delete(model)
    this.#last.set(model, ranMs)
    const [oldest] = this.#last.keys()
    if (this.#last.size > modelsMax && oldest !== undefined) this.#last.delete(oldest)
    return ranMs
  }

  /** `code`: of what it failed with; `cancelled` where it was given up. */
  lost(model: string, code: InferErrorCode | undefined, tookMs: number): number {
    return mayHaveRun.includes(code) ? Math.min(tookMs, this.#last.get(model) ?? tookMs) : 0
  }
}
