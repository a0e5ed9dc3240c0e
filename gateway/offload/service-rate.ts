/**
 * How fast a model answers at the gateway, measured: time per answer while it is busy, from which waits are estimated, and
 * quantiles of the time in the model, for adverts.
 */
import type { Clock } from '../../runtime/base/clock.ts'

/** Enough for a p95 that means something; a minute or two of a busy model. */
const timesMax = 256
/** What is older says nothing of now. */
const timesMs = 5 * 60_000
/** Answers over which the rate is measured. */
const answersMax = 64

export class ServiceRate {
  readonly #clock: Clock
  #running = 0
  /** Milliseconds with something running, until the last change. */
  #busyMs = 0
  #sinceMs: number
  /** Busy time at each of the last answers. */
  #answers: number[] = []
  #firstBusyMs = 0
  #times: { readonly atMs: number; readonly ms: number }[] = []

  constructor(clock: Clock) {
    this.#clock = clock
    this.#sinceMs = clock.monotonicMs()
  }

  get running(): number {
    return this.#running
  }

  onStart(): void {
    this.#pass()
    this.#running += 1
  }

  /** `modelMs`: time in the model, of an answer; undefined when there was none. */
  onEnd(modelMs: number | undefined): void {
    this.#pass()
    this.#running -= 1
    if (modelMs === undefined) return
    this.#answers.push(this.#busyMs)
    if (this.#answers.length > answersMax) this.#firstBusyMs = this.#answers.shift() as number
    this.#times.push({ atMs: this.#clock.monotonicMs(), ms: modelMs })
    if (this.#times.length > timesMax) this.#times.shift()
  }

  /** Busy milliseconds per answer, over the last ones; undefined before the first. */
  get msPerAnswer(): number | undefined {
    const last = this.#answers.at(-1)
    return last === undefined ? undefined : (last - this.#firstBusyMs) / this.#answers.length
  }

  /** Nearest-rank quantile of the time in the model, of the last minutes. */
  quantile(share: number): number | undefined {
    const sinceMs = this.#clock.monotonicMs() - timesMs
    const recent = this.#times.filter(({ atMs }) => atMs >= sinceMs).map(({ ms }) => ms)
    recent.sort((a, b) => a - b)
    return recent[Math.max(0, Math.ceil(share * recent.length) - 1)]
  }

  #pass(): void {
    const nowMs = this.#clock.monotonicMs()
    if (this.#running > 0) this.#busyMs += nowMs - this.#sinceMs
    this.#sinceMs = nowMs
  }
}
