/**
 * How late a control loop's ticks come. Every tick of the fixed grid counts: one that could not run in time is as late as
 * the moment at which the loop came round to it, so a blocked loop cannot hide the ticks that it missed.
 */
import { quantile } from './quantiles.ts'

export interface Lateness {
  readonly periodMs: number
  readonly ticks: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly worstMs: number
}

export class TickLoop {
  readonly #periodMs: number
  readonly #startMs = performance.now()
  readonly #lateMs: number[] = []
  #timer: NodeJS.Timeout | undefined

  constructor(periodMs: number) {
    this.#periodMs = periodMs
    this.#next()
  }

  /** Ends the loop. */
  stop(): Lateness {
    clearTimeout(this.#timer)
    return {
      periodMs: this.#periodMs,
      ticks: this.#lateMs.length,
      p50Ms: quantile(this.#lateMs, 0.5),
      p99Ms: quantile(this.#lateMs, 0.99),
      worstMs: quantile(this.#lateMs, 1),
    }
  }

  #dueMs(): number {
    return this.#startMs + (this.#lateMs.length + 1) * this.#periodMs
  }

  #next(): void {
    this.#timer = setTimeout(() => this.#tick(), Math.max(0, this.#dueMs() - performance.now()))
  }

  #tick(): void {
    const nowMs = performance.now()
    while (this.#dueMs() <= nowMs) this.#lateMs.push(nowMs - this.#dueMs())
    this.#next()
  }
}
