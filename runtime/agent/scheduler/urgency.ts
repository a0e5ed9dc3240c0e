/**
 * How urgent a call, and the turn that brings its answer, are beside others: what the agent said of the call, held to what the agent may
 * be. It is in the call's arguments, and so on the disk and carried along with it.
 */
import type { Clock } from '../../base/clock.ts'
import { type Priority, priorities } from '../../wire/infer.ts'
import { leftOf } from '../services/waiting.ts'
import type { StoredCall } from '../store/stored.ts'

export interface Wanted {
  /** At most this; absent: what the agent is. */
  readonly priority?: Priority
  /** Monotonic milliseconds: sooner than its class says, never later. */
  readonly byMs?: number
}

type Asked = Pick<StoredCall, 'args' | 'askedMs'>

/** Nothing is told apart that is wanted later. */
const laterMsMax = 86_400_000

/** As its agent says; what says nothing of use is as urgent as the agent. */
export function wantedOf(clock: Clock, asked: Asked): Wanted {
  const { priority, dueMs } = said(asked)
  const isClass = priorities.some((one) => one === priority)
  return {
    ...(isClass && { priority: priority as Priority }),
    ...(isInstant(dueMs) && { byMs: instantOf(clock, dueMs, asked) }),
  }
}

/** Of what brings the answer: by then it is wanted as well that was to be done by then. */
export function answerWanted(clock: Clock, asked: Asked): Wanted {
  const { deadlineMs } = asked.args
  const { byMs = Infinity, ...wanted } = wantedOf(clock, asked)
  const soonest = Math.min(byMs, isInstant(deadlineMs) ? instantOf(clock, deadlineMs, asked) : Infinity)
  return soonest === Infinity ? wanted : { ...wanted, byMs: soonest }
}

/** When all that it is a part of is wanted, of the agent's clock. */
export function dueMsOf({ args }: Pick<Asked, 'args'>): number {
  const { dueMs } = said({ args })
  return isInstant(dueMs) ? dueMs : Infinity
}

/** No more urgent than either. */
export function atMost(own: Priority, asked: Priority = own): Priority {
  return priorities.indexOf(asked) > priorities.indexOf(own) ? asked : own
}

/** A program wrote it. */
function said({ args: { urgency } }: Pick<Asked, 'args'>): { readonly [field: string]: unknown } {
  return typeof urgency === 'object' && urgency !== null ? { ...urgency } : {}
}

const isInstant = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value)

function instantOf(clock: Clock, untilMs: number, { askedMs }: Asked): number {
  const leftMs = leftOf(clock, untilMs, askedMs)
  return clock.monotonicMs() + Math.min(Math.max(0, leftMs), laterMsMax)
}
