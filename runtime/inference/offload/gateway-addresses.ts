/**
 * Under which HTTP address each worker is reached. Addresses come from the configuration alone: each is asked which worker
 * answers there. Nothing that comes over MQTT can make a device send its inputs elsewhere.
 */
import * as v from 'valibot'
import type { Clock } from '../../base/clock.ts'
import { withDeadline } from '../../base/deadline.ts'
import { messageOf } from '../../base/errors.ts'
import { httpGet } from '../../base/http-get.ts'
import type { Log } from '../../base/log.ts'
import { parseJson } from '../../wire/messages.ts'

const answer = v.looseObject({ worker: v.pipe(v.string(), v.maxLength(128)) })
const answerBytesMax = 4096
const askMsMax = 3_000
/** An address that does not answer, or is another worker's, is asked again after this. */
const againMs = 5_000

export class GatewayAddresses {
  readonly #deps: { readonly clock: Clock; readonly log: Log }
  readonly #urls: readonly string[]
  readonly #workers = new Map<string, string>()
  #askedMs = Number.NEGATIVE_INFINITY
  #asking: Promise<void> | undefined

  /** `urls`: of gateways, `http://gateway.local:8080`. */
  constructor(deps: { readonly clock: Clock; readonly log: Log }, urls: readonly string[]) {
    this.#deps = deps
    this.#urls = urls.map((url) => url.replace(/\/+$/, ''))
  }

  /** False where nothing is configured: no request can be too large for MQTT then. */
  get configured(): boolean {
    return this.#urls.length > 0
  }

  of(worker: string): string | undefined {
    return this.#workers.get(worker)
  }

  /** Asked for, and not found: what is too large for MQTT can neither go there nor come from there. */
  isMissing(worker: string): boolean {
    return !this.#workers.has(worker) && this.#asking === undefined
  }

  /** What was there does not answer any more, or is another's. */
  forget(worker: string): void {
    this.#workers.delete(worker)
    this.#askedMs = Number.NEGATIVE_INFINITY
  }

  /** Asks those whose worker is not known, unless that was done just now. Never rejects. */
  look(signal: AbortSignal): Promise<void> {
    const nowMs = this.#deps.clock.monotonicMs()
    if (!this.#asking && nowMs - this.#askedMs >= againMs) {
      this.#askedMs = nowMs
      const known = new Set(this.#workers.values())
      const unknown = this.#urls.filter((url) => !known.has(url))
      this.#asking = Promise.all(unknown.map((url) => this.#ask(url, signal))).then(() => {
        this.#asking = undefined
      })
    }
    return this.#asking ?? Promise.resolve()
  }

  async #ask(url: string, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps
    try {
      const get = (s: AbortSignal) => httpGet(`${url}/api/tickets/worker`, answerBytesMax, s)
      const body = await withDeadline(clock, `asking ${url} which worker it is`, askMsMax, get, signal)
      const parsed = parseJson(answer, body, answerBytesMax)
      if (parsed.ok) this.#workers.set(parsed.value.worker, url)
      else log.debug('an address is no worker', { url, reason: parsed.reason })
    } catch (error) {
      log.debug('an address does not answer', { url, reason: messageOf(error) })
    }
  }
}
