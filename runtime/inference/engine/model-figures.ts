/** What became of one model's requests: counts, and how long they ran. */
import type { EngineModelFigures } from '../../wire/engine-protocol.ts'

/** The last runs, all kept: quantiles are values that were measured (nearest rank), and follow a board that heats up. */
const samplesMax = 256
/** Fewer say little about how quick a run can be. */
const samplesForBest = 32

export class ModelFigures {
  loads = 0
  evictions = 0
  queued = 0
  running = 0
  answered = 0
  expired = 0
  refused = 0
  batches = 0
  batchedRows = 0
  /** Of the last run; 0 while nothing ran. */
  lastMs = 0
  readonly #runMs: number[] = []
  #next = 0
  /** In order; until the next run. */
  #sorted: readonly number[] | undefined

  ran(ms: number): void {
    this.lastMs = ms
    this.#runMs[this.#next] = ms
    this.#next = (this.#next + 1) % samplesMax
    this.#sorted = undefined
  }

  /** The quickest of the last runs; undefined while there are few. */
  get bestMs(): number | undefined {
    return this.#runMs.length < samplesForBest ? undefined : Math.min(...this.#runMs)
  }

  /** 0 while nothing ran. */
  quantileMs(share: number): number {
    this.#sorted ??= this.#runMs.toSorted((a, b) => a - b)
    const sorted = this.#sorted
    return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0
  }

  status(memory: Pick<EngineModelFigures, 'memoryMb' | 'measured' | 'pinned'>): EngineModelFigures {
    const { loads, evictions, queued, running, answered, expired, refused, batches, batchedRows } = this
    const runMs = { samples: this.#runMs.length, p50: this.quantileMs(0.5), p95: this.quantileMs(0.95) }
    const counts = { loads, evictions, queued, running, answered, expired, refused, batches, batchedRows }
    return { ...memory, ...counts, runMs }
  }
}
