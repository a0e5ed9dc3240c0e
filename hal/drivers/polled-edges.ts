/**
 * Edges of pins that can only be read: all watched pins of a chip are read together, 20 times a second while anybody
 * watches. A pulse shorter than that may not be seen; what is reported was seen. While the chip cannot be read, everybody
 * who watches is told, once a second; levels that changed meanwhile are reported when it answers again.
 */
import { HalError } from '../contract/errors.ts'
import type { Cancel, HostClock } from '../contract/host.ts'
import type { DigitalOptions } from '../contract/io.ts'

/** Two transfers of a 100 kHz bus each time: 4 % of it. A person at a door or a float in a tank is slower. */
const pollEveryMs = 50
const retryEveryMs = 1_000

interface Watched {
  readonly bit: number
  readonly options: DigitalOptions
  /** Reported last; undefined before the first reading. */
  level?: boolean
  /** Another level than the one reported, and since when. */
  newSinceMs?: number
}

export class PolledEdges implements Disposable {
  readonly #read: () => number
  readonly #clock: HostClock
  readonly #watched = new Set<Watched>()
  #next: Cancel | undefined

  /** `read` gives the levels of all pins, bit n for pin n. Throws HalError. */
  constructor(read: () => number, clock: HostClock) {
    this.#read = read
    this.#clock = clock
  }

  /** Calls `options.onReadable` and `options.onError` until the returned function is called. Throws HalError as `read`. */
  watch(pin: number, options: DigitalOptions): Cancel {
    const bit = 1 << pin
    const watched: Watched = { bit, options, level: (this.#read() & bit) !== 0 }
    this.#watched.add(watched)
    this.#next ??= this.#clock.after(pollEveryMs, () => this.#poll())
    return () => {
      this.#watched.delete(watched)
      if (this.#watched.size === 0) this[Symbol.dispose]()
    }
  }

  [Symbol.dispose](): void {
    this.#watched.clear()
    this.#next?.()
    this.#next = undefined
  }

  #poll(): void {
    let delayMs = pollEveryMs
    try {
      const levels = this.#read()
      for (const watched of [...this.#watched]) this.#look(watched, (levels & watched.bit) !== 0)
    } catch (error) {
      if (!(error instanceof HalError)) throw error
      delayMs = retryEveryMs
      for (const { options } of [...this.#watched]) options.onError?.(error)
    }
    this.#next = this.#watched.size > 0 ? this.#clock.after(delayMs, () => this.#poll()) : undefined
  }

  #look(watched: Watched, level: boolean): void {
    const nowMs = this.#clock.monotonicMs()
    if (level === watched.level) {
      delete watched.newSinceMs
      return
    }
    watched.newSinceMs ??= nowMs
    const { debounceUs = 0, edge, activeLow = false, onReadable } = watched.options
    if (nowMs - watched.newSinceMs < debounceUs / 1_000) return
    watched.level = level
    delete watched.newSinceMs
    const rising = level !== activeLow
    if (rising ? edge?.rising : edge?.falling)
      onReadable?.({ rising, timestampNs: BigInt(Math.round(nowMs * 1e6)), missed: 0 })
  }
}
