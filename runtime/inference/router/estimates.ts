/**
 * What a request is expected to take on each route: wait, load, transfer and time in the model, each from what was measured
 * there, from what the route says of itself, or, before anything is known, from a guess that the first answers replace.
 */
import type { Privacy } from '../../wire/infer.ts'
import { LatencyWindow } from './latency-window.ts'
import { LinkMeter, type LinkPrior, type Transfer } from './link-meter.ts'
import type { Route, RouteOffer } from './route.ts'

export interface Estimate {
  readonly p50Ms: number
  readonly p95Ms: number
  readonly queueMs: number
  readonly loadMs: number
  readonly transferMs: number
  /** Time in the model, median. */
  readonly serviceMs: number
  readonly serviceP95Ms: number
  /** That the time in the model rests on; the latest ones. */
  readonly answers: number
  readonly basis: 'measured' | 'advertised' | 'guessed'
  /** Nothing came from there for so long that it may have changed. */
  readonly stale: boolean
}

/** One answer, or the news that none came so far. */
export interface Observation {
  readonly route: Pick<Route, 'id' | 'reach'>
  readonly model: string
  readonly bytes: number
  /** As it was offered when the request was sent. */
  readonly offer: Pick<RouteOffer, 'queueMs' | 'loadMs'>
  readonly wallMs: number
  /** As the answer says. */
  readonly modelMs?: number | undefined
  /** No answer came in `wallMs`, and none is waited for any more: it would have taken longer. */
  readonly atLeast?: boolean
}

/** Before any answer: a home's Wi-Fi, and a house's line to the internet. */
const priors: Readonly<Record<Privacy, LinkPrior>> = {
  device: { rttMs: 0.3, bytesPerS: 400e6 },
  site: { rttMs: 10, bytesPerS: 2.5e6 },
  cloud: { rttMs: 60, bytesPerS: 1e6 },
}
/** Time in a model of which nothing is known. */
const guessMs = 100
/** Median of a model whose 95th percentile is advertised. */
export const medianOfP95 = 0.7
/** As many answers as it takes to go by them alone. */
export const fewAnswers = 3
/** Handing a request to the engine and its answer back, beyond waiting and running. */
const handingMsMax = 5
/** A wait that is shorter is lost in everything else. */
const tellingMs = 5
const honestyMax = 3
/** Models times routes that are remembered, the least recently used forgotten: many times what a home has. */
const windowsMax = 512
/** What gave no answer in a time would have taken this many times as long, for want of better knowledge. */
const censoredFactor = 1.5

export class Estimates {
  readonly #staleMs: number
  readonly #service = new Map<string, LatencyWindow>()
  readonly #links = new Map<string, LinkMeter>()
  /** By route: how long was really waited, as a share of what the place said. */
  readonly #honesty = new Map<string, LatencyWindow>()

  /** After `staleMs` without an answer what a route says of itself counts again, where it is better. */
  constructor(options: { readonly staleMs: number }) {
    this.#staleMs = options.staleMs
  }

  of(
    route: Pick<Route, 'id' | 'reach'>,
    model: string,
    offer: RouteOffer,
    bytes: number,
    nowMs: number,
  ): Estimate {
    const window = this.#service.get(key(route.id, model))
    const told = offer.modelMs === undefined ? guessMs : offer.modelMs * medianOfP95
    const toldP95 = offer.modelMs ?? 3 * guessMs
    const stale = window !== undefined && nowMs - window.newestMs > this.#staleMs
    // Hope after a long silence: otherwise one bad minute would keep a route out for ever.
    const hoped = (measured: number | undefined, hope: number) =>
      measured === undefined
        ? hope
        : stale && offer.modelMs !== undefined
          ? Math.min(measured, hope)
          : measured
    // One answer alone does not outweigh what the place knows of all of its own.
    const few = offer.modelMs === undefined ? 0 : fewAnswers - (window?.size ?? 0)
    const serviceMs = hoped(window?.quantile(0.5, told, few), told)
    const serviceP95Ms = Math.max(serviceMs, hoped(window?.quantile(0.95), toldP95))
    const transfer = this.#transfer(route, offer, bytes, nowMs)
    const { loadMs } = offer
    const queueMs = offer.queueMs * (this.#honesty.get(route.id)?.quantile(0.5) ?? 1)
    return {
      p50Ms: queueMs + loadMs + transfer.p50Ms + serviceMs,
      p95Ms: queueMs + loadMs + transfer.p95Ms + serviceP95Ms,
      queueMs,
      loadMs,
      transferMs: transfer.p50Ms,
      serviceMs,
      serviceP95Ms,
      answers: window?.size ?? 0,
      basis: window ? 'measured' : offer.modelMs === undefined ? 'guessed' : 'advertised',
      stale,
    }
  }

  /** Monotonic time of the newest answer of a model from a route; -Infinity before the first. */
  newestMs(route: string, model: string): number {
    return this.#service.get(key(route, model))?.newestMs ?? -Infinity
  }

  /** Monotonic time of the newest answer over the link to a route, to a message of that size or larger, of any model. */
  reachedMs(route: string, bytes: number): number {
    return this.#links.get(route)?.newestMs(bytes) ?? -Infinity
  }

  /** A request leaves now; its answer is overdue once its p95 has passed. Nothing to watch on this device. */
  sent(route: Pick<Route, 'id' | 'reach'>, bytes: number, estimate: Estimate, nowMs: number) {
    if (route.reach === 'device') return { end: () => {} }
    return this.#link(route).sent(bytes, nowMs + estimate.p95Ms)
  }

  observe(seen: Observation, nowMs: number): void {
    const { route, model, bytes, offer } = seen
    const wallMs = seen.atLeast ? seen.wallMs * censoredFactor : seen.wallMs
    const honesty = this.#honesty.get(route.id)?.quantile(0.5) ?? 1
    const beyondMs = Math.max(0, wallMs - offer.queueMs * honesty - offer.loadMs)
    if (!seen.atLeast) this.#judge(seen, nowMs)
    const local = route.reach === 'device'
    if (local) {
      // Nothing is between us and it: what was neither running nor handing over was waiting, which the queue tells.
      const { modelMs } = seen
      const tookMs =
        modelMs === undefined ? beyondMs : Math.min(Math.max(modelMs, beyondMs), modelMs + handingMsMax)
      this.#window(route.id, model).add(tookMs, nowMs)
      return
    }
    const link = this.#link(route)
    const known = seen.modelMs ?? this.#service.get(key(route.id, model))?.quantile(0.5)
    if (seen.atLeast) {
      // Silence is laid at the link's door: a model that got slow answers late, and is measured then.
      if (beyondMs > (known ?? 0) + link.transfer(bytes, nowMs).p50Ms)
        link.add(bytes, beyondMs - (known ?? 0), nowMs, true)
      return
    }
    if (seen.modelMs === undefined) {
      this.#window(route.id, model).add(Math.max(0, beyondMs - link.transfer(bytes, nowMs).p50Ms), nowMs)
      return
    }
    link.add(bytes, beyondMs - seen.modelMs, nowMs)
    this.#window(route.id, model).add(seen.modelMs, nowMs)
  }

  /**
   * What a place says of its queue is a guess of its own: of work that more urgent work overtakes, of a queue some seconds ago.
   * Where the answer tells the time in the model, the rest but the way was waiting.
   */
  #judge({ route, bytes, offer, wallMs, modelMs }: Observation, nowMs: number): void {
    if (modelMs === undefined || offer.queueMs < tellingMs) return
    const wayMs = route.reach === 'device' ? 0 : this.#link(route).transfer(bytes, nowMs).p50Ms
    const waitedMs = Math.max(0, wallMs - offer.loadMs - modelMs - wayMs)
    const window = remembered(this.#honesty, route.id, () => new LatencyWindow())
    window.add(Math.min(honestyMax, waitedMs / offer.queueMs), nowMs)
  }

  #transfer(route: Pick<Route, 'id' | 'reach'>, offer: RouteOffer, bytes: number, nowMs: number): Transfer {
    const link = this.#link(route)
    const fresh = link.measured && nowMs - link.newestMs(0) <= this.#staleMs
    // Whole answers say more than the small messages that a route measures with; until there are some, they have to do.
    if (fresh || !offer.link) {
      if (fresh || !link.measured) return link.transfer(bytes, nowMs)
      const hope = new LinkMeter(priors[route.reach]).transfer(bytes, nowMs)
      const last = link.transfer(bytes, nowMs)
      return { p50Ms: Math.min(hope.p50Ms, last.p50Ms), p95Ms: Math.min(hope.p95Ms, last.p95Ms) }
    }
    const { rttMs, rttP95Ms = 2 * rttMs, bytesPerS } = offer.link
    const sendMs = (1000 * bytes) / bytesPerS
    return { p50Ms: rttMs + sendMs, p95Ms: rttP95Ms + 1.5 * sendMs }
  }

  #link(route: Pick<Route, 'id' | 'reach'>): LinkMeter {
    return remembered(this.#links, route.id, () => new LinkMeter(priors[route.reach]))
  }

  #window(route: string, model: string): LatencyWindow {
    return remembered(this.#service, key(route, model), () => new LatencyWindow())
  }
}

const key = (route: string, model: string) => `${route}\n${model}`

/** A map keeps the order of insertion: what is used goes to its end, what is forgotten is at its start. */
function remembered<T>(map: Map<string, T>, name: string, make: () => T): T {
  const value = map.get(name) ?? make()
  map.delete(name)
  map.set(name, value)
  const oldest = map.keys().next().value
  if (map.size > windowsMax && oldest !== undefined) map.delete(oldest)
  return value
}
