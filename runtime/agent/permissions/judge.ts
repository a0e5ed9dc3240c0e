/**
 * May this call be made now? A pure function of the call, the grants, the time and what was used before.
 *
 * Invariants: [permit-1] what no grant covers is denied; [permit-2] a call is allowed only where one grant by itself allows all of it:
 * pattern, every limited value, time, rate; [permit-3] where several do, the one that costs least is used: no rate before a rate,
 * no question before a question.
 */
import type { Json } from '../contract.ts'
import type { Call } from '../turn.ts'
import { type Capability, covering, describeCapability, type Need, needsOf } from './capability.ts'
import type { Grant } from './grant.ts'
import { isWithin, minuteOfDay, parseRate, parseTimes, type Rate, valueRefused } from './limits.ts'

export interface Circumstances {
  readonly nowMs: number
  /** IANA name of the zone that times of day are in. */
  readonly timezone: string
  /** When a grant's capability was used before, milliseconds since the Unix epoch. */
  readonly used: (grant: Grant) => readonly number[]
  /** Whether the device's policy lets nobody do this, whatever was granted. */
  readonly never?: (capability: Capability) => boolean
}

export type Judgement =
  /** `grant` is absent for what anybody may. */
  | { readonly verdict: 'allow'; readonly grant?: Grant }
  | { readonly verdict: 'ask'; readonly grant: Grant }
  | { readonly verdict: 'deny'; readonly code: 'permission' | 'bad-request'; readonly reason: string }

export function judge(
  call: Pick<Call, 'op' | 'args'>,
  grants: readonly Grant[],
  circumstances: Circumstances,
): Judgement {
  const needs = needsOf(call)
  if (typeof needs === 'string') return { verdict: 'deny', code: 'bad-request', reason: needs }
  const [first, ...others] = needs
  if (!first) return { verdict: 'allow' }
  if (!first.any && circumstances.never?.(first.capability)) return forbidden(first)
  for (const need of others) if (!grants.some((grant) => isFor(grant, need))) return nothingAllows(need)
  const fitting = grants.filter((grant) => isFor(grant, first))
  if (fitting.length === 0) return nothingAllows(first)
  let allowed: Grant | undefined
  let reason = ''
  for (const grant of fitting) {
    const refused = refusedBy(grant, call, circumstances)
    if (refused === undefined) allowed = cheaper(allowed, grant)
    else reason = reason === '' ? refused : `${reason}; ${refused}`
  }
  if (!allowed) return { verdict: 'deny', code: 'permission', reason: reason.slice(0, 400) }
  return { verdict: allowed.limits.ask ? 'ask' : 'allow', grant: allowed }
}

/** Whether a capability is granted at all, whatever the time, the rate and who must be asked: what is under way may go on. */
export function isStillGranted(
  call: Pick<Call, 'op' | 'args'>,
  grants: readonly Grant[],
  never?: Circumstances['never'],
): boolean {
  const needs = needsOf(call)
  if (typeof needs === 'string') return false
  const [first] = needs
  if (first && !first.any && never?.(first.capability)) return false
  return needs.every((need) => grants.some((grant) => isFor(grant, need) && !valuesRefused(grant, call)))
}

function isFor({ capability }: Grant, need: Need): boolean {
  if (need.any === true) return capability.kind === need.capability.kind
  return covering(capability, need.capability)
}

function nothingAllows({ capability }: Need): Judgement {
  const reason = `nobody has allowed it to ${describeCapability(capability)}`
  return { verdict: 'deny', code: 'permission', reason }
}

function forbidden({ capability }: Need): Judgement {
  const reason = `the policy of this device lets no agent ${describeCapability(capability)}`
  return { verdict: 'deny', code: 'permission', reason }
}

function cheaper(one: Grant | undefined, other: Grant): Grant {
  if (!one) return other
  const cost = ({ limits }: Grant) => (limits.ask ? 2 : 0) + (limits.rate === undefined ? 0 : 1)
  return cost(other) < cost(one) ? other : one
}

function refusedBy(
  grant: Grant,
  call: Pick<Call, 'op' | 'args'>,
  circumstances: Circumstances,
): string | undefined {
  return valuesRefused(grant, call) ?? timeRefused(grant, circumstances) ?? rateRefused(grant, circumstances)
}

function valuesRefused({ limits }: Grant, { op, args }: Pick<Call, 'op' | 'args'>): string | undefined {
  if (!limits.values || op !== 'command') return undefined
  const command = commandOf(args)
  if (!command) return 'the command is no object'
  const { values, others } = limits
  // What it goes back to when it expires is commanded as well.
  const { to } = (args['expires'] ?? {}) as { to?: object }
  for (const [field, value] of [...Object.entries(command), ...Object.entries(to ?? {})]) {
    const limit = Object.hasOwn(values, field) ? values[field] : undefined
    const refused = limit ? valueRefused(field, limit, value) : others ? undefined : unnamed(field, values)
    if (refused !== undefined) return refused
  }
  return undefined
}

const unnamed = (field: string, values: object) =>
  `${JSON.stringify(field.slice(0, 40))} is not allowed: of a command only ${Object.keys(values).join(', ') || 'nothing'}`

export function commandOf(args: Call['args']): { readonly [field: string]: Json } | undefined {
  const { command } = args
  if (typeof command !== 'object' || command === null || Array.isArray(command)) return undefined
  return command as { readonly [field: string]: Json }
}

export function timeRefused(
  { limits }: Grant,
  { nowMs, timezone }: Pick<Circumstances, 'nowMs' | 'timezone'>,
): string | undefined {
  if (!limits.times) return undefined
  const minute = minuteOfDay(nowMs, timezone)
  const inside = limits.times.some((text) => {
    const range = parseTimes(text)
    return range !== undefined && isWithin(range, minute)
  })
  return inside ? undefined : `it is allowed only ${limits.times.join(' or ')}`
}

function rateRefused(grant: Grant, { nowMs, used }: Circumstances): string | undefined {
  const text = rateOf(grant)
  const rate = text === undefined ? undefined : parseRate(text)
  if (!rate) return undefined
  const recent = withinRate(rate, used(grant), nowMs)
  return recent < rate.most ? undefined : `it was done ${recent} times already, and ${text} are allowed`
}

function withinRate({ perMs }: Rate, times: readonly number[], nowMs: number): number {
  // One that seems to come was before the clock was set back: it counts.
  return times.filter((atMs) => atMs > nowMs - perMs).length
}

/** People are not asked without end, also where nobody has set a rate. */
const askRate = '12/h'

/** How often it may be used; undefined: as often as it likes. */
export function rateOf({ capability, limits }: Grant): string | undefined {
  return limits.rate ?? (capability.kind === 'ask' ? askRate : undefined)
}

/** Why people are not asked once more for what the grant allows only with their yes; undefined: they are. */
export function askedTooOften(grant: Grant, times: readonly number[], nowMs: number): string | undefined {
  const rates = [askRate, rateOf(grant) ?? askRate].flatMap((text) => parseRate(text) ?? [])
  if (rates.some((rate) => withinRate(rate, times, nowMs) < rate.most)) return undefined
  return `people were asked often enough: ${rates.map(({ most, unit }) => `${most}/${unit}`).join(' or ')}`
}
