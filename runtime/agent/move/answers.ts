/** Who waits for which word of another device about a move. */
import { type Clock, sleep } from '../../base/clock.ts'
import type { MoveBody } from '../../wire/move.ts'

/** What is not answered, or not acknowledged, is said again this often. */
export const againMs = 1_500

export class Answers {
  readonly #clock: Clock
  /** By who says it, its kind, and what it is about. */
  readonly #waiting = new Map<string, (body: MoveBody) => void>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Whether somebody waits for it. */
  take(from: string, body: MoveBody): boolean {
    const about =
      'n' in body && body.kind !== 'ask' && body.kind !== 'begin' ? body.n : 'id' in body ? body.id : ''
    const waiting = this.#waiting.get(`${from} ${body.kind} ${about}`)
    waiting?.(body)
    return waiting !== undefined
  }

  /** Calls `hear` with each of these words until the returned function is called. */
  hear(words: readonly string[], hear: (body: MoveBody) => void): () => void {
    for (const word of words) this.#waiting.set(word, hear)
    return () => {
      for (const word of words) this.#waiting.delete(word)
    }
  }

  /** Says something until one of these words comes; undefined where none does. Rejects when `signal` aborts. */
  async first(
    words: readonly string[],
    say: () => void,
    msMax: number,
    signal: AbortSignal,
  ): Promise<MoveBody | undefined> {
    const { promise, resolve } = Promise.withResolvers<MoveBody>()
    const unheard = this.hear(words, resolve)
    const over = new AbortController()
    const until = AbortSignal.any([signal, over.signal])
    try {
      for (let leftMs = msMax; leftMs > 0; leftMs -= againMs) {
        say()
        const said = await Promise.race([promise, sleep(this.#clock, Math.min(againMs, leftMs), until)])
        if (said) return said
      }
      return undefined
    } finally {
      over.abort(new Error('it was answered'))
      unheard()
    }
  }
}
