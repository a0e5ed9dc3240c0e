/**
 * Feeds the hardware watchdog (Linux `Documentation/watchdog/watchdog-api.rst`), which resets the computer when it is not
 * fed.
 *
 * Invariants: [safety-8] fed only after a cycle in which everything was well; a clean stop disarms it, a crash does not.
 * It is opened by the first such cycle, so that a fault that a reset does not mend cannot reset for ever.
 */
import type { HostClock, HostLog } from '../contract/host.ts'

/** A hardware watchdog as safety uses it; `hal/linux` has the real one. */
export interface Watchdog {
  /** Puts the reset off for another period. Throws HalError. */
  feed(): void
  /** The clean goodbye ("magic close"): the hardware stops counting. A process that dies does not say it. */
  close(): void
}

/** Watchdogs reset after 10 s and more: often enough, and nothing beside the cycle's own work. */
const feedEveryMs = 1_000
/** One disturbed cycle is nothing to tell anybody of. */
const starvingMs = 2 * feedEveryMs

export class WatchdogKeeper implements Disposable {
  readonly #open: (() => Watchdog) | undefined
  readonly #clock: HostClock
  readonly #log: HostLog
  #watchdog: Watchdog | undefined
  #healthyAtMs: number
  #fedAtMs = Number.NEGATIVE_INFINITY
  #told = false

  constructor(open: (() => Watchdog) | undefined, clock: HostClock, log: HostLog) {
    this.#open = open
    this.#clock = clock
    this.#log = log
    this.#healthyAtMs = clock.monotonicMs()
  }

  /** Called at the end of every cycle. */
  cycle(healthy: boolean): void {
    if (!this.#open || !healthy) return
    const nowMs = this.#clock.monotonicMs()
    this.#healthyAtMs = nowMs
    if (nowMs - this.#fedAtMs < feedEveryMs) return
    this.#fedAtMs = nowMs
    try {
      this.#watchdog ??= this.#open()
      this.#watchdog.feed()
      this.#told = false
    } catch (error) {
      if (!this.#told) this.#log.error('the hardware watchdog cannot be fed', { reason: String(error) })
      this.#told = true
    }
  }

  state(): 'none' | 'fed' | 'starving' {
    if (!this.#open) return 'none'
    const starving = this.#told || this.#clock.monotonicMs() - this.#healthyAtMs >= starvingMs
    return starving ? 'starving' : 'fed'
  }

  /** Leaves the hardware counting: what goes wrong here is mended by the next start, or by a reset. */
  abandon(): void {
    this.#watchdog = undefined
  }

  [Symbol.dispose](): void {
    this.#watchdog?.close()
    this.#watchdog = undefined
  }
}
