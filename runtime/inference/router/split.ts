/**
 * Where to cut a model in two, so that its first layers run here and the others at the gateway: where the tensor in between
 * is cheapest to move, by measured layer times and the link as it is now (Kang et al., "Neurosurgeon", ASPLOS 2017).
 */
import { type Estimate, fewAnswers, medianOfP95 } from './estimates.ts'

/** One place to cut. Times were measured when the model was cut, on one machine: what counts is their proportion. */
export interface Cut {
  /** Name of the tensor in between, and its size, bytes. */
  readonly tensor: string
  readonly bytes: number
  /** Time in the layers before and after, milliseconds. */
  readonly headMs: number
  readonly tailMs: number
  /** Names of the two models. The head's outputs are the tail's inputs. */
  readonly head: string
  readonly tail: string
}

export interface SplitPlan {
  readonly cuts: readonly Cut[]
}

/** A place that would take the model, or a part of it. */
export interface PartRoute {
  readonly id: string
  /** On this device. */
  readonly local: boolean
  readonly estimate: Estimate
  /** What the policy counts an estimate there as, milliseconds: waiting, with heat, energy and price. */
  readonly costOf: (estimate: Estimate) => number
  /** It may be asked with a copy. */
  readonly copies: boolean
}

export interface ChosenCut extends Cut {
  readonly headRoute: string
  readonly tailRoute: string
  /** Expected until the answer, milliseconds: half of the requests take no longer, 95 of 100 take no longer. */
  readonly p50Ms: number
  readonly p95Ms: number
  readonly why: string
}

export interface CutQuestion {
  readonly plan: SplitPlan
  /** Of what goes into the model. */
  readonly inputBytes: number
  readonly deadlineMs: number
  /** Where the model could run whole; and where a part could that gets so many bytes: the policy's first choice first. */
  readonly whole: readonly PartRoute[]
  readonly look: (model: string, bytes: number) => readonly PartRoute[]
  /** Tensor of the cut that the model's requests take now. */
  readonly current?: string | undefined
}

export interface CutChoice {
  /** Undefined: the model runs whole. */
  readonly use?: ChosenCut
  /** It may well be better than that, and too little is known of it: worth a copy. */
  readonly learn?: ChosenCut
}

/** Two requests and a tensor in between go wrong more often than one: a cut must cost this share less than any whole. */
const marginShare = 0.1

/** A half, or a whole, at its place. */
interface Part {
  readonly route: PartRoute
  readonly estimate: Estimate
  readonly cost: number
  /** Too few answers came from there, or they are too old. */
  readonly unsure: boolean
  /** What it would then cost, were it loaded and no slower than its layers' own times say. */
  readonly hopedCost: number
}

interface Option {
  readonly cut: ChosenCut
  readonly cost: number
  readonly hopedCost: number
  readonly learnable: boolean
  readonly loaded: boolean
}

/**
 * The cheapest cut, where it beats the cheapest whole and makes the deadline. A half that was never run at a place is expected
 * to take its share of what the whole, or other halves, take there; where nothing is known of the place either, what it took
 * when it was cut.
 */
export function chooseCut(question: CutQuestion): CutChoice {
  const { plan, whole, deadlineMs, current } = question
  const uncutMs = Math.max(...plan.cuts.map(({ headMs, tailMs }) => headMs + tailMs))
  const wholes = whole.map((route) => partOf(route, uncutMs))
  const prompt = wholes.filter(({ estimate }) => estimate.p95Ms <= deadlineMs)
  const wholeCost = Math.min(Infinity, ...prompt.map(({ cost }) => cost))
  const options = optionsOf(question, wholes, uncutMs)
  // The one in use stays until a whole is better: otherwise noise would move the model to and fro.
  const counted = ({ cut, cost }: Option) => (cut.tensor === current ? (1 - marginShare) * cost : cost)
  const best = options
    // Where the model runs nowhere whole, a cut that is late is better than no answer.
    .filter(({ cut }) => whole.length === 0 || cut.p95Ms <= deadlineMs)
    .toSorted((a, b) => counted(a) - counted(b))[0]
  const use = best && counted(best) <= (1 - marginShare) * wholeCost ? best : undefined
  const toBeat = Math.min(wholeCost, use?.cost ?? Infinity)
  const learn = options
    // What would have to be loaded for it must be worth that.
    .filter(({ hopedCost, loaded }) => hopedCost < (loaded ? 1 : 1 - marginShare) * toBeat)
    .filter((one) => one !== use && one.learnable)
    .toSorted((a, b) => a.hopedCost - b.hopedCost)[0]
  return { ...(use && { use: use.cut }), ...(learn && { learn: learn.cut }) }
}

function optionsOf(
  { plan, inputBytes, look }: CutQuestion,
  wholes: readonly Part[],
  uncutMs: number,
): Option[] {
  const looked = plan.cuts.flatMap((cut) => {
    const head = look(cut.head, inputBytes).find(({ local }) => local)
    const tail = look(cut.tail, cut.bytes).find(({ local }) => !local)
    return head && tail ? [{ cut, head, tail }] : []
  })
  const known = wholes.map(({ route }) => ({ route, ms: uncutMs }))
  const slowHere = slowness(
    [...known, ...looked.map(({ cut, head }) => ({ route: head, ms: cut.headMs }))],
    true,
  )
  const slowThere = slowness(
    [...known, ...looked.map(({ cut, tail }) => ({ route: tail, ms: cut.tailMs }))],
    false,
  )
  const wholeMs = Math.min(Infinity, ...wholes.map(({ estimate }) => estimate.p50Ms))
  const against = Number.isFinite(wholeMs) ? `; ${Math.round(wholeMs)} ms whole` : ''
  return looked.map(({ cut, ...at }) => {
    const head = partOf(at.head, slowHere * cut.headMs)
    const tail = partOf(at.tail, slowThere * cut.tailMs)
    const p50Ms = head.estimate.p50Ms + tail.estimate.p50Ms
    const p95Ms = head.estimate.p95Ms + tail.estimate.p95Ms
    const why = `${Math.round(head.estimate.p50Ms)} ms here, ${cut.bytes} bytes to move, ${Math.round(p50Ms)} ms in all${against}`
    return {
      cut: { ...cut, headRoute: at.head.id, tailRoute: at.tail.id, p50Ms, p95Ms, why },
      cost: head.cost + tail.cost,
      hopedCost: head.hopedCost + tail.hopedCost,
      learnable: (head.unsure || tail.unsure) && at.head.copies && at.tail.copies,
      loaded: at.head.estimate.loadMs + at.tail.estimate.loadMs === 0,
    }
  })
}

/** How many times as long as when it was cut the model takes here, or there: the median of what is known. */
function slowness(
  parts: readonly { readonly route: PartRoute; readonly ms: number }[],
  local: boolean,
): number {
  const ratios = parts
    .filter(({ route, ms }) => route.local === local && route.estimate.basis !== 'guessed' && ms > 0)
    .map(({ route, ms }) => route.estimate.serviceMs / ms)
    .sort((a, b) => a - b)
  return ratios[Math.floor(ratios.length / 2)] ?? 1
}

function partOf(route: PartRoute, expectedMs: number): Part {
  const { estimate, costOf } = route
  const known = estimate.basis === 'guessed' ? supposing(estimate, expectedMs, estimate.loadMs) : estimate
  const unsure = estimate.answers < fewAnswers || estimate.stale
  const hoped = unsure ? supposing(known, Math.min(known.serviceMs, expectedMs), 0) : known
  return { route, estimate: known, cost: costOf(known), hopedCost: costOf(hoped), unsure }
}

/** The estimate with another time in the model, and another one for loading it. */
function supposing(estimate: Estimate, serviceMs: number, loadMs: number): Estimate {
  const serviceP95Ms = serviceMs / medianOfP95
  const otherMs = loadMs - estimate.loadMs
  const p50Ms = estimate.p50Ms + otherMs + serviceMs - estimate.serviceMs
  const p95Ms = estimate.p95Ms + otherMs + serviceP95Ms - estimate.serviceP95Ms
  return { ...estimate, serviceMs, serviceP95Ms, loadMs, p50Ms, p95Ms }
}
