/**
 * Says what a worker offers, when it changed and every so often, and hears whether another one says so under the same id: devices
 * would take both for one.
 */
import type { Cancel, Clock } from '../../runtime/base/clock.ts'
import type { Log } from '../../runtime/base/log.ts'
import { type Advert, advertEveryMs, advertLifeMs, parseAdvert } from '../../runtime/wire/offload.ts'

export interface AdvertiserDeps {
  readonly clock: Clock
  readonly log: Log
  /** What is offered now. */
  readonly offer: () => Advert
  readonly publish: (text: string) => void
}

const checkMs = 1_000

export class Advertiser {
  /** Tells it from another worker of the same id. */
  readonly instance: string
  readonly #worker: string
  readonly #deps: AdvertiserDeps
  #said = ''
  #saidMs = Number.NEGATIVE_INFINITY
  #rivalMs = Number.NEGATIVE_INFINITY
  #cancel: Cancel | undefined

  constructor(deps: AdvertiserDeps, worker: string) {
    this.#deps = deps
    this.#worker = worker
    this.instance = deps.clock.newId()
  }

  /** One line, while another gateway offers its models under the same id. */
  get problem(): string | undefined {
    if (this.#deps.clock.monotonicMs() - this.#rivalMs > advertLifeMs) return undefined
    return `another gateway on this broker is named ${this.#worker} too, and devices take both for one: give one of them another id (--id, gateway.id)`
  }

  /** A new connection: whatever was said before is forgotten there. */
  start(): void {
    this.stop()
    this.#said = ''
    this.#say()
  }

  stop(): void {
    this.#cancel?.()
  }

  /** An advert of this id as it came: its own, or another's. A retained one may be what its last process left behind. */
  heard(payload: Uint8Array, retained: boolean): void {
    const parsed = payload.byteLength > 0 && !retained ? parseAdvert(payload) : undefined
    if (!parsed?.ok || parsed.value.instance === this.instance) return
    const known = this.problem !== undefined
    const { clock, log } = this.#deps
    this.#rivalMs = clock.monotonicMs()
    if (known) return
    log.error('the id is taken', { worker: this.#worker, problem: this.problem })
    // At once, so that the other one hears it too.
    this.start()
  }

  /** When it changed, once a second at most, and every so often so that everybody knows that the worker lives. */
  #say(): void {
    const { clock, offer, publish } = this.#deps
    const text = JSON.stringify({ ...offer(), instance: this.instance })
    const nowMs = clock.monotonicMs()
    if (text !== this.#said || nowMs - this.#saidMs >= advertEveryMs - checkMs) {
      this.#said = text
      this.#saidMs = nowMs
      publish(text)
    }
    this.#cancel = clock.after(checkMs, () => this.#say())
  }
}
