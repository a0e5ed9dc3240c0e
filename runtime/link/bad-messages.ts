/** Counts bad messages and logs at most one line a minute, so that a flood of them cannot flood the log or its disk. */
import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'

const logEveryMs = 60_000

export class BadMessages {
  readonly #clock: Clock
  readonly #log: Log
  #count = 0
  #countAtLog = 0
  #loggedMs = Number.NEGATIVE_INFINITY

  constructor(clock: Clock, log: Log) {
    this.#clock = clock
    this.#log = log
  }

  get count(): number {
    return this.#count
  }

  add(topic: string, reason: string): void {
    this.#count += 1
    const nowMs = this.#clock.monotonicMs()
    if (nowMs - this.#loggedMs < logEveryMs) return
    this.#log.warn('bad message dropped', {
      topic: topic.slice(0, 200),
      reason: reason.slice(0, 200),
      sinceLastLine: this.#count - this.#countAtLog,
    })
    this.#loggedMs = nowMs
    this.#countAtLog = this.#count
  }
}
