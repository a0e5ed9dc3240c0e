/** Aborts when nothing has arrived for a while: a silent peer ends as an error, however large the file. */
import type { Cancel, Clock } from '../../base/clock.ts'
import { StoreError } from './store-error.ts'

export class IdleLimit implements Disposable {
  readonly #controller = new AbortController()
  readonly #clock: Clock
  readonly #limitMs: number
  readonly #what: string
  #cancel: Cancel
  /** Aborts when `parent` does, or after `limitMs` without `touch`. */
  readonly signal: AbortSignal

  constructor(clock: Clock, what: string, limitMs: number, parent: AbortSignal) {
    this.#clock = clock
    this.#what = what
    this.#limitMs = limitMs
    this.signal = AbortSignal.any([parent, this.#controller.signal])
    this.#cancel = this.#arm()
  }

  touch(): void {
    this.#cancel()
    this.#cancel = this.#arm()
  }

  [Symbol.dispose](): void {
    this.#cancel()
  }

  #arm(): Cancel {
    return this.#clock.after(this.#limitMs, () => {
      const line = `${this.#what} sent nothing for ${this.#limitMs / 1000} s: check the network and try again`
      this.#controller.abort(new StoreError('source-unreachable', line, { retryable: true }))
    })
  }
}
