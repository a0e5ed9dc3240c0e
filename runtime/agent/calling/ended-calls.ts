/**
 * Calls of other devices that have ended here, until nobody can say them again: what comes a second time is answered, and never handed
 * to anybody again.
 */
import type { Clock } from '../../base/clock.ts'
import type { Outcome } from '../service.ts'

interface Ended {
  readonly untilMs: number
  /** How it failed; undefined: there may be an answer that is kept. */
  readonly failure: Outcome | undefined
}

/** Of one device: two each second for as long as they count; of all; and of one where others have used that up. */
const ofOneMax = 16_384
const allMax = 65_536
const ofOneLeast = 512

export class EndedCalls {
  readonly #clock: Clock
  readonly #ended = new Map<string, Map<string, Ended>>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get(device: string, key: string): Ended | undefined {
    return this.#ended.get(device)?.get(key)
  }

  /** Whether one more of that device can be remembered: else it cannot be taken. */
  hasRoom(device: string): boolean {
    const isFull = () => {
      const sizes = [...this.#ended.values()].map(({ size }) => size)
      const all = sizes.reduce((sum, size) => sum + size, 0)
      return (this.#ended.get(device)?.size ?? 0) >= (all >= allMax ? ofOneLeast : ofOneMax)
    }
    if (isFull()) this.#forgetOld()
    return !isFull()
  }

  /** `untilMs`: of the wall clock; whatever is said of it later is refused by its age. */
  keep(device: string, key: string, ended: Ended): void {
    const known = this.#ended.get(device) ?? new Map<string, Ended>()
    this.#ended.set(device, known.set(key, ended))
  }

  #forgetOld(): void {
    const nowMs = this.#clock.nowMs()
    for (const [device, known] of this.#ended) {
      for (const [key, { untilMs }] of known) if (nowMs > untilMs) known.delete(key)
      if (known.size === 0) this.#ended.delete(device)
    }
  }
}
