/**
 * `cron`: a stream of instants by the wall clock, in a time zone. Those missed (the device was off, the clock was set forward) come
 * once, late: the last of them. After a restart the last one is told again where nobody can know whether it was heard; the agent's
 * own half drops what it has had.
 *
 * A wall clock that was set back up to three hours makes the next instant wait until it is reached again, none comes twice; set
 * back further it was wrong before, and the new time counts at once (as cron has it since Vixie's).
 */
import * as v from 'valibot'
import type { Clock } from '../../base/clock.ts'
import type { Service } from '../service.ts'
import { badRequest, checkedService } from './checked-service.ts'
import { type CronTimes, parseCron } from './cron-times.ts'
import { pause } from './waiting.ts'

/** How soon a wall clock that was set is noticed. */
const lookMs = 30_000
const setBackMsMax = 3 * 3_600_000

const schema = v.object({
  cron: v.string('must be a cron expression'),
  timezone: v.optional(v.string('must be the name of a time zone')),
})

export interface CronDeps {
  readonly clock: Clock
  /** The device's, where the agent names none. */
  readonly timeZone: string
}

export function cronService({ clock, timeZone }: CronDeps): Service {
  return checkedService('cron', schema, async ({ cron, timezone = timeZone }, { askedMs, emit }, signal) => {
    const parsed = parseCron(cron, timezone)
    if (!parsed.ok) return badRequest('cron', parsed.reason)
    const { times } = parsed
    if (times.next(clock.nowMs()) === undefined) return badRequest('cron', `${cron} never comes`)
    // An agent's clock may be ahead of one that was set back.
    for (let lastMs = Math.min(askedMs, clock.nowMs()); ; ) {
      lastMs = await nextInstant(clock, times, lastMs, signal)
      emit({ atMs: lastMs })
    }
  })
}

async function nextInstant(
  clock: Clock,
  times: CronTimes,
  lastMs: number,
  signal: AbortSignal,
): Promise<number> {
  let afterMs = lastMs
  let dueMs: number | undefined
  while (true) {
    signal.throwIfAborted()
    const nowMs = clock.nowMs()
    if (afterMs - nowMs > setBackMsMax) {
      afterMs = nowMs
      dueMs = undefined
    }
    dueMs ??= times.next(afterMs)
    if (dueMs !== undefined && dueMs <= nowMs) return times.latest(afterMs, nowMs) ?? dueMs
    await pause(clock, Math.min(lookMs, (dueMs ?? Number.POSITIVE_INFINITY) - nowMs), signal)
  }
}
