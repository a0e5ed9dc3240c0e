/**
 * Waits that go on counting while the device is off.
 *
 * How long is left is what was asked for, less what the wall clock says has passed since: after a restart nothing else knows.
 * A wall clock that was set back since counts as no time passed. While the wait is under way only the monotonic clock counts,
 * so setting the wall clock neither ends nor lengthens it.
 */
import * as v from 'valibot'
import { type Clock, sleep } from '../../base/clock.ts'

/** Timers of Node overflow after 24 days. */
const stepMsMax = 86_400_000

/** Milliseconds left until `untilMs`, an instant of the agent's clock, of a call asked for at `askedMs` of the same clock. */
export function leftOf(clock: Clock, untilMs: number, askedMs: number): number {
  return untilMs - askedMs - Math.max(0, clock.nowMs() - askedMs)
}

/** Resolves after `ms`, however many; rejects with the signal's reason. */
export async function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  const endMs = clock.monotonicMs() + ms
  for (let leftMs = ms; leftMs > 0; leftMs = endMs - clock.monotonicMs())
    await sleep(clock, Math.min(leftMs, stepMsMax), signal)
}

/** The argument of calls that may be given up: an instant of the agent's clock. */
export const deadline = v.optional(
  v.pipe(v.number('must be an instant in milliseconds'), v.finite('must be an instant in milliseconds')),
)
