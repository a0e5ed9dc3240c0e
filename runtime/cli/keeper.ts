/**
 * Keeps one child running: when it ends by itself it is started again, later each time; a child that keeps dying is given
 * up with the reason, instead of burning a small machine's CPU.
 */
import { realClock, sleep } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import { backoffMs } from '../base/retry.ts'
import { type Child, ChildError, isToldByChild } from './child.ts'

const restart = { firstMs: 500, maxMs: 10_000 }
/** Restarts within `windowMs` before it is given up. */
const restartsMax = 5
const windowMs = 60_000

export class Keeper<Ready> implements AsyncDisposable {
  /** Rejects with ChildError when the child is given up; never resolves. */
  readonly givenUp: Promise<never>
  #child: Child<Ready>
  readonly #open: (last: Ready, signal: AbortSignal) => Promise<Child<Ready>>
  readonly #onNotice: (line: string) => void
  readonly #stop = new AbortController()

  /** `open` starts it again, told how it was reached before, so that it can come back at the same place. */
  constructor(
    child: Child<Ready>,
    open: (last: Ready, signal: AbortSignal) => Promise<Child<Ready>>,
    onNotice: (line: string) => void,
  ) {
    this.#child = child
    this.#open = open
    this.#onNotice = onNotice
    this.givenUp = this.#keep(this.#stop.signal)
    this.givenUp.catch(() => {})
  }

  get ready(): Ready {
    return this.#child.ready
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error('stopped'))
    await this.#child[Symbol.asyncDispose]()
  }

  async #keep(signal: AbortSignal): Promise<never> {
    let starts: number[] = []
    for (;;) {
      const how = await this.#child.ended
      signal.throwIfAborted()
      this.#onNotice(`${how}; starting it again`)
      for (let attempt = 0; ; attempt++) {
        const nowMs = realClock.monotonicMs()
        starts = [...starts.filter((atMs) => nowMs - atMs < windowMs), nowMs]
        if (starts.length > restartsMax)
          throw new ChildError('exited', `${how}, ${restartsMax} times within a minute: giving up`)
        await sleep(realClock, backoffMs(attempt, restart, realClock.random()), signal)
        try {
          this.#child = await this.#open(this.#child.ready, signal)
          break
        } catch (error) {
          signal.throwIfAborted()
          if (!isToldByChild(error)) this.#onNotice(messageOf(error))
        }
      }
    }
  }
}
