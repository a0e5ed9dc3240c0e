/**
 * A circuit breaker (Nygard, "Release It!", 2nd ed. 2018, ch. 5): a backend that keeps failing is left alone for a while, so
 * that requests fail or go elsewhere at once, and it can recover. Pure: time comes from the clock.
 *
 * closed: everything passes; opens when at least `failuresMin` of the last `window` results are failures and they are
 * `failureShare` of them. open: nothing passes for `openMs`, twice as long after each failed trial, at most `openMsMax`.
 * half-open: one trial passes; it closes the circuit or opens it again.
 */
import type { Clock } from '../../runtime/base/clock.ts'

export interface CircuitOptions {
  readonly window: number
  readonly failuresMin: number
  readonly failureShare: number
  readonly openMs: number
  readonly openMsMax: number
}

export const circuitDefaults: CircuitOptions = {
  window: 20,
  failuresMin: 5,
  failureShare: 0.5,
  openMs: 5_000,
  openMsMax: 60_000,
}

export type CircuitState = 'closed' | 'open' | 'half-open'

/** One request that was let through. Exactly one of these is called; what comes after the first is ignored. */
export interface Pass {
  succeeded(): void
  failed(): void
  /** It says nothing of the backend: cancelled, or the caller's own mistake. */
  abandoned(): void
}

export class CircuitBreaker {
  readonly #clock: Clock
  readonly #options: CircuitOptions
  /** True for each failure. */
  #results: boolean[] = []
  #openUntilMs: number | undefined
  #openForMs: number
  #onTrial = false
  /** Results of requests from before the circuit changed say nothing of now. */
  #era = 0

  constructor(clock: Clock, options: CircuitOptions = circuitDefaults) {
    this.#clock = clock
    this.#options = options
    this.#openForMs = options.openMs
  }

  get state(): CircuitState {
    if (this.#openUntilMs === undefined) return 'closed'
    return this.#clock.monotonicMs() < this.#openUntilMs ? 'open' : 'half-open'
  }

  /** Until it may be tried again, milliseconds; 0 when something passes now. */
  get closedForMs(): number {
    if (this.#openUntilMs === undefined) return 0
    const leftMs = Math.max(0, this.#openUntilMs - this.#clock.monotonicMs())
    // A trial is under way: its outcome is not far.
    return this.#onTrial ? Math.max(leftMs, this.#options.openMs) : leftMs
  }

  /** Undefined: not now. */
  enter(): Pass | undefined {
    if (this.state === 'open' || this.#onTrial) return undefined
    const onTrial = this.state === 'half-open'
    this.#onTrial = onTrial
    const era = this.#era
    let told = false
    const tell = (then: () => void) => () => {
      if (told) return
      told = true
      if (era !== this.#era) return
      if (onTrial) this.#onTrial = false
      then()
    }
    return {
      succeeded: tell(() => (onTrial ? this.#close() : this.#record(false))),
      failed: tell(() => (onTrial ? this.#open(this.#openForMs * 2) : this.#record(true))),
      abandoned: tell(() => {}),
    }
  }

  #record(failure: boolean): void {
    const { window, failuresMin, failureShare, openMs } = this.#options
    this.#results = [...this.#results, failure].slice(-window)
    const failures = this.#results.filter(Boolean).length
    if (failures >= failuresMin && failures >= failureShare * this.#results.length) this.#open(openMs)
  }

  #open(forMs: number): void {
    this.#openForMs = Math.min(forMs, this.#options.openMsMax)
    this.#openUntilMs = this.#clock.monotonicMs() + this.#openForMs
    this.#change()
  }

  #close(): void {
    this.#openUntilMs = undefined
    this.#openForMs = this.#options.openMs
    this.#change()
  }

  #change(): void {
    this.#era += 1
    this.#results = []
    this.#onTrial = false
  }
}
