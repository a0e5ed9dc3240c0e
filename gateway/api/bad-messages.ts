/** Counts bad messages by the device that sent them, and logs each device at most once a minute. Bounded in devices. */
import type { Clock } from '../../runtime/base/clock.ts'
import type { Log } from '../../runtime/base/log.ts'

const everyMs = 60_000
/** How long a bad message stays a problem that health reports. */
const freshMs = 5 * 60_000
const sendersMax = 100

interface Sender {
  count: number
  lastMs: number
  loggedMs: number
  reason: string
}

export class BadMessages {
  readonly #clock: Clock
  readonly #log: Log
  readonly #senders = new Map<string, Sender>()
  #total = 0

  constructor(clock: Clock, log: Log) {
    this.#clock = clock
    this.#log = log
  }

  get total(): number {
    return this.#total
  }

  count(device: string, reason: string): void {
    this.#total += 1
    const nowMs = this.#clock.monotonicMs()
    let sender = this.#senders.get(device)
    if (!sender) {
      if (this.#senders.size >= sendersMax) return
      sender = { count: 0, lastMs: nowMs, loggedMs: Number.NEGATIVE_INFINITY, reason }
      this.#senders.set(device, sender)
    }
    Object.assign(sender, { count: sender.count + 1, lastMs: nowMs, reason })
    if (nowMs - sender.loggedMs < everyMs) return
    sender.loggedMs = nowMs
    this.#log.warn('bad message dropped', { device, count: sender.count, reason })
  }

  /** One line for each device that sent bad messages lately. */
  problems(): string[] {
    const nowMs = this.#clock.monotonicMs()
    return [...this.#senders]
      .filter(([, { lastMs }]) => nowMs - lastMs < freshMs)
      .map(([device, { count, reason }]) => `${device} sent ${count} bad messages, last: ${reason}`)
  }
}
