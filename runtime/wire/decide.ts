/**
 * Joint decisions on the wire: `<base>/site/decide/<id>/<device>`, each message signed by the device that its topic names. A
 * decision has one opener; `id` is new for each, so that a message of one means nothing in another.
 */
import * as v from 'valibot'
import { deviceId } from './signed.ts'

export const decideLimits = {
  /** One message but a result; a result, with the signed words of all that it rests on. */
  bytesMax: 24 * 1024,
  resultBytesMax: 120 * 1024,
  /** Devices that can take part in one decision: what a result can hold the words of. */
  membersMax: 64,
  choicesMax: 32,
  /** JSON of a task, a value, a report. */
  valueBytesMax: 4 * 1024,
  lastsMsMax: 10 * 60_000,
  lastsMsMin: 200,
  reasonCharsMax: 200,
  /** Oddities of a decision that are told. */
  notesMax: 8,
  outcomeCharsMax: 500,
} as const

const id = deviceId
const reason = v.pipe(v.string(), v.maxLength(decideLimits.reasonCharsMax))
const outcomeReason = v.pipe(v.string(), v.maxLength(decideLimits.outcomeCharsMax))
const name = v.pipe(v.string(), v.maxLength(128))
/** An offer: money, kilowatts, seconds. */
const amount = v.pipe(v.number(), v.finite(), v.minValue(0), v.maxValue(1e15))
const hex32 = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, 'is not a digest'))
const choice = v.pipe(v.string(), v.minLength(1), v.maxLength(100))
const choices = v.pipe(v.array(choice), v.maxLength(decideLimits.choicesMax))
const members = v.pipe(
  v.array(deviceId),
  v.minLength(1),
  v.maxLength(decideLimits.membersMax),
  v.check((named) => new Set(named).size === named.length, 'names a device twice'),
)
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const subject = v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9_.-]{0,99}$/i, 'is not a subject'))
const small = v.check(
  (value: unknown) => (JSON.stringify(value) ?? '').length <= decideLimits.valueBytesMax,
  `is more than ${decideLimits.valueBytesMax} bytes`,
)
const value = v.pipe(v.unknown(), small)

const opened = {
  kind: v.literal('open'),
  id,
  subject,
  members,
  /** Members that must take part, abstaining included. */
  quorum: v.pipe(count, v.minValue(1)),
  /** When it was opened, by the opener's clock: an old one is not opened again. */
  atMs: count,
  lastsMs: v.pipe(count, v.minValue(decideLimits.lastsMsMin), v.maxValue(decideLimits.lastsMsMax)),
}

export const openBody = v.variant('what', [
  v.object({ ...opened, what: v.literal('auction'), price: v.picklist(['first', 'second']) }),
  v.object({ ...opened, what: v.literal('contract-net'), task: value }),
  v.object({
    ...opened,
    what: v.literal('vote'),
    rule: v.picklist(['majority', 'weighted', 'ranked']),
    choices: v.pipe(choices, v.minLength(1)),
    /** `weighted`: of each member, in their order. */
    weights: v.optional(v.array(amount)),
  }),
  v.object({ ...opened, what: v.literal('agree'), value, faulty: count }),
])
export type OpenBody = v.InferOutput<typeof openBody>
export type DecisionKind = OpenBody['what']

export const wordBody = v.variant('kind', [
  /** It takes part: it has heard of the decision. */
  v.object({ kind: v.literal('here'), id }),
  v.object({ kind: v.literal('abstain'), id, reason: v.optional(reason) }),
  v.object({ kind: v.literal('veto'), id, reason }),
  /** Auction: SHA-256 of a bid and a secret number. */
  v.object({ kind: v.literal('commit'), id, hash: hex32 }),
  /** Auction, of the opener: which bids count. Nobody shows a bid before. */
  v.object({
    kind: v.literal('close'),
    id,
    commits: v.pipe(
      v.array(v.object({ device: deviceId, hash: hex32 })),
      v.maxLength(decideLimits.membersMax),
    ),
  }),
  v.object({ kind: v.literal('reveal'), id, amount, nonce: hex32, reason: v.optional(reason) }),
  v.object({ kind: v.literal('ballot'), id, choices, reason: v.optional(reason) }),
  /** Contract net: what it would cost this device. The lowest wins. */
  v.object({ kind: v.literal('offer'), id, cost: amount, reason: v.optional(reason) }),
  v.object({ kind: v.literal('award'), id, round: count, to: deviceId }),
  v.object({ kind: v.literal('report'), id, round: count, done: v.boolean(), value: v.optional(value) }),
  v.object({ kind: v.literal('echo'), id, value }),
  v.object({ kind: v.literal('ready'), id, value }),
])
export type WordBody = v.InferOutput<typeof wordBody>

/** Of the opener: how it ended, with the signed words that it rests on: whoever doubts counts again. */
export const resultBody = v.object({
  kind: v.literal('result'),
  id,
  decided: v.boolean(),
  value: v.optional(value),
  winner: v.optional(deviceId),
  price: v.optional(amount),
  reason: outcomeReason,
  words: v.pipe(v.array(v.string()), v.maxLength(4 * decideLimits.membersMax)),
})
export type ResultBody = v.InferOutput<typeof resultBody>

/** Whose words the sender lacks: they say them again. */
export const againBody = v.object({ kind: v.literal('again'), id, of: members })

export const decideBody = v.union([openBody, wordBody, resultBody, againBody])
export type DecideBody = v.InferOutput<typeof decideBody>

/**
 * How a joint decision ended, as one device that took part in it sees it: payload of `<base>/<device>/event/decision`, beside the `v`,
 * `id` and `ts` that every event has, and an item of the answer to `decisions`. Every device that took part tells its own: those
 * with the same `decision` are one. It names no value but the winner, so that it says nothing of people.
 */
export const decisionEvent = v.object({
  decision: name,
  kind: v.picklist(['auction', 'contract-net', 'vote', 'agree']),
  subject: name,
  opener: name,
  /** Devices that were asked, and how many of them had to take part. */
  members: count,
  quorum: count,
  decided: v.boolean(),
  winner: v.optional(name),
  price: v.optional(v.number()),
  /** In words: why it was decided so, or why not. */
  reason: outcomeReason,
  /** What was odd: who came late, lied, fell silent. */
  notes: v.pipe(v.array(reason), v.maxLength(decideLimits.notesMax)),
  /** When it ended, milliseconds since the Unix epoch. */
  atMs: v.number(),
})
export type DecisionEvent = v.InferOutput<typeof decisionEvent>
