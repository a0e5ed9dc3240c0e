/**
 * What an agent may do only after a person's yes: told on `<base>/<device>/event/approval`; listed by `approvals` and
 * answered by `approve` of the call `agent`.
 */
import * as v from 'valibot'

const text = v.pipe(v.string(), v.minLength(1), v.maxLength(512))
const id = v.pipe(v.string(), v.minLength(1), v.maxLength(64))
const ms = v.pipe(v.number(), v.minValue(0))

/** At most so many wait for an answer on one device: more than a person will read. */
export const approvalsMax = 32

export const approval = v.object({
  id,
  agent: id,
  /** What it wants to do, for a person: `command lock.front_door: state "unlocked"`. */
  words: text,
  askedMs: ms,
  /** Milliseconds since the Unix epoch; a later answer is refused. */
  expiresMs: ms,
})
export type Approval = v.InferOutput<typeof approval>

export const approvalStates = ['asked', 'yes', 'no', 'expired', 'withdrawn'] as const
/** Payload of the event, beside the `v`, `id` and `ts` that every event has. */
export interface ApprovalEvent extends Omit<Approval, 'id'> {
  readonly approval: string
  readonly state: (typeof approvalStates)[number]
  /** Who answered. */
  readonly by?: string
}

/** Answer to `approvals`. */
export const approvalsResult = v.object({ approvals: v.pipe(v.array(approval), v.maxLength(approvalsMax)) })
export type ApprovalsResult = v.InferOutput<typeof approvalsResult>

/** `approve`: `by` is the person who answers, as whoever passes the answer on knows them. */
export const approveParams = {
  approval: id,
  answer: v.picklist(['yes', 'no']),
  by: v.pipe(v.string(), v.trim(), v.regex(/^[^\p{Cc}]{1,64}$/u, 'must say who answers')),
}
/** Answer to `approve`. */
export const approveResult = v.object({
  approval: id,
  answer: v.picklist(['yes', 'no']),
  agent: id,
  words: text,
})
export type ApproveResult = v.InferOutput<typeof approveResult>
