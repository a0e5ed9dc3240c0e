/**
 * Which backend gets a request: of those that have the model, that its label may reach and whose circuit lets it through, one that
 * was not tried yet, near before far, with room before full, well before ailing, then the least busy. And how many places those
 * have together that it is meant for: the nearest ones that work.
 */
import type { Clock } from '../../runtime/base/clock.ts'
import { InferError, mayTravel } from '../../runtime/wire/infer.ts'
import type { Backend, ServedModel } from './backends/backend.ts'
import { CircuitBreaker, type CircuitOptions, type Pass } from './circuit-breaker.ts'
import type { ServingRequest } from './serving.ts'

export interface Offer {
  readonly backend: Backend
  readonly model: ServedModel
}

/** The right to ask a backend now. */
export interface Chosen extends Offer {
  readonly pass: Pass
  /** It has room for another one again; what comes after the first time is ignored. */
  leave(): void
}

type Asked = Pick<ServingRequest, 'model' | 'privacy'>

/** From here to one model of one backend. */
interface Way {
  readonly circuit: CircuitBreaker
  running: number
}

/** Far more than models; an upstream could name new ones for ever. */
const waysMax = 4096

export class Choice {
  readonly #clock: Clock
  readonly #backends: readonly Backend[]
  readonly #circuit: CircuitOptions
  readonly #ways = new Map<string, Way>()

  /** `backends`: in order of preference among equals. */
  constructor(clock: Clock, backends: readonly Backend[], circuit: CircuitOptions) {
    this.#clock = clock
    this.#backends = backends
    this.#circuit = circuit
  }

  /** Each name once: as the first backend offers it. */
  models(): readonly ServedModel[] {
    const byName = new Map<string, ServedModel>()
    for (const backend of this.#backends)
      for (const model of backend.models()) if (!byName.has(model.name)) byName.set(model.name, model)
    return [...byName.values()]
  }

  /** Backends that have the model, or would have it if they could be reached. */
  whoKnows(model: string): readonly Backend[] {
    return this.#backends.filter((backend) => backend.knows(model))
  }

  /** Of those, the ones that it may go to and that have it now. Throws `model-unknown`, `refused`, `unavailable`: there is none. */
  offers({ model, privacy }: Asked): readonly Offer[] {
    const known = this.whoKnows(model)
    if (known.length === 0) {
      const names = this.models().map(({ name }) => name)
      throw new InferError('model-unknown', `no model is named ${model}; there are: ${listOf(names)}`)
    }
    const allowed = known.filter((backend) => mayTravel(privacy, backend.reach))
    if (allowed.length === 0)
      throw new InferError(
        'refused',
        `model ${model} is served in the ${known[0]?.reach} only (${listOf(known.map(({ id }) => id))}), and inputs labelled ${privacy} may not go there`,
      )
    const offers = allowed.flatMap((backend) => {
      const served = backend.models().find(({ name }) => name === model)
      return served ? [{ backend, model: served }] : []
    })
    if (offers.length > 0) return offers
    const why = allowed.map((backend) => `${backend.id}: ${backend.health().reason ?? 'not ready'}`)
    throw new InferError('unavailable', `model ${model} cannot be reached now (${why.join('; ')})`, {
      retryable: true,
    })
  }

  /** Places of the nearest ones that work; a cloud is no place for what the site is only too busy with. */
  places(offers: readonly Offer[]): Pick<Backend, 'concurrency' | 'parallel'> {
    const working = offers.filter((offer) => this.#way(offer).circuit.state !== 'open')
    const some = working.length > 0 ? working : offers
    const near = some.filter(({ backend }) => backend.reach === 'site')
    const meant = (near.length > 0 ? near : some).map(({ backend }) => backend)
    const sum = (of: (backend: Backend) => number) => meant.reduce((all, backend) => all + of(backend), 0)
    return { concurrency: sum((one) => one.concurrency), parallel: sum((one) => one.parallel) }
  }

  /** The best one now. Throws as `offers`, and `unavailable` with a time while every circuit is open. */
  take(asked: Asked, tried: ReadonlySet<Backend>): Chosen {
    const ranked = this.offers(asked)
      .map((offer) => ({ offer, way: this.#way(offer) }))
      .map((one) => ({ ...one, rank: rankOf(one.offer.backend, one.way, tried) }))
      .sort((a, b) => byRank(a.rank, b.rank))
    for (const { offer, way } of ranked) {
      const pass = way.circuit.enter()
      if (pass) return { ...offer, pass, leave: entered(way) }
    }
    const names = listOf(ranked.map(({ offer }) => offer.backend.id))
    throw new InferError('unavailable', `model ${asked.model} failed lately at ${names}`, {
      retryable: true,
      retryAfterMs: Math.ceil(Math.min(...ranked.map(({ way }) => way.circuit.closedForMs))),
    })
  }

  /** True where one that was not tried would take it now. */
  hasAnother(asked: Asked, tried: ReadonlySet<Backend>): boolean {
    return this.offers(asked).some(
      (offer) => !tried.has(offer.backend) && this.#way(offer).circuit.closedForMs === 0,
    )
  }

  /** Models that the backend is not asked for as usual, because they failed there lately. */
  ailing(backend: Backend): readonly string[] {
    const state = (name: string) => this.#ways.get(keyOf(backend, name))?.circuit.state ?? 'closed'
    return backend.models().flatMap(({ name }) => (state(name) === 'closed' ? [] : [name]))
  }

  #way({ backend, model }: Offer): Way {
    const key = keyOf(backend, model.name)
    let way = this.#ways.get(key)
    if (!way) {
      if (this.#ways.size >= waysMax)
        for (const [other, { circuit, running }] of this.#ways)
          if (circuit.state === 'closed' && running === 0) this.#ways.delete(other)
      way = { circuit: new CircuitBreaker(this.#clock, this.#circuit), running: 0 }
      this.#ways.set(key, way)
    }
    return way
  }
}

function entered(way: Way): () => void {
  way.running += 1
  let left = false
  return () => {
    if (!left) way.running -= 1
    left = true
  }
}

const keyOf = (backend: Backend, model: string) => `${backend.id} ${model}`

/** Smaller is better. */
function rankOf(backend: Backend, way: Way, tried: ReadonlySet<Backend>): readonly number[] {
  const { state, running, queued } = backend.health()
  return [
    tried.has(backend) ? 1 : 0,
    backend.reach === 'site' ? 0 : 1,
    way.running >= backend.concurrency ? 1 : 0,
    ['ok', 'starting', 'away'].indexOf(state),
    (running + queued) / backend.concurrency,
  ]
}

function byRank(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((part, index) => part !== b[index])
  return at < 0 ? 0 : (a[at] ?? 0) - (b[at] ?? 0)
}

function listOf(names: readonly string[]): string {
  const shown = names.slice(0, 20).join(', ')
  return names.length > 20 ? `${shown} and ${names.length - 20} more` : shown || 'none'
}
