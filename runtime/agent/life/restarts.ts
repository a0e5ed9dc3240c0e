/** Agents that failed and may begin anew: as often as was allowed in an hour, later each time [agents-7]. */
import type { Cancel, Clock } from '../../base/clock.ts'
import { CodedError, messageOf } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import { backoffMs } from '../../base/retry.ts'
import type { StoredAgent } from '../store/agent-store.ts'

const hourMs = 3_600_000
const delays = { firstMs: 2_000, maxMs: 600_000 }

export interface RestartsDeps {
  readonly clock: Clock
  readonly log: Log
  /** Begins it; `recent`: when it did so in the last hour, milliseconds. */
  readonly anew: (name: string, recent: readonly number[]) => Promise<void>
}

export class Restarts implements Disposable {
  readonly #deps: RestartsDeps
  readonly #waiting = new Map<string, Cancel>()
  #over = false

  constructor(deps: RestartsDeps) {
    this.#deps = deps
  }

  /** False where it has done so as often as it may. */
  later({ name, restartsMax, restarts }: StoredAgent): boolean {
    const { clock, log, anew } = this.#deps
    const recent = restarts.filter((atMs) => Math.abs(clock.nowMs() - atMs) < hourMs)
    if (recent.length >= restartsMax || this.#over) return false
    const delayMs = backoffMs(recent.length, delays, clock.random())
    log.info('an agent that failed begins anew', { agent: name, inMs: delayMs })
    const begin = () =>
      anew(name, recent).catch((error) => {
        log.error('an agent that failed does not begin anew', { agent: name, reason: messageOf(error) })
        // A disk that is full has room again some day; who forgot it meanwhile does not want it.
        const mayPass = error instanceof CodedError && error.retryable && !this.#over
        if (mayPass && this.has(name)) this.#waiting.set(name, clock.after(delays.maxMs, begin))
      })
    this.#waiting.set(name, clock.after(delayMs, begin))
    return true
  }

  has(name: string): boolean {
    return this.#waiting.has(name)
  }

  forget(name: string): void {
    this.#waiting.get(name)?.()
    this.#waiting.delete(name)
  }

  [Symbol.dispose](): void {
    this.#over = true
    for (const cancel of this.#waiting.values()) cancel()
  }
}
