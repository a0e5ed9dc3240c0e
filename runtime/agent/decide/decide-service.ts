/**
 * Performs `decide.*`. A decision that was under way when the device stopped is `uncertain`: the others have gone on without it, and
 * taking part again could count it twice.
 */
import * as v from 'valibot'
import { decideLimits } from '../../wire/decide.ts'
import { check } from '../../wire/messages.ts'
import type { Json } from '../contract.ts'
import { failed, type Outcome, type Performing, type Service } from '../service.ts'
import type { Weights } from './count.ts'
import type { Decisions, Opening } from './decisions.ts'
import type { Intent } from './process.ts'

const number = v.pipe(v.number(), v.finite(), v.minValue(0))
const common = {
  subject: v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9_.-]{0,99}$/i, 'is not a subject')),
  deadlineMs: v.optional(v.number()),
  quorum: v.optional(v.pipe(number, v.integer(), v.minValue(1))),
  reason: v.optional(v.pipe(v.string(), v.maxLength(decideLimits.reasonCharsMax))),
}
const choice = v.pipe(v.string(), v.minLength(1), v.maxLength(100))
const choices = v.pipe(v.array(choice), v.maxLength(decideLimits.choicesMax))

const schemas = {
  'decide.auction': v.object({
    ...common,
    price: v.optional(v.picklist(['first', 'second']), 'first'),
    bid: v.optional(number),
  }),
  'decide.contract-net': v.object({ ...common, task: v.optional(v.unknown(), null) }),
  'decide.vote': v.object({
    ...common,
    choices: v.pipe(choices, v.minLength(1)),
    rule: v.optional(v.picklist(['majority', 'weighted', 'ranked']), 'majority'),
    mine: v.optional(choices, []),
  }),
  'decide.agree': v.object({
    ...common,
    value: v.unknown(),
    faulty: v.optional(v.pipe(number, v.integer())),
  }),
} as const

export interface DecideServiceDeps {
  readonly decisions: Pick<Decisions, 'decide'>
  /** Devices of the site that are known, this one among them. */
  readonly known: () => readonly string[]
  /** Undefined: this device has no weights, and opens no vote that is counted by them. */
  readonly weights?: Weights | undefined
  readonly nowMs: () => number
}

/** How long a decision takes whose caller named no time. */
const lastsMsDefault = 10_000

export function decideService(deps: DecideServiceDeps): Service {
  return {
    ops: ['decide.auction', 'decide.contract-net', 'decide.vote', 'decide.agree'],
    async perform(performing: Performing, signal: AbortSignal): Promise<Outcome> {
      if (performing.resumed)
        return failed('uncertain', 'the device stopped while this was decided: ask again')
      const read = readCall(deps, performing)
      if (!read.ok) return failed('bad-request', read.reason)
      const { id, decided, value, winner, price, reason } = await deps.decisions.decide(
        read.opening,
        read.intent,
        signal,
      )
      const answer = {
        id,
        decided,
        reason,
        value: value as Json,
        winner: winner as string,
        price: price as number,
      }
      return { ok: true, value: JSON.parse(JSON.stringify(answer)) as Json }
    },
  }
}

type Read =
  | { readonly ok: true; readonly opening: Opening; readonly intent: Intent }
  | { readonly ok: false; readonly reason: string }

function readCall({ known, weights, nowMs }: DecideServiceDeps, { call }: Performing): Read {
  const timed = (args: {
    readonly subject: string
    readonly deadlineMs?: number | undefined
    readonly quorum?: number | undefined
  }) => ({
    subject: args.subject,
    lastsMs: lasting(args.deadlineMs, nowMs()),
    ...(args.quorum !== undefined && { quorum: args.quorum }),
  })
  const because = (reason: string | undefined) => (reason === undefined ? {} : { reason })
  switch (call.op) {
    case 'decide.auction': {
      const args = check(schemas[call.op], call.args)
      if (!args.ok) return args
      const { price, bid, reason } = args.value
      const intent = { ...(bid !== undefined && { bid }), ...because(reason) }
      return { ok: true, opening: { ...timed(args.value), what: 'auction', price }, intent }
    }
    case 'decide.contract-net': {
      const args = check(schemas[call.op], call.args)
      if (!args.ok) return args
      const opening = { ...timed(args.value), what: 'contract-net', task: args.value.task } as const
      return { ok: true, opening, intent: {} }
    }
    case 'decide.vote': {
      const args = check(schemas[call.op], call.args)
      if (!args.ok) return args
      const { rule, choices: among, mine, reason } = args.value
      if (rule === 'weighted' && !weights)
        return { ok: false, reason: 'a weighted vote needs weights: name them in device.agents.weights' }
      const opening = { ...timed(args.value), what: 'vote', rule, choices: among } as const
      return { ok: true, opening, intent: { choices: mine, ...because(reason) } }
    }
    default: {
      const args = check(schemas['decide.agree'], call.args)
      if (!args.ok) return args
      const { value, faulty = Math.floor((known().length - 1) / 3) } = args.value
      if (value === undefined) return { ok: false, reason: 'value: is missing' }
      return { ok: true, opening: { ...timed(args.value), what: 'agree', value, faulty }, intent: { value } }
    }
  }
}

function lasting(deadlineMs: number | undefined, nowMs: number): number {
  const lasts = deadlineMs === undefined ? lastsMsDefault : Math.floor(deadlineMs - nowMs)
  return Math.min(decideLimits.lastsMsMax, Math.max(decideLimits.lastsMsMin, lasts))
}
