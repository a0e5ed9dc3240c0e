/**
 * The devices of a hub, each in the care of its keeper: one that is given up leaves the others running, and all of them end
 * together, within the time that one may take.
 */
import { messageOf } from '../base/errors.ts'
import type { Keeper } from './keeper.ts'

export class KeptDevices<Ready> implements AsyncDisposable {
  /** Rejects with the last one's reason when all are given up; never resolves. */
  readonly givenUp: Promise<never>
  readonly #keepers: Keeper<Ready>[] = []
  readonly #onNotice: (line: string) => void
  readonly #reject: (reason: unknown) => void
  #left = 0
  #closing = false

  constructor(onNotice: (line: string) => void) {
    this.#onNotice = onNotice
    const { promise, reject } = Promise.withResolvers<never>()
    this.givenUp = promise
    this.#reject = reject
    promise.catch(() => {})
  }

  keep(keeper: Keeper<Ready>): void {
    this.#keepers.push(keeper)
    this.#left += 1
    keeper.givenUp.catch((error) => {
      if (this.#closing) return
      this.#left -= 1
      if (this.#left === 0) this.#reject(error)
      else this.#onNotice(`${messageOf(error)}; the others go on`)
    })
  }

  get ready(): Ready[] {
    return this.#keepers.map(({ ready }) => ready)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing = true
    await Promise.all(this.#keepers.map((keeper) => keeper[Symbol.asyncDispose]()))
  }
}
