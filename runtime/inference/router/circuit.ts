/**
 * Leaves a place alone for a while after it failed, longer each time: nobody waits again and again for one that is gone.
 * Afterwards one request, or a copy of one, tries it.
 */
import { type BackoffOptions, backoffMs } from '../../base/retry.ts'
import type { InferErrorCode } from '../../wire/infer.ts'

const backoff: BackoffOptions = { firstMs: 250, maxMs: 15_000 }
/** Routes, and routes with a model, that are remembered as failing; the oldest is forgotten. */
const circuitsMax = 512

/** Failures of the place itself. */
const ofRoute: ReadonlySet<InferErrorCode> = new Set([
  'unavailable',
  'engine-lost',
  'engine-stopped',
  'deadline',
])
/** Failures of one model there; others may well run. */
const ofModel: ReadonlySet<InferErrorCode> = new Set(['model-unknown', 'model-load', 'memory', 'run'])

interface Open {
  readonly sinceMs: number
  readonly untilMs: number
  readonly failures: number
  readonly why: string
}

export class Circuits {
  readonly #open = new Map<string, Open>()
  /** Routes that were overtaken once: no more than there are routes. */
  readonly #silent = new Set<string>()
  readonly #random: () => number

  constructor(random: () => number) {
    this.#random = random
  }

  /** One line why the place is left alone now; undefined where it may be tried. `nowMs` is monotonic. */
  whyNot(route: string, model: string, nowMs: number): string | undefined {
    const open = this.#of(route, model)
    if (!open || nowMs >= open.untilMs) return undefined
    return `${open.why}; tried again in ${((open.untilMs - nowMs) / 1000).toFixed(1)} s`
  }

  /** What was sent at `sentMs` failed. `retryAfterMs` as the place itself says, for `overloaded`. */
  failed(
    route: string,
    model: string,
    code: InferErrorCode,
    {
      nowMs,
      sentMs,
      retryAfterMs,
    }: { readonly nowMs: number; readonly sentMs: number; readonly retryAfterMs?: number | undefined },
  ): void {
    if (code === 'overloaded') {
      const waitMs = Math.min(backoff.maxMs, retryAfterMs ?? backoff.firstMs)
      this.#set(inside(route, model), {
        sinceMs: nowMs,
        untilMs: nowMs + waitMs,
        failures: 0,
        why: 'it has too much to do',
      })
      return
    }
    const name = ofRoute.has(code) ? route : ofModel.has(code) ? inside(route, model) : undefined
    if (name === undefined) return
    const before = this.#open.get(name)
    // Several were under way when it failed: that is one failure, and not another try.
    if (before && sentMs < before.sinceMs) return
    const failures = (before?.failures ?? 0) + 1
    const waitMs = backoffMs(failures - 1, backoff, this.#random())
    const times = failures === 1 ? 'it failed' : `it failed ${failures} times in a row`
    this.#set(name, { sinceMs: nowMs, untilMs: nowMs + waitMs, failures, why: `${times} (${code})` })
  }

  /** It was overtaken by a second try: the second time in a row counts as a failure. */
  silent(route: string, model: string, at: { readonly nowMs: number; readonly sentMs: number }): void {
    if (this.#silent.delete(route)) this.failed(route, model, 'deadline', at)
    else this.#silent.add(route)
  }

  answered(route: string, model: string): void {
    this.#silent.delete(route)
    this.#open.delete(route)
    this.#open.delete(inside(route, model))
  }

  #of(route: string, model: string): Open | undefined {
    const [a, b] = [this.#open.get(route), this.#open.get(inside(route, model))]
    if (!a || !b) return a ?? b
    return a.untilMs > b.untilMs ? a : b
  }

  #set(name: string, open: Open): void {
    this.#open.delete(name)
    this.#open.set(name, open)
    const oldest = this.#open.keys().next().value
    if (this.#open.size > circuitsMax && oldest !== undefined) this.#open.delete(oldest)
  }
}

const inside = (route: string, model: string) => `${route}\n${model}`
