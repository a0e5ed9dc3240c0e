/**
 * Where a request goes: a pure function of the request, what each place offers and is expected to take, the state of the
 * device and the configured weights. Privacy first, then the deadline, then cost; everything is said in words.
 */
import type { DecisionCandidate } from '../../wire/decisions.ts'
import { type InferErrorCode, type InferRequest, mayTravel, type Privacy } from '../../wire/infer.ts'
import { type Conditions, isHot, isLow } from './conditions.ts'
import type { Estimate } from './estimates.ts'
import type { RouteOffer, RouteRefusal } from './route.ts'

export interface PolicyRequest extends Pick<InferRequest, 'model' | 'privacy' | 'priority' | 'deadlineMs'> {
  /** Of the inputs. */
  readonly bytes: number
}

export interface PolicyCandidate {
  readonly id: string
  readonly reach: Privacy
  readonly offer: RouteOffer | RouteRefusal
  /** Of a usable offer. */
  readonly estimate?: Estimate
  /** One line why it is left alone for now, whatever it offers: it failed lately, or in this very request. */
  readonly excluded?: string
}

export interface PolicyOptions {
  /** How far anything may travel from this device, whatever its label. */
  readonly allow: Privacy
  /** Milliseconds of waiting that a joule of this device is worth. */
  readonly msPerJoule: { readonly mains: number; readonly battery: number }
  /** Milliseconds of waiting that one unit of the currency is worth. */
  readonly msPerPrice: number
  /** From here on a board counts as hot, degrees Celsius. */
  readonly hotC: number
  /** A hot board's own time counts this many times: what it computes makes it hotter still. */
  readonly hotFactor: number
  /** Another place must cost this share less than the current one, and for this long, before a model moves there. */
  readonly hysteresis: { readonly share: number; readonly forMs: number; readonly atOnceShare: number }
}

export const policyDefaults: PolicyOptions = {
  // Nothing leaves the site unless said.
  allow: 'site',
  // A board's half second of work at 4 W is 2 J: on battery worth 200 ms of waiting.
  msPerJoule: { mains: 0, battery: 100 },
  // A tenth of a cent is worth 100 ms.
  msPerPrice: 100_000,
  // Raspberry Pis slow down from 80 °C on.
  hotC: 78,
  hotFactor: 1.5,
  hysteresis: { share: 0.15, forMs: 2_000, atOnceShare: 0.35 },
}

/** Where a model's requests go now, and who has been better since when. */
export interface Incumbent {
  readonly route: string
  readonly challenger?: { readonly route: string; readonly sinceMs: number }
}

export interface Choice {
  /** Every place that was looked at. */
  readonly candidates: readonly DecisionCandidate[]
  /** Places that may take it, the first choice first. Empty: see `refusal`. */
  readonly ranked: readonly string[]
  /** At least one of them is expected to make the deadline. */
  readonly inTime: boolean
  readonly reason: string
  readonly refusal?: {
    readonly code: InferErrorCode
    readonly message: string
  }
  readonly incumbent?: Incumbent
}

interface Scored {
  readonly id: string
  readonly told: DecisionCandidate
  readonly score: number
  readonly estimate: Estimate
}

/** `nowMs` is monotonic. */
export function choose(
  request: PolicyRequest,
  candidates: readonly PolicyCandidate[],
  conditions: Conditions,
  options: PolicyOptions,
  incumbent: Incumbent | undefined,
  nowMs: number,
): Choice {
  const scored: Scored[] = []
  const told = candidates.map((candidate): DecisionCandidate => {
    const whyNot = reasonAgainst(request, candidate, conditions, options)
    if (whyNot !== undefined) return { route: candidate.id, reach: candidate.reach, whyNot }
    const one = scoredOf(request, candidate, conditions, options)
    scored.push(one)
    return one.told
  })
  if (scored.length === 0)
    return {
      candidates: told,
      ranked: [],
      inTime: false,
      ...refuse(request, candidates, told, conditions, options),
    }
  const { inTime, late } = byDeadline(scored, request.deadlineMs)
  const pool = inTime.length > 0 ? inTime.sort((a, b) => a.score - b.score) : late
  const { winner, reason, next } = settle(pool, inTime.length > 0, incumbent, options, nowMs, request)
  const rest = [...pool, ...(inTime.length > 0 ? late : [])].filter(({ id }) => id !== winner.id)
  return {
    candidates: told,
    ranked: [winner.id, ...rest.map(({ id }) => id)],
    inTime: inTime.length > 0,
    reason,
    incumbent: next,
  }
}

/** The bound is the word: a label is never widened, and neither is what the user allows. */
function reasonAgainst(
  { privacy, bytes }: PolicyRequest,
  { reach, offer, excluded }: PolicyCandidate,
  conditions: Conditions,
  { allow }: PolicyOptions,
): string | undefined {
  if (!mayTravel(privacy, reach)) return `labelled ${privacy}: it may not travel as far as ${reach}`
  if (!mayTravel(allow, reach))
    return `this device's configuration lets nothing travel farther than ${allow}; this is ${reach}`
  if (!offer.usable) return offer.whyNot
  if (excluded !== undefined) return excluded
  if (offer.bytesMax !== undefined && bytes > offer.bytesMax)
    return `takes ${offer.bytesMax} bytes at most; these are ${bytes}`
  if (lacksMemory({ offer }, conditions))
    return `needs ${Math.ceil(offer.memoryMb ?? 0)} MB of memory; ${Math.floor(conditions.memoryFreeMb ?? 0)} MB are free`
  return undefined
}

/** Even with all unloaded that may be: what is loaded is no reason, the engine makes room. */
function lacksMemory({ offer }: Pick<PolicyCandidate, 'offer'>, { memoryFreeMb }: Conditions): boolean {
  return offer.usable && memoryFreeMb !== undefined && (offer.memoryMb ?? 0) > memoryFreeMb
}

/**
 * Score: expected wait in milliseconds, energy and price weighed as milliseconds on top. The expected wait is 0.815 p50 +
 * 0.185 p95, the extended Pearson-Tukey approximation of a mean (Keefer and Bodily, 1983) with the 5th percentile, which
 * waits do not go far under, taken as the median.
 */
export function costOf(
  request: PolicyRequest,
  {
    reach,
    offer,
    estimate,
  }: { readonly reach: Privacy; readonly offer: RouteOffer; readonly estimate: Estimate },
  conditions: Conditions,
  options: PolicyOptions,
): number {
  const { p50Ms, p95Ms, transferMs } = estimate
  const hot = reach === 'device' && isHot(conditions, options.hotC)
  const waitMs = (0.815 * p50Ms + 0.185 * p95Ms) * (hot ? options.hotFactor : 1)
  const energyMs = (joules(offer, transferMs) ?? 0) * weightOfEnergy(request, conditions, options)
  return waitMs + energyMs + offer.price * options.msPerPrice
}

function scoredOf(
  request: PolicyRequest,
  { id, reach, offer, estimate }: PolicyCandidate,
  conditions: Conditions,
  options: PolicyOptions,
): Scored {
  if (!offer.usable || !estimate) throw new Error(`route ${id} was scored without an offer`)
  const { p50Ms, p95Ms, queueMs, loadMs, transferMs, basis } = estimate
  const energyJ = joules(offer, transferMs)
  const score = costOf(request, { reach, offer, estimate }, conditions, options)
  const told = {
    ...{ route: id, reach, p50Ms, p95Ms, queueMs, loadMs, transferMs, basis },
    ...(energyJ === undefined ? {} : { energyJ }),
    price: offer.price,
    score,
  }
  return { id, told, score, estimate }
}

/** Of this device; undefined: not known. */
function joules({ energyJ, transferWatts }: RouteOffer, transferMs: number): number | undefined {
  if (transferWatts === undefined) return energyJ
  return (energyJ ?? 0) + (transferWatts * transferMs) / 1000
}

function weightOfEnergy(
  { priority }: PolicyRequest,
  conditions: Conditions,
  { msPerJoule }: PolicyOptions,
): number {
  if (conditions.power !== 'battery') return msPerJoule.mains
  // Nobody waits for background work, and an empty battery ends everything.
  return msPerJoule.battery * (priority === 'background' ? 4 : 1) * (isLow(conditions) ? 4 : 1)
}

/** Those that make it 95 times in 100; and the others: those that make it every other time first, the quickest first. */
function byDeadline(scored: readonly Scored[], deadlineMs: number): { inTime: Scored[]; late: Scored[] } {
  const inTime = scored.filter(({ estimate }) => estimate.p95Ms <= deadlineMs)
  const late = scored
    .filter(({ estimate }) => estimate.p95Ms > deadlineMs)
    .sort((a, b) => a.estimate.p50Ms - b.estimate.p50Ms)
  return { inTime, late }
}

/** The best one, or the current one while the best is not better by enough or for long enough. */
function settle(
  pool: readonly Scored[],
  inTime: boolean,
  incumbent: Incumbent | undefined,
  { hysteresis }: PolicyOptions,
  nowMs: number,
  { deadlineMs }: PolicyRequest,
): { readonly winner: Scored; readonly reason: string; readonly next: Incumbent } {
  const best = pool[0] as Scored
  if (!inTime)
    return {
      winner: best,
      reason: `none is expected to answer within ${round(deadlineMs)} ms 95 times in 100; this is the quickest`,
      // A request in a hurry says nothing about where the others should go.
      next: incumbent ?? { route: best.id },
    }
  const current = pool.find(({ id }) => id === incumbent?.route)
  if (!current || current === best) {
    const why = pool.length === 1 ? 'the only one that can take it in time' : 'costs least'
    return {
      winner: best,
      reason: incumbent && !current ? `${why}; the one before it cannot` : why,
      next: { route: best.id },
    }
  }
  const gain = 1 - best.score / current.score
  if (gain < hysteresis.share)
    return {
      winner: current,
      reason: `stays: ${best.id} costs only ${percent(gain)} less`,
      next: { route: current.id },
    }
  const sinceMs = incumbent?.challenger?.route === best.id ? incumbent.challenger.sinceMs : nowMs
  if (gain >= hysteresis.atOnceShare || nowMs - sinceMs >= hysteresis.forMs)
    return {
      winner: best,
      reason: `moved from ${current.id}: costs ${percent(gain)} less`,
      next: { route: best.id },
    }
  return {
    winner: current,
    reason: `stays: ${best.id} costs ${percent(gain)} less, but not for ${hysteresis.forMs / 1000} s yet`,
    next: { route: current.id, challenger: { route: best.id, sinceMs } },
  }
}

function refuse(
  { model, privacy }: PolicyRequest,
  candidates: readonly PolicyCandidate[],
  told: readonly DecisionCandidate[],
  conditions: Conditions,
  options: PolicyOptions,
): Pick<Choice, 'reason'> & { readonly refusal: NonNullable<Choice['refusal']> } {
  const lines = told.map(({ route, whyNot }) => `${route}: ${whyNot}`).join('; ')
  const failed = (code: InferErrorCode, message: string) => ({ reason: message, refusal: { code, message } })
  if (candidates.length === 0) return failed('unavailable', `there is no place where ${model} could run`)
  const allowed = candidates.filter(
    ({ reach }) => mayTravel(privacy, reach) && mayTravel(options.allow, reach),
  )
  const has = ({ offer }: PolicyCandidate) => offer.usable || offer.code !== 'model-unknown'
  if (!allowed.some(has)) {
    // A place that does not offer it is no place where it would have to run.
    const beyond = candidates.filter((one) => !allowed.includes(one) && one.offer.usable)
    const nearest = beyond.sort((a, b) => (mayTravel(a.reach, b.reach) ? 1 : -1))[0]
    if (!nearest) return failed('model-unknown', `no place knows a model ${model}: ${lines}`.slice(0, 480))
    const needs = mayTravel(privacy, nearest.reach)
      ? `inference.allow: ${nearest.reach} in this device's configuration`
      : `the label ${nearest.reach}`
    return failed(
      'refused',
      `${model} would have to run at ${nearest.id}, as far away as ${nearest.reach}; this is labelled ${privacy}: it would need ${needs}, or the model on this device`,
    )
  }
  const codes = new Set(allowed.filter(has).map(({ offer }) => (offer.usable ? undefined : offer.code)))
  const [only] = codes
  // Whatever other places say: where it is offered, memory alone is in the way.
  const offered = allowed.filter(({ offer }) => offer.usable)
  const memory = offered.length > 0 && offered.every((one) => lacksMemory(one, conditions))
  const code = memory ? 'memory' : codes.size === 1 ? only : undefined
  return failed(code ?? 'unavailable', `${model} can run nowhere now: ${lines}`.slice(0, 480))
}

const percent = (share: number) => `${Math.round(100 * share)} %`
const round = (ms: number) => Math.round(ms)
