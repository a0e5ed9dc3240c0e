/**
 * What the router tells of a decision: the answer to the call `why`, what `GET /api/devices/:id/decisions` passes on and
 * `ganglion why` shows. Numbers, names and reasons; nothing of what was in a request or in its answer.
 */
import * as v from 'valibot'
import { inferErrorCodes } from './engine-protocol.ts'
import { privacies } from './infer.ts'
import { servedBy } from './offload.ts'

/** Characters of a line, at most. */
export const decisionLineMax = 500
const line = v.pipe(v.string(), v.maxLength(decisionLineMax))
const ms = v.pipe(v.number(), v.finite(), v.minValue(0))
const amount = v.pipe(v.number(), v.finite(), v.minValue(0))

/** A place that was looked at. `whyNot`: it was not used, and why; otherwise what it was expected to take and cost. */
export const decisionCandidate = v.object({
  route: line,
  reach: v.picklist(privacies),
  whyNot: v.optional(line),
  /** Expected until the whole answer: half of the requests take no longer, 95 of 100 take no longer. */
  p50Ms: v.optional(ms),
  p95Ms: v.optional(ms),
  queueMs: v.optional(ms),
  loadMs: v.optional(ms),
  transferMs: v.optional(ms),
  /** What the estimate rests on: answers that came from there, what the route says of itself, nothing yet. */
  basis: v.optional(v.picklist(['measured', 'advertised', 'guessed'])),
  energyJ: v.optional(amount),
  price: v.optional(amount),
  /** What the choice was made by: expected wait, with energy and price weighed as milliseconds. Lower is better. */
  score: v.optional(amount),
})

/** One try on one route. */
export const decisionAttempt = v.object({
  route: line,
  /**
   * `probe`: a copy whose answer nobody waits for, to learn how that route is.
   */
  kind: v.picklist(['first', 'fallback', 'hedge', 'probe']),
  model: line,
  startMs: ms,
  /** Absent while under way. */
  endMs: v.optional(ms),
  outcome: v.picklist(['under way', 'answered', 'failed', 'given up', 'not needed']),
  error: v.optional(v.object({ code: v.picklist(inferErrorCodes), message: line })),
})

export const decision = v.object({
  id: line,
  /** When it was made, milliseconds since the Unix epoch. */
  ts: v.number(),
  model: line,
  privacy: v.picklist(privacies),
  priority: v.picklist(['control', 'interactive', 'background']),
  deadlineMs: ms,
  /** Size of the inputs. */
  bytes: amount,
  /** Of the device at that time, in words: `81 °C`, `on battery, 20 %`. */
  conditions: v.array(line),
  candidates: v.pipe(v.array(decisionCandidate), v.maxLength(64)),
  /** Where it was sent first, and why there and nowhere else; of a cut model both places, `engine+gateway`. Absent: nowhere. */
  route: v.optional(line),
  reason: line,
  attempts: v.pipe(v.array(decisionAttempt), v.maxLength(32)),
  /** What came after: of a cascade, of a split. */
  notes: v.pipe(v.array(line), v.maxLength(16)),
  /** Absent while under way. */
  result: v.optional(
    v.object({
      ok: v.boolean(),
      latencyMs: ms,
      /** Where the answer came from. */
      route: v.optional(line),
      /** What the gateway decided that gave it, where it says so. */
      served: v.optional(servedBy),
      error: v.optional(v.object({ code: v.picklist(inferErrorCodes), message: line })),
    }),
  ),
})
export type Decision = v.InferOutput<typeof decision>
export type DecisionCandidate = v.InferOutput<typeof decisionCandidate>
export type DecisionAttempt = v.InferOutput<typeof decisionAttempt>

/** Answer to `why`: the decision that was asked for, or the latest ones, newest first. */
export const whyResult = v.object({ decisions: v.pipe(v.array(decision), v.maxLength(100)) })
export type WhyResult = v.InferOutput<typeof whyResult>
