/**
 * The gateways' workers as their adverts describe them, each believed for a limited time from its receipt, on this device's own
 * clock. Of several that offer a model two are picked at random (Mitzenmacher, "The Power of Two Choices in Randomized Load
 * Balancing", 2001), and of these one in inverse proportion to its expected wait: what is known of waits is old, and the one that
 * everybody takes for the best becomes the worst (Dahlin, "Interpreting Stale Load Information", 1999).
 */
import type { Clock } from '../../base/clock.ts'
import { type Advert, type AdvertModel, advertLifeMs, advertRetainedLifeMs } from '../../wire/offload.ts'
import { WorkerLink } from './worker-link.ts'

/** A load that no worker has timed yet: reading and preparing some tens of megabytes. */
const unknownLoadMs = 500
/** More workers than a site has; each advert has at most 128 KiB. */
const workersMax = 32

export interface Candidate {
  readonly worker: string
  readonly model: AdvertModel
  /** Expected wait there, milliseconds. */
  readonly waitMs: number
}

interface Entry {
  advert: Advert
  untilMs: number
  /** It said that it is overloaded: not asked before this. */
  busyUntilMs: number
  readonly meter: WorkerLink
  /** Waits that were told since the advert, by model, milliseconds. */
  readonly told: Map<string, number>
}

export class WorkerTable {
  readonly #clock: Clock
  readonly #entries = new Map<string, Entry>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** False when there are too many workers already. */
  put(advert: Advert, retained: boolean): boolean {
    const untilMs = this.#clock.monotonicMs() + (retained ? advertRetainedLifeMs : advertLifeMs)
    const entry = this.#entries.get(advert.worker)
    if (entry) {
      Object.assign(entry, { advert, untilMs })
      entry.told.clear()
    } else if (this.#entries.size >= workersMax) return false
    else
      this.#entries.set(advert.worker, {
        advert,
        untilMs,
        busyUntilMs: 0,
        meter: new WorkerLink(),
        told: new Map(),
      })
    return true
  }

  has(worker: string): boolean {
    return this.#entries.has(worker)
  }
  forget(worker: string): void {
    this.#entries.delete(worker)
  }
  get workers(): string[] {
    return [...this.#entries.keys()]
  }
  /** Those whose last advert is too old to be believed. */
  expired(): string[] {
    const nowMs = this.#clock.monotonicMs()
    return [...this.#entries].filter(([, { untilMs }]) => untilMs <= nowMs).map(([worker]) => worker)
  }

  meter(worker: string): WorkerLink | undefined {
    return this.#entries.get(worker)?.meter
  }

  /** The worker says in an answer how long a request for this model would wait now. */
  told(worker: string, model: string, queueMs: number): void {
    const entry = this.#entries.get(worker)
    if (entry?.advert.models.some(({ name }) => name === model)) entry.told.set(model, queueMs)
  }

  /** The worker wants to be left alone for so long. */
  busy(worker: string, retryAfterMs: number): void {
    const entry = this.#entries.get(worker)
    if (entry) entry.busyUntilMs = this.#clock.monotonicMs() + retryAfterMs
  }
  /** Milliseconds until it may be asked again. */
  busyMs(worker: string): number {
    const untilMs = this.#entries.get(worker)?.busyUntilMs ?? 0
    return Math.max(0, untilMs - this.#clock.monotonicMs())
  }

  /** Names of the models for a task that workers run as far away as `reach`; each once. */
  modelsFor(task: string, reach: AdvertModel['reach']): string[] {
    const nowMs = this.#clock.monotonicMs()
    const names = [...this.#entries.values()]
      .filter(({ untilMs }) => untilMs > nowMs)
      .flatMap(({ advert }) => advert.models)
      .filter((model) => model.task === task && model.reach === reach)
      .map(({ name }) => name)
    return [...new Set(names)]
  }

  /** Every worker that offers the model now. `unanswered`: what this device has there that its advert may not know of. */
  candidates(model: string, unanswered: (worker: string) => number): Candidate[] {
    const nowMs = this.#clock.monotonicMs()
    const found: Candidate[] = []
    for (const [worker, { advert, untilMs, meter, told }] of this.#entries) {
      const advertised = advert.models.find(({ name }) => name === model)
      if (!advertised || untilMs <= nowMs) continue
      const offered = { ...advertised, queueMs: told.get(model) ?? advertised.queueMs }
      const own = unanswered(worker) * (offered.p50Ms ?? 1)
      const waitMs = offered.queueMs + own + loadMsOf(offered) + meter.oneWayMs
      found.push({ worker, model: offered, waitMs })
    }
    return found
  }

  /** One of two picked at random, the less loaded more often; then the others, for when those have no credits left. */
  ranked(candidates: readonly Candidate[]): string[] {
    const left = [...candidates]
    const pick = () => left.splice(Math.floor(this.#clock.random() * left.length), 1)
    const [one, other] = [...pick(), ...pick()]
    const pair = [one, other].filter((candidate) => candidate !== undefined)
    if (one && other && this.#clock.random() >= timeMs(other) / (timeMs(one) + timeMs(other))) pair.reverse()
    left.sort((a, b) => a.waitMs - b.waitMs)
    return [...pair, ...left].map(({ worker }) => worker)
  }
}

/** What loading it first takes there, milliseconds; 0 where it is loaded. */
export function loadMsOf({ loaded, loadMs = unknownLoadMs }: Pick<AdvertModel, 'loaded' | 'loadMs'>): number {
  return loaded ? 0 : loadMs
}

/** Until an answer, about. Never nothing: a worker that waits for nobody is not infinitely better. */
function timeMs({ waitMs, model }: Candidate): number {
  return waitMs + (model.p50Ms ?? 1)
}
