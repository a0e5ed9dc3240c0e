/**
 * An agent's own now. It is the wall clock's, and never goes back [life-3]: where the wall clock was set back, it goes on at half
 * the speed of time until the wall clock has caught up, so that it neither stands still nor stays ahead for ever.
 */
import type { Clock } from '../../base/clock.ts'

export class AgentClock {
  readonly #clock: Clock
  #nowMs: number
  #monotonicMs: number

  /** `lastMs`: the latest that the agent has seen, milliseconds since the Unix epoch. */
  constructor(clock: Clock, lastMs: number) {
    this.#clock = clock
    this.#nowMs = lastMs
    this.#monotonicMs = clock.monotonicMs()
  }

  /** Milliseconds since the Unix epoch, whole. */
  now(): number {
    const monotonicMs = this.#clock.monotonicMs()
    const passedMs = Math.max(0, monotonicMs - this.#monotonicMs)
    this.#monotonicMs = monotonicMs
    this.#nowMs = Math.max(this.#clock.nowMs(), this.#nowMs + passedMs / 2)
    return Math.floor(this.#nowMs)
  }
}
