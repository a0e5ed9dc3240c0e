/**
 * Where to cut a model in two, so that its first layers run here and the others at the gateway: where the tensor in between
 * is cheapest to move, by measured layer times and the link as it is now (Kang et al., "Neurosurgeon", ASPLOS 2017).
 */
import type { Estimate } from './estimates.ts'

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

/** Places that would take one of the parts, the policy's first choice first. */
export interface PartRoute {
  readonly id: string
  /** On this device. */
  readonly local: boolean
  readonly estimate: Estimate
}

export interface ChosenCut extends Cut {
  readonly headRoute: string
  readonly tailRoute: string
  /** Expected until the answer, milliseconds. */
  readonly p50Ms: number
  readonly why: string
}

/** Two requests and a tensor in between go wrong more often than one: a cut must be this share quicker than any whole. */
const marginShare = 0.1

/**
 * The quickest cut, where it beats the quickest `whole` by a margin and makes the deadline; undefined otherwise. `look` says
 * where a part could run that gets so many bytes. A part that was never run at a place is expected to take its share of what
 * the whole takes there, and where that is not known either, what it took when it was cut.
 */
export function chooseCut(
  plan: SplitPlan,
  inputBytes: number,
  look: (model: string, bytes: number) => readonly PartRoute[],
  whole: readonly PartRoute[],
  deadlineMs: number,
): ChosenCut | undefined {
  const [first] = plan.cuts
  const uncutMs = first ? first.headMs + first.tailMs : 0
  const wholeMs = Math.min(Infinity, ...whole.map(({ estimate }) => partMs(estimate, uncutMs)))
  const speed = (local: boolean, { headMs, tailMs }: Cut) => {
    const there = whole.find((one) => one.local === local)?.estimate
    return there && there.basis !== 'guessed' && headMs + tailMs > 0 ? there.serviceMs / (headMs + tailMs) : 1
  }
  let chosen: ChosenCut | undefined
  for (const cut of plan.cuts) {
    const head = look(cut.head, inputBytes).find(({ local }) => local)
    const tail = look(cut.tail, cut.bytes).find(({ local }) => !local)
    if (!head || !tail) continue
    const headMs = partMs(head.estimate, cut.headMs * speed(true, cut))
    const tailMs = partMs(tail.estimate, cut.tailMs * speed(false, cut))
    const p50Ms = headMs + tailMs
    const p95Ms =
      p50Ms + (head.estimate.p95Ms - head.estimate.p50Ms) + (tail.estimate.p95Ms - tail.estimate.p50Ms)
    if (p95Ms > deadlineMs || p50Ms > (1 - marginShare) * wholeMs) continue
    if (chosen && chosen.p50Ms <= p50Ms) continue
    const against = Number.isFinite(wholeMs) ? `; ${Math.round(wholeMs)} ms whole` : ''
    const why = `${Math.round(headMs)} ms here, ${cut.bytes} bytes to move, ${Math.round(p50Ms)} ms in all${against}`
    chosen = { ...cut, headRoute: head.id, tailRoute: tail.id, p50Ms, why }
  }
  return chosen
}

function partMs({ basis, p50Ms, serviceMs }: Estimate, cutMs: number): number {
  return basis === 'guessed' ? p50Ms - serviceMs + cutMs : p50Ms
}
