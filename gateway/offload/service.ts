/**
 * Inference at the gateway: one request in, a stream of chunks out, from whichever backend may and can answer. Policy first
 * (labels, what is offered), then a place (`admission.ts`), then tries: the best backend (`choice.ts`), and another try only
 * where nothing was streamed, repeating does no harm, the budget has a token and there is time.
 */
import type { Clock } from '../../runtime/base/clock.ts'
import { sleep } from '../../runtime/base/clock.ts'
import { messageOf } from '../../runtime/base/errors.ts'
import type { Log } from '../../runtime/base/log.ts'
import { backoffMs } from '../../runtime/base/retry.ts'
import { type InferChunk, InferError, type InferErrorCode, type Tensor } from '../../runtime/wire/infer.ts'
import type { ServedBy } from '../../runtime/wire/offload.ts'
import { Admission, type AdmissionOptions } from './admission.ts'
import type { Backend, BackendHealth, ServedModel } from './backends/backend.ts'
import { Choice, type Chosen, type Offer } from './choice.ts'
import { type CircuitOptions, circuitDefaults, type Pass } from './circuit-breaker.ts'
import { CloudTexts, type SiteNames } from './cloud-texts.ts'
import { cacheKey, type ResultCache } from './result-cache.ts'
import { RetryBudget } from './retry-budget.ts'
import type { ModelLoad, Serving, ServingRequest } from './serving.ts'

export interface ServiceDeps {
  readonly clock: Clock
  readonly log: Log
  /** In order of preference among equals. Closed with the service. */
  readonly backends: readonly Backend[]
  /** Answers of models that may be kept; absent: none are. */
  readonly cache?: ResultCache
  /** Hidden in what goes to a cloud, besides what looks personal by its form. */
  readonly names?: SiteNames
}

export interface ServiceOptions extends AdmissionOptions {
  readonly circuit?: CircuitOptions
  /** Ids of backends in a cloud that get texts as they are. */
  readonly unredacted?: ReadonlySet<string>
}

/** One backend as health shows it. */
export interface BackendReport extends BackendHealth {
  readonly id: string
  readonly reach: Backend['reach']
  readonly models: readonly string[]
  /** Models that are not asked for there now, because they failed lately. */
  readonly open: readonly string[]
}

export interface ServiceHealth {
  readonly queued: number
  readonly backends: readonly BackendReport[]
}

/** The first, and two more. */
const attemptsMax = 3
const retryBackoff = { firstMs: 50, maxMs: 1_000 }
/** Who is told to wait for longer is told so: it may know of another place, and would hold one here meanwhile. */
const retryWaitMsMax = 2_000
/** The longest that anybody may wait for an answer: a long generation. */
const deadlineMsMax = 60 * 60_000
/** Shorter silence says more of the caller's patience than of the backend. */
const hangMs = 5_000

/** Far more than models; an upstream could name new ones for ever. */
const budgetsMax = 4096

/** It never began there: another try does no harm, whatever the model. */
const neverBegan: ReadonlySet<InferErrorCode> = new Set([
  'unavailable',
  'overloaded',
  'memory',
  'model-unknown',
  'model-load',
  'engine-stopped',
])
/** What says that a backend is not well. */
const faults: ReadonlySet<InferErrorCode> = new Set(['unavailable', 'engine-lost', 'model-load'])

const nobody: ReturnType<SiteNames> = []

/** One request on its way through. */
interface Journey {
  readonly request: ServingRequest
  readonly startMs: number
  /** Aborts at the deadline, or when the caller has gone. */
  readonly signal: AbortSignal
  readonly tried: Set<Backend>
  /** Tries that gave no answer. */
  readonly failed: ServedBy['failed']
  firstTryMs: number | undefined
  /** Time in the model, of the answer. */
  modelMs: number | undefined
  streamed: boolean
}

export class InferenceService implements Serving, AsyncDisposable {
  readonly #clock: Clock
  readonly #log: Log
  readonly #backends: readonly Backend[]
  readonly #cache: ResultCache | undefined
  readonly #options: ServiceOptions
  readonly #admission: Admission
  readonly #choice: Choice
  readonly #texts: CloudTexts
  readonly #budgets = new Map<string, RetryBudget>()
  readonly #closed = new AbortController()
  #closing: Promise<void> | undefined

  constructor(deps: ServiceDeps, options: ServiceOptions) {
    this.#clock = deps.clock
    this.#log = deps.log
    this.#backends = deps.backends
    this.#cache = deps.cache
    this.#options = options
    this.#admission = new Admission(deps.clock, options)
    this.#choice = new Choice(deps.clock, deps.backends, options.circuit ?? circuitDefaults)
    this.#texts = new CloudTexts(deps.names ?? (() => nobody), options.unredacted ?? new Set())
  }

  /** Each name once: as the first backend offers it. */
  models(): readonly ServedModel[] {
    return this.#choice.models()
  }

  /** Backends that have the model, or would have it if they could be reached. */
  whoKnows(model: string): readonly Pick<Backend, 'id' | 'reach'>[] {
    return this.#choice.whoKnows(model)
  }

  load(): readonly ModelLoad[] {
    return this.models().map(({ name, loaded = true, loadMs }) => {
      const load = this.#admission.load(name) ?? { queued: 0, running: 0, queueMs: 0 }
      const near = this.whoKnows(name).some(({ reach }) => reach === 'site')
      const reach = near ? 'site' : 'cloud'
      const price = this.#price(name, reach)
      return {
        ...{ model: name, ...load, loaded, reach },
        ...(loadMs !== undefined && { loadMs }),
        ...(price > 0 && { price }),
      }
    })
  }

  /** Of the dearest one there that it may go to: which one takes a request is not known before. */
  #price(name: string, reach: Backend['reach']): number {
    const there = this.#backends.filter((backend) => backend.reach === reach)
    const offered = there.flatMap((backend) => backend.models().filter((model) => model.name === name))
    return Math.max(0, ...offered.map(({ price = 0 }) => price))
  }

  health(): ServiceHealth {
    return {
      queued: this.#admission.queued,
      backends: this.#backends.map((backend) => {
        const models = backend.models().map(({ name }) => name)
        const open = this.#choice.ailing(backend)
        return { id: backend.id, reach: backend.reach, models, open, ...backend.health() }
      }),
    }
  }

  async *infer(request: ServingRequest, signal: AbortSignal): AsyncGenerator<InferChunk, void, undefined> {
    this.#check(request)
    const offers = this.#choice.offers(request)
    const asked = this.#keeping(request, offers.find(({ backend }) => backend.reach === 'site') ?? offers[0])
    const kept = asked && this.#cache?.get(asked.key, { id: this.#clock.newId(), privacy: request.privacy })
    if (kept) return yield* kept
    const mayKeep = offers.some((offer) => this.#keeping(request, offer))
    const chunks: InferChunk[] = []
    for await (const chunk of this.#fresh(request, offers, signal)) {
      if (mayKeep) chunks.push(chunk)
      // Before it is read: a reader may leave at the last chunk.
      if (mayKeep && chunk.final) this.#keep(request, offers, chunks)
      yield chunk
    }
  }

  /** Under what it was, and not what it might have been: a cloud's vector is that of the hidden text. */
  #keep(request: ServingRequest, offers: readonly Offer[], chunks: readonly InferChunk[]): void {
    const by = chunks.at(-1)?.served?.backend
    const keeping = this.#keeping(
      request,
      offers.find(({ backend }) => backend.id === by),
    )
    if (keeping) this.#cache?.put(keeping.key, chunks, request.privacy, keeping.cacheS)
  }

  /** Under which name, and for how long, an answer from there may be kept. */
  #keeping(request: ServingRequest, offer: Offer | undefined): { key: string; cacheS: number } | undefined {
    if (!this.#cache || !offer?.model.idempotent || offer.model.cacheS === undefined) return undefined
    const { model, backend } = offer
    return { key: cacheKey({ ...model, reach: backend.reach }, request), cacheS: offer.model.cacheS }
  }

  async *#fresh(
    request: ServingRequest,
    offers: readonly Offer[],
    signal: AbortSignal,
  ): AsyncGenerator<InferChunk, void, undefined> {
    const limit = new AbortController()
    const cancelLimit = this.#clock.after(request.deadlineMs, () => limit.abort(late(request)))
    const journey: Journey = {
      request,
      startMs: this.#clock.monotonicMs(),
      signal: AbortSignal.any([signal, limit.signal, this.#closed.signal]),
      tried: new Set(),
      failed: [],
      firstTryMs: undefined,
      modelMs: undefined,
      streamed: false,
    }
    try {
      const place = await this.#admission.enter(this.#applicant(request, offers), journey.signal)
      const leave = () => place.leave(journey.modelMs)
      // Whoever reads may be slow to read, or to leave: its place is not.
      journey.signal.addEventListener('abort', leave, { once: true })
      try {
        for await (const chunk of this.#attempts(journey)) {
          if (chunk.final) leave()
          yield chunk
        }
      } finally {
        leave()
      }
    } catch (error) {
      throw this.#outcome(error, signal, limit.signal)
    } finally {
      cancelLimit()
      // The reader may have left in the middle: whoever still works for it stops.
      limit.abort(gone())
    }
  }

  /** Whoever waits or is served is told `engine-stopped`. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#closed.abort(stopped())
    await Promise.all(this.#backends.map((backend) => backend[Symbol.asyncDispose]()))
  }

  #check({ privacy, deadlineMs, inputs }: ServingRequest): void {
    if (this.#closed.signal.aborted) throw stopped()
    if (privacy === 'device')
      throw new InferError('refused', 'inputs labelled device never leave the device: a gateway refuses them')
    if (!(deadlineMs > 0 && deadlineMs <= deadlineMsMax))
      throw new InferError('bad-input', `the deadline is not within 1 to ${deadlineMsMax} ms`)
    if (bytesOf(inputs) > this.#options.bytesMax)
      throw new InferError('bad-input', `the inputs have more than ${this.#options.bytesMax} bytes`)
  }

  #applicant(request: ServingRequest, offers: readonly Offer[]) {
    const { model, caller, priority, deadlineMs, inputs } = request
    return { model, caller, priority, deadlineMs, bytes: bytesOf(inputs), ...this.#choice.places(offers) }
  }

  async *#attempts(journey: Journey): AsyncGenerator<InferChunk, void, undefined> {
    const { request, tried } = journey
    const budget = this.#budget(request.model)
    budget.onRequest()
    for (let attempt = 1; ; attempt += 1) {
      const chosen = this.#choice.take(request, tried)
      tried.add(chosen.backend)
      const failure = yield* this.#try(journey, chosen)
      if (failure === undefined) return
      const waitMs = this.#retryInMs(failure.error, attempt, journey, chosen)
      if (waitMs === undefined || !budget.take()) throw failure.error
      const { code } = failure.error as InferError
      const backend = chosen.backend.id
      journey.failed.push({ backend, code })
      this.#log.info('trying again', { model: request.model, backend, why: code, waitMs })
      await sleep(this.#clock, waitMs, journey.signal)
    }
  }

  /** Gives the answer, or returns why there is none. */
  async *#try(
    journey: Journey,
    chosen: Chosen,
  ): AsyncGenerator<InferChunk, { readonly error: unknown } | undefined, undefined> {
    const { signal } = journey
    const { pass, leave } = chosen
    const startMs = this.#clock.monotonicMs()
    journey.firstTryMs ??= startMs
    signal.addEventListener('abort', leave, { once: true })
    try {
      yield* this.#answer(journey, chosen)
      return undefined
    } catch (error) {
      this.#judge(error, pass, startMs, signal)
      return { error }
    } finally {
      pass.abandoned()
      leave()
    }
  }

  async *#answer(journey: Journey, { backend, pass }: Chosen): AsyncGenerator<InferChunk, void, undefined> {
    const { request, signal } = journey
    signal.throwIfAborted()
    const { caller: _, ...asked } = request
    const startMs = this.#clock.monotonicMs()
    const { request: sent, back } = await this.#texts.onWay(asked, backend, signal)
    signal.throwIfAborted()
    const id = this.#clock.newId()
    const chunks = backend.infer({ ...sent, id, deadlineMs: this.#leftMs(journey) }, signal)
    for await (const given of untilAborted(chunks, signal)) {
      journey.streamed = true
      const chunk = back(given)
      if (!chunk.final) yield { ...chunk, id }
      else {
        journey.modelMs = chunk.modelMs ?? this.#clock.monotonicMs() - startMs
        // Before it is read: a reader may leave at the last chunk.
        pass.succeeded()
        yield { ...chunk, id, route: backend.id, served: this.#served(journey, backend) }
        return
      }
    }
    throw new InferError('engine-lost', `${backend.id} ended its answer before the end`, { retryable: true })
  }

  #served({ startMs, firstTryMs = startMs, failed }: Journey, { id }: Backend): ServedBy {
    const runMs = this.#clock.monotonicMs() - firstTryMs
    return { backend: id, failed, cached: false, queueMs: firstTryMs - startMs, runMs }
  }

  #leftMs({ startMs, request }: Journey): number {
    return startMs + request.deadlineMs - this.#clock.monotonicMs()
  }

  #judge(error: unknown, pass: Pass, startMs: number, signal: AbortSignal): void {
    const lastedMs = this.#clock.monotonicMs() - startMs
    if (signal.aborted) {
      const hung = signal.reason instanceof InferError && signal.reason.code === 'deadline'
      if (hung && lastedMs >= hangMs) pass.failed()
      else pass.abandoned()
    } else if (!(error instanceof InferError)) pass.failed()
    else if (faults.has(error.code) || (error.code === 'run' && error.retryable)) pass.failed()
    else if (error.code === 'deadline' && lastedMs >= hangMs) pass.failed()
    // A caller's mistake was found by a backend that is well; a full one is well too.
    else if (error.code === 'bad-input') pass.succeeded()
    else pass.abandoned()
  }

  /** When to try again, or undefined: not at all. */
  #retryInMs(
    error: unknown,
    attempt: number,
    journey: Journey,
    { backend, model }: Offer,
  ): number | undefined {
    if (!(error instanceof InferError) || attempt >= attemptsMax) return undefined
    if (journey.streamed || journey.signal.aborted) return undefined
    const harmless = neverBegan.has(error.code) || (error.retryable && model.idempotent)
    if (!harmless) return undefined
    const elsewhere = this.#choice.hasAnother(journey.request, journey.tried)
    // Where it does not fit or is not known, asking the same one again changes nothing.
    if (!error.retryable && !elsewhere) return undefined
    const backedOffMs = backoffMs(attempt - 1, retryBackoff, this.#clock.random())
    const waitMs = elsewhere ? 0 : Math.max(backedOffMs, error.retryAfterMs ?? 0)
    if (waitMs > retryWaitMsMax || waitMs >= this.#leftMs(journey)) return undefined
    this.#log.debug('an attempt failed', { backend: backend.id, model: model.name, why: messageOf(error) })
    return waitMs
  }

  #outcome(error: unknown, caller: AbortSignal, limit: AbortSignal): InferError {
    if (this.#closed.signal.aborted) return stopped()
    if (caller.aborted) return gone()
    if (limit.aborted) return limit.reason as InferError
    if (error instanceof InferError) return error
    this.#log.error('a backend failed in a way that it should not', { error: messageOf(error) })
    return new InferError('run', 'the gateway failed; its log says why', { cause: error })
  }

  #budget(model: string): RetryBudget {
    let budget = this.#budgets.get(model)
    if (!budget) {
      if (this.#budgets.size >= budgetsMax) this.#budgets.clear()
      budget = new RetryBudget()
      this.#budgets.set(model, budget)
    }
    return budget
  }
}

/** Ends with the signal, whatever the source does. A race with the signal would leave something behind for each chunk. */
async function* untilAborted<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]()
  let giveUp: (reason: unknown) => void = () => {}
  const onAbort = () => giveUp(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    for (;;) {
      const next = await new Promise<IteratorResult<T>>((resolve, reject) => {
        giveUp = reject
        iterator.next().then(resolve, reject)
        if (signal.aborted) onAbort()
      })
      if (next.done) return
      yield next.value
    }
  } finally {
    signal.removeEventListener('abort', onAbort)
    // Not waited for: a source that hangs would hang its reader.
    iterator.return?.().catch(() => {})
  }
}

function bytesOf(inputs: readonly Tensor[]): number {
  return inputs.reduce(
    (sum, { data }) =>
      sum + (Array.isArray(data) ? data.reduce((all, text) => all + text.length * 2, 0) : data.byteLength),
    0,
  )
}

function late({ model, deadlineMs }: ServingRequest): InferError {
  return new InferError('deadline', `${model} did not answer within ${Math.round(deadlineMs)} ms`, {
    retryable: true,
  })
}

function gone(): InferError {
  return new InferError('cancelled', 'cancelled by its caller')
}

function stopped(): InferError {
  return new InferError('engine-stopped', 'the gateway is stopping')
}
