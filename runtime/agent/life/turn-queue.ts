/**
 * Who takes a turn next where nobody has a better opinion: whoever has waited longest. An agent asks for one turn at a time, so
 * none can have a second before each that waits has had its first.
 */
import type { TurnCost } from '../turn.ts'

export class TurnQueue {
  readonly #most: number
  readonly #waiting = new Set<() => void>()
  #taking = 0

  /** `most`: turns at a time; threads that could take them. */
  constructor(most: number) {
    this.#most = most
  }

  /** Settles when the agent may take a turn; what it gives is called once, when that is over. Throws the reason of `signal`. */
  async turn(_agent: string, signal: AbortSignal): Promise<(cost: TurnCost) => void> {
    signal.throwIfAborted()
    if (this.#taking < this.#most) this.#taking += 1
    else await this.#handed(signal)
    let over = false
    return () => {
      if (over) return
      over = true
      this.#hand()
    }
  }

  #handed(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const go = () => {
        signal.removeEventListener('abort', stop)
        resolve()
      }
      const stop = () => {
        this.#waiting.delete(go)
        reject(signal.reason)
      }
      signal.addEventListener('abort', stop, { once: true })
      this.#waiting.add(go)
    })
  }

  /** A turn that is over goes to the next who waits. */
  #hand(): void {
    const [next] = this.#waiting
    if (!next) {
      this.#taking -= 1
      return
    }
    this.#waiting.delete(next)
    next()
  }
}
