/**
 * A budget that fills again by itself: at most `max` at once, and `max` more in each `perMs`; so in any `perMs` at most twice
 * `max`. What was used beyond it is a debt that is paid first.
 */
export interface BucketOptions {
  readonly max: number
  readonly perMs: number
}

export class Bucket {
  readonly options: BucketOptions
  #left: number
  #atMs: number

  constructor(options: BucketOptions, nowMs: number, left = options.max) {
    this.options = options
    this.#left = Math.min(left, options.max)
    this.#atMs = nowMs
  }

  /** Negative while there is a debt. A clock that was set back fills nothing, and empties nothing. */
  left(nowMs: number): number {
    const { max, perMs } = this.options
    this.#left = Math.min(max, this.#left + (Math.max(0, nowMs - this.#atMs) * max) / perMs)
    this.#atMs = nowMs
    return this.#left
  }

  take(amount: number, nowMs: number): void {
    this.#left = Math.min(this.options.max, this.left(nowMs) - amount)
  }

  /** Until so much is there, milliseconds; 0 when it is. Never for more than `max`. */
  waitMs(amount: number, nowMs: number): number {
    const missing = Math.min(amount, this.options.max) - this.left(nowMs)
    return missing <= tolerance ? 0 : (missing * this.options.perMs) / this.options.max
  }
}

/** What sums of fractions may be off by. */
const tolerance = 1e-9
