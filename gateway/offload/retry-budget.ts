/**
 * How many retries there may be: a token bucket that each request fills by a share and each retry empties by one (Google SRE
 * book, "Handling Overload": retries below 10 % of requests; Envoy's `retry_budget`). Where everything fails, retries add a
 * tenth to the load instead of multiplying it.
 */
export interface RetryBudgetOptions {
  /** Tokens that a request adds. */
  readonly share: number
  /** The most that are saved up; also what there is at the start, so that a quiet site may retry at all. */
  readonly burst: number
}

export const retryBudgetDefaults: RetryBudgetOptions = { share: 0.1, burst: 10 }

export class RetryBudget {
  readonly #options: RetryBudgetOptions
  #tokens: number

  constructor(options: RetryBudgetOptions = retryBudgetDefaults) {
    this.#options = options
    this.#tokens = options.burst
  }

  onRequest(): void {
    this.#tokens = Math.min(this.#options.burst, this.#tokens + this.#options.share)
  }

  /** True when a retry may be made; it is counted. */
  take(): boolean {
    // Ten requests are one retry, whatever floating point makes of ten tenths.
    if (this.#tokens < 1 - 1e-9) return false
    this.#tokens -= 1
    return true
  }
}
