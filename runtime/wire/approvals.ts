/**
 * What agents wait for a person for: a yes to what they may not do without one, and answers to what they ask. Told on
 * `<base>/<device>/event/approval`; listed by `approvals` and answered by `approve` of the call `agent`.
 *
 * All texts are an agent's own words or made of them: show them as text, never as markup.
 */
import * as v from 'valibot'
import { personParams } from './person.ts'

const text = v.pipe(v.string(), v.minLength(1), v.maxLength(512))
const id = v.pipe(v.string(), v.minLength(1), v.maxLength(64))
const ms = v.pipe(v.number(), v.minValue(0))
/** `yes` or `no`, or one of the choices of a question. */
const answer = v.pipe(v.string(), v.minLength(1), v.maxLength(64))

/** At most so many wait for an answer on one device: more than a person will read. */
export const approvalsMax = 32
export const choicesMax = 8

export const approval = v.object({
  /** The same after a restart of the device. */
  id,
  agent: id,
  /** `permission`: it wants to do something; the choices are yes and no. `question`: it asks, in its own words. */
  kind: v.picklist(['permission', 'question']),
  /** What it wants to do, for a person: `command lock.front_door: state "unlocked"`; or what it asks. */
  words: text,
  /** What may be answered. */
  choices: v.pipe(v.array(answer), v.minLength(2), v.maxLength(choicesMax)),
  askedMs: ms,
  /** Milliseconds since the Unix epoch; a later answer is refused. */
  expiresMs: ms,
})
export type Approval = v.InferOutput<typeof approval>

export const approvalStates = ['asked', 'yes', 'no', 'answered', 'expired', 'withdrawn'] as const
/** Payload of the event, beside the `v`, `id` and `ts` that every event has. What a question was answered is not in it. */
export interface ApprovalEvent extends Omit<Approval, 'id'> {
  readonly approval: string
  readonly state: (typeof approvalStates)[number]
  /** Who answered: `Ada` where a PIN proved it, `local:root` for a user at the device, `claimed:Ada` where nothing did. */
  readonly by?: string
}

/** Answer to `approvals`. */
export const approvalsResult = v.object({
  approvals: v.pipe(v.array(approval), v.maxLength(approvalsMax)),
  /** Names of those who may answer here, each with their PIN; empty: a yes to what an agent wants is given at the device or by a gateway's people. */
  people: v.pipe(v.array(id), v.maxLength(64)),
})
export type ApprovalsResult = v.InferOutput<typeof approvalsResult>

/**
 * `approve`: a `yes` to a `permission` is taken of a person who is known, a `no` of anybody. A `question` is answered by one of the device's
 * people where it has any, else by whoever says who they are.
 */
export const approveParams = { approval: id, answer, ...personParams }
/** Answer to `approve`. */
export const approveResult = v.object({
  approval: id,
  answer,
  agent: id,
  words: text,
  /** As it was recorded. */
  by: text,
  /** Of a no: why the audit log has no line of it yet. It was taken all the same. */
  unrecorded: v.optional(text),
})
export type ApproveResult = v.InferOutput<typeof approveResult>
