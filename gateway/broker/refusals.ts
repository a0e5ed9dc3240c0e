/** Counts what the broker refused, by reason, and logs each reason at most once a minute: a flood may not fill the log. */
import type { Clock } from '../../runtime/base/clock.ts'
import type { Log } from '../../runtime/base/log.ts'

export const refusalReasons = [
  'connections-max',
  'oversize-packet',
  'malformed-packet',
  'identifier',
  'credentials',
  'sessions-max',
  'will',
  'topic',
  'subscription',
  'slow-subscriber',
  'takeover',
] as const
export type RefusalReason = (typeof refusalReasons)[number]

const logEveryMs = 60_000

export class Refusals {
  readonly #clock: Clock
  readonly #log: Log
  readonly #counts = new Map<RefusalReason, number>()
  readonly #loggedAtMs = new Map<RefusalReason, number>()

  constructor(clock: Clock, log: Log) {
    this.#clock = clock
    this.#log = log
  }

  count(reason: RefusalReason, fields: { client?: string | null; peer?: string; why?: string } = {}): void {
    const total = (this.#counts.get(reason) ?? 0) + 1
    this.#counts.set(reason, total)
    const nowMs = this.#clock.monotonicMs()
    const lastMs = this.#loggedAtMs.get(reason)
    if (lastMs !== undefined && nowMs - lastMs < logEveryMs) return
    this.#loggedAtMs.set(reason, nowMs)
    this.#log.warn('refused', { reason, total, ...fields })
  }

  counts(): Readonly<Record<RefusalReason, number>> {
    const all = refusalReasons.map((reason) => [reason, this.#counts.get(reason) ?? 0] as const)
    return Object.fromEntries(all) as Record<RefusalReason, number>
  }
}
