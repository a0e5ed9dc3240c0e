/**
 * When a device says again what it said of one decision: messages are lost. Who opened it says its words until it has ended, and
 * less and less often afterwards; all others when somebody asks who lacks them. Nobody asks as long as new words come in, another asks
 * for the same, as all hear the answer, or this device is so busy that they may lie in its queue.
 *
 * Invariants: [decide-17] what was lost is said again when it is asked for, and however often that is, not more than once in `everyMs`.
 */

/** New words put it off, not for longer than so many times. */
const putOffMax = 4
/** Whoever looks later than this share of the time between two has been busy. */
const lateShare = 0.2

export class Again {
  readonly #everyMs: number
  #nextMs: number
  #lastMs: number
  #answeredMs = Number.NEGATIVE_INFINITY

  /** `share`: at random, so that not all devices ask at once. */
  constructor(everyMs: number, nowMs: number, share: number) {
    this.#everyMs = everyMs
    this.#nextMs = everyMs * (1 + share / 2)
    this.#lastMs = nowMs
    this.atMs = nowMs + this.#nextMs
  }

  /** When it is time. */
  atMs: number

  /** A word came that was new, or that another asks for what this device lacks too. */
  heard(nowMs: number): void {
    this.atMs = Math.min(nowMs + this.#nextMs, this.#lastMs + putOffMax * this.#nextMs)
  }

  /** Whether it is time now; `ended`: the next time is twice as far. */
  due(nowMs: number, ended: boolean): boolean {
    if (nowMs < this.atMs) return false
    const isLate = nowMs - this.atMs > lateShare * this.#nextMs
    if (isLate && nowMs < this.#lastMs + putOffMax * this.#nextMs) {
      this.heard(nowMs)
      return false
    }
    if (ended) this.#nextMs *= 2
    this.#lastMs = nowMs
    this.atMs = nowMs + this.#nextMs
    return true
  }

  /** Whether somebody who asks is answered now: all hear the answer, also whoever asked in between. */
  answers(nowMs: number): boolean {
    if (nowMs < this.#answeredMs + this.#everyMs) return false
    this.#answeredMs = nowMs
    return true
  }
}
