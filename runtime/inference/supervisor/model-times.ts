/** How long a model takes: quantiles over its last requests, not means. Bounded. */

/** Enough for a p95 that one outlier does not make; old enough to forget a cold start. */
const samplesMax = 128

export interface Quantiles {
  readonly samples: number
  readonly p50: number
  readonly p95: number
}

export class ModelTimes {
  readonly #ms: number[] = []
  #next = 0
  #quantiles: Quantiles | undefined

  add(ms: number): void {
    this.#ms[this.#next] = ms
    this.#next = (this.#next + 1) % samplesMax
    this.#quantiles = undefined
  }

  /** Nearest rank; undefined before the first sample. */
  quantiles(): Quantiles | undefined {
    if (this.#ms.length === 0) return undefined
    if (!this.#quantiles) {
      const sorted = Float64Array.from(this.#ms).sort()
      const at = (share: number) => sorted[Math.ceil(share * sorted.length) - 1] ?? 0
      this.#quantiles = { samples: sorted.length, p50: at(0.5), p95: at(0.95) }
    }
    return this.#quantiles
  }
}
