/** Looks after a server elsewhere: asks how it is again and again, sooner while it is away, and remembers what it said. */
import { type Clock, sleep } from '../../../runtime/base/clock.ts'
import { withDeadline } from '../../../runtime/base/deadline.ts'
import { messageOf } from '../../../runtime/base/errors.ts'
import type { Log } from '../../../runtime/base/log.ts'
import { backoffMs } from '../../../runtime/base/retry.ts'
import type { BackendHealth } from './backend.ts'

/** A server without a model has just begun: it is asked again sooner, by this factor. */
const emptyFactor = 0.1
/** For all its metadata: small, but of up to hundreds of models. */
const lookMs = 15_000
const awayBackoff = { firstMs: 500, maxMs: 15_000 }

export interface HealthPollDeps {
  readonly clock: Clock
  readonly log: Log
}

export interface HealthPollOptions {
  readonly everyMs: number
  /** Refreshes what is known and tells how many models there are; throws where the server cannot be used. */
  readonly look: (signal: AbortSignal) => Promise<number>
  readonly onAway: () => void
}

export class HealthPoll implements AsyncDisposable {
  readonly #deps: HealthPollDeps
  readonly #options: HealthPollOptions
  readonly #stop = new AbortController()
  #state: BackendHealth['state'] = 'starting'
  #reason = 'it was not asked yet'
  #polling: Promise<void> | undefined

  constructor(deps: HealthPollDeps, options: HealthPollOptions) {
    this.#deps = deps
    this.#options = options
  }

  /** To be called once. */
  start(): void {
    this.#polling = this.#poll(this.#stop.signal)
  }

  get state(): { readonly state: BackendHealth['state']; readonly reason?: string } {
    return this.#state === 'ok' ? { state: 'ok' } : { state: this.#state, reason: this.#reason }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#polling
  }

  async #poll(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps
    const { everyMs, look, onAway } = this.#options
    let failures = 0
    while (!signal.aborted) {
      let waitMs: number
      try {
        const models = await withDeadline(clock, 'its health', lookMs, look, signal)
        waitMs = models > 0 ? everyMs : everyMs * emptyFactor
        if (this.#state !== 'ok') log.info('backend is ready')
        this.#state = 'ok'
        failures = 0
      } catch (error) {
        if (signal.aborted) return
        const reason = messageOf(error)
        if (this.#state !== 'away' || this.#reason !== reason) log.warn('backend is away', { reason })
        this.#state = 'away'
        this.#reason = reason
        onAway()
        waitMs = backoffMs(failures, awayBackoff, clock.random())
        failures += 1
      }
      await sleep(clock, waitMs, signal).catch(() => {})
    }
  }
}
