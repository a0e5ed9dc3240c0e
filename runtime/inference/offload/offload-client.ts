/**
 * Inference at the gateways, from the device's side. A request waits here until a worker that offers its model has granted
 * credits for it, goes there over MQTT, or by an HTTP ticket where it is large, and is answered in replies on a topic that only
 * this device and its broker know. A worker that goes away loses no request: what it had not answered is asked of another, as
 * long as nothing of the answer was read, repeating it does no harm, and there is time.
 */
import type { Cancel, Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import type { Link } from '../../link/session.ts'
import { type InferChunk, InferError, type Privacy, strictest } from '../../wire/infer.ts'
import { wireLimits } from '../../wire/limits.ts'
import {
  encodeMessage,
  parseAdvert,
  parseMessage,
  reply as replySchema,
  silentMsMax,
  tensorBytes,
} from '../../wire/offload.ts'
import { tensorFault } from '../../wire/tensor.ts'
import type { RouteOffer, RouteRefusal } from '../router/route.ts'
import { AnswerStream } from './answer-stream.ts'
import { Attempt, type AttemptEnd } from './attempt.ts'
import { CreditQueue } from './credit-queue.ts'
import { GatewayAddresses } from './gateway-addresses.ts'
import {
  type Asked,
  cancelled,
  full,
  type Job,
  late,
  lost,
  lostCodes,
  notRunCodes,
  type OffloadReach,
  retryAfterMsDefault,
} from './job.ts'
import { envelopeBytes, inlineBytesMax, Offers } from './offers.ts'
import { WorkerTable } from './worker-table.ts'

/** What the client needs of the link. */
export type OffloadLink = Pick<Link, 'topics' | 'connected' | 'onChange' | 'subscribe' | 'publish'>

export interface OffloadDeps {
  readonly clock: Clock
  readonly log: Log
  readonly link: OffloadLink
}

export interface OffloadOptions {
  readonly deviceId: string
  /** HTTP addresses of the gateways, from the configuration: large requests go nowhere else. Empty: none can be large. */
  readonly gatewayUrls: readonly string[]
  /** How far anything may travel from this device, whatever its label: a gateway may know places that are farther away. */
  readonly allow?: Privacy
  /** Requests here at once, waiting or unanswered: more would not be answered in time anyway. */
  readonly requestsMax?: number
  /** Their inputs together, bytes. One that is being uploaded takes as much again. */
  readonly bytesMax?: number
}

export interface OffloadStats {
  readonly waiting: number
  readonly unanswered: number
  /** Inputs of both. */
  readonly bytes: number
  readonly answered: number
  /** Times that a request was asked again, elsewhere or later. */
  readonly moved: number
  readonly failed: number
  readonly workers: readonly string[]
}

const defaults = {
  requestsMax: 64,
  /** One of the largest, and room for small ones beside it. */
  bytesMax: 64 * 1024 * 1024,
}
/** Times that one request is sent: a worker that takes every request and answers none may not have it for ever. */
const attemptsMax = 3
/** How long a request whose worker went away waits for another one to show up. */
const absentMsMax = 5_000
/** How often adverts and silent workers are looked at while something is under way. */
const lookEveryMs = 500
export class OffloadClient implements AsyncDisposable {
  readonly #clock: Clock
  readonly #log: Log
  readonly #link: OffloadLink
  readonly #deviceId: string
  readonly #allow: Privacy
  readonly #replyTo: string
  readonly #queue: CreditQueue<Job>
  readonly #table: WorkerTable
  readonly #addresses: GatewayAddresses
  readonly #offers: Offers
  readonly #attempts = new Map<string, Attempt>()
  readonly #jobs = new Set<Job>()
  readonly #stop = new AbortController()
  readonly #unsubscribe: Cancel[] = []
  #cancelLook: Cancel | undefined
  #answered = 0
  #moved = 0
  #failed = 0

  /** Listens for adverts and answers; waits for nobody. */
  static async open(
    deps: OffloadDeps,
    options: OffloadOptions,
    signal?: AbortSignal,
  ): Promise<OffloadClient> {
    signal?.throwIfAborted()
    const client = new OffloadClient(deps, options)
    client.#listen()
    return client
  }

  private constructor(deps: OffloadDeps, options: OffloadOptions) {
    const { clock, link } = deps
    const log = deps.log.named('offload')
    this.#clock = clock
    this.#log = log
    this.#link = link
    this.#deviceId = options.deviceId
    this.#allow = options.allow ?? 'cloud'
    this.#replyTo = link.topics.reply(options.deviceId, clock.newId())
    this.#queue = new CreditQueue({
      requestsMax: options.requestsMax ?? defaults.requestsMax,
      bytesMax: options.bytesMax ?? defaults.bytesMax,
    })
    this.#table = new WorkerTable(clock)
    this.#addresses = new GatewayAddresses({ clock, log }, options.gatewayUrls)
    this.#offers = new Offers({ link, table: this.#table, queue: this.#queue, addresses: this.#addresses })
  }

  /** What the best worker offers for a model that runs there, or one line why none does. */
  offer(model: string, reach: OffloadReach): RouteOffer | RouteRefusal {
    return this.#offers.offer(model, reach)
  }

  /** Names of the models for a task (`chat`) that workers run as far away as `reach`. */
  modelsFor(task: string, reach: OffloadReach): string[] {
    return this.#offers.modelsFor(task, reach)
  }

  /** As `Inference.infer`. Aborting, or leaving the loop, cancels at the worker too. */
  async *infer(
    request: Asked,
    signal: AbortSignal,
    reach: OffloadReach = 'site',
  ): AsyncGenerator<InferChunk, void, undefined> {
    if (signal.aborted) throw cancelled(request, signal)
    const job = this.#admit(request, reach)
    const onAbort = () => this.#end(job, cancelled(request, signal))
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      this.#pump()
      yield* job.stream
    } finally {
      signal.removeEventListener('abort', onAbort)
      this.#end(job, cancelled(request, signal))
    }
  }

  stats(): OffloadStats {
    const waiting = this.#queue.waiting.length
    return {
      waiting,
      unanswered: this.#queue.size - waiting,
      bytes: this.#queue.bytes,
      answered: this.#answered,
      moved: this.#moved,
      failed: this.#failed,
      workers: this.#table.workers,
    }
  }

  /** Whoever waits hears `cancelled`; the workers are told. */
  async [Symbol.asyncDispose](): Promise<void> {
    const stopping = new InferError('cancelled', 'the device is stopping')
    this.#stop.abort(stopping)
    for (const job of [...this.#jobs]) this.#end(job, stopping)
    this.#cancelLook?.()
    for (const cancel of this.#unsubscribe.splice(0)) cancel()
  }

  #listen(): void {
    const { topics } = this.#link
    const adverts = topics.gatewayAdvert('+')
    this.#unsubscribe.push(
      this.#link.subscribe(adverts, ({ topic, payload, retained }) =>
        this.#onAdvert(topic, payload, retained),
      ),
      this.#link.subscribe(this.#replyTo, ({ payload, retained }) =>
        retained ? 'a retained answer' : this.#onReply(payload),
      ),
      this.#link.onChange((connected) => {
        if (!connected)
          for (const worker of this.#table.workers) this.#lose(worker, 'the connection to the broker ended')
      }),
    )
  }

  #onAdvert(topic: string, payload: Uint8Array, retained: boolean): string | undefined {
    const at = this.#link.topics.parseGateway(topic)
    if (at?.kind !== 'advert') return 'not the topic of a worker'
    if (payload.byteLength === 0) {
      this.#lose(at.worker, 'it went away')
      return undefined
    }
    const parsed = parseAdvert(payload)
    if (!parsed.ok) return parsed.reason
    const advert = parsed.value
    if (advert.worker !== at.worker) return 'an advert in the name of another worker'
    const known = this.#table.has(advert.worker)
    if (!this.#table.put(advert, retained)) return 'more workers than a site has'
    if (!known) this.#log.debug('a gateway is there', { worker: advert.worker })
    this.#queue.grant(advert.worker, advert.credits)
    this.#lookForAddresses()
    this.#pump()
    return undefined
  }

  /** Before a large request needs one. */
  #lookForAddresses(): void {
    const unknown = this.#table.workers.some((worker) => this.#addresses.of(worker) === undefined)
    if (unknown && this.#addresses.configured)
      void this.#addresses.look(this.#stop.signal).then(() => this.#pump())
  }

  #onReply(payload: Uint8Array): string | undefined {
    const parsed = parseMessage(replySchema, payload)
    if (!parsed.ok) return parsed.reason
    const reply = parsed.value
    if (reply.t === 'alive') {
      for (const id of reply.ids) this.#attempts.get(id)?.heard()
      return undefined
    }
    // None: nobody waits for it any more, or it is asked elsewhere by now.
    const attempt = this.#attempts.get(reply.id)
    if (!attempt) return undefined
    if (reply.t !== 'ticket') {
      if (reply.credits) this.#queue.grant(attempt.worker, reply.credits)
      if (reply.queueMs !== undefined) this.#table.told(attempt.worker, attempt.model, reply.queueMs)
    }
    attempt.accept(reply)
    return undefined
  }

  /** Throws InferError for what cannot be sent at all, and `overloaded` when too much waits already. */
  #admit(request: Asked, reach: OffloadReach): Job {
    const { priority, deadlineMs, inputs, parameters } = request
    const fault = inputs.map(tensorFault).find((one) => one !== undefined)
    if (fault !== undefined) throw new InferError('bad-input', fault)
    const words = parameters === undefined ? 0 : 4 * JSON.stringify(parameters).length
    const bytes = tensorBytes(inputs) + words + envelopeBytes
    if (this.#stop.signal.aborted) throw new InferError('unavailable', 'the device is stopping')
    const found = this.#offers.check(request, bytes, reach)
    const nowMs = this.#clock.monotonicMs()
    const job: Job = {
      request,
      reach,
      priority,
      bytes,
      dueMs: nowMs + deadlineMs,
      stream: new AnswerStream(),
      refusedBy: new Set(),
      cancelDeadline: () => {},
      idempotent: found.every(({ model }) => model.idempotent),
      attempts: 0,
      attempt: undefined,
      lastError: undefined,
      waitsSinceMs: nowMs,
    }
    const taken = this.#queue.add(job)
    if (!taken.taken) throw full(`${this.#queue.size} requests with ${this.#queue.bytes} bytes are under way`)
    for (const shed of taken.shed) this.#end(shed, full('it made room for a more urgent request'))
    this.#jobs.add(job)
    job.cancelDeadline = this.#clock.after(deadlineMs, () => this.#end(job, late(request)))
    this.#watch()
    return job
  }

  /** Sends whatever the credits allow. */
  #pump(): void {
    for (let next = this.#queue.take((job) => this.#offers.able(job)); next; ) {
      this.#send(next.item, next.worker)
      next = this.#queue.take((job) => this.#offers.able(job))
    }
  }

  #send(job: Job, worker: string): void {
    const { model, priority, privacy, inputs, parameters } = job.request
    const meter = this.#table.meter(worker)
    const leftMs = () => job.dueMs - this.#clock.monotonicMs() - (meter?.oneWayMs ?? 0)
    if (leftMs() <= 0) {
      this.#end(job, late(job.request))
      return
    }
    const id = this.#clock.newId()
    const replyTo = this.#replyTo
    job.attempts += 1
    job.idempotent = this.#offers
      .candidates(model, job.reach)
      .some((one) => one.worker === worker && one.model.idempotent)
    const attempt: Attempt = new Attempt(
      {
        clock: this.#clock,
        publish: (ask, message) => this.#publish(worker, ask, message),
        address: () => this.#addresses.of(worker),
        findAddress: (signal) => this.#addresses.look(signal).then(() => this.#addresses.of(worker)),
        meter,
      },
      {
        id,
        worker,
        model,
        replyTo,
        bytes: job.bytes,
        large: job.bytes > inlineBytesMax,
        envelope: () => {
          const deadlineMs = Math.max(1, leftMs())
          return encodeMessage({
            id,
            replyTo,
            model,
            priority,
            deadlineMs,
            privacy: strictest(privacy, this.#allow),
            inputs,
            ...(parameters && { parameters }),
            ...(this.#addresses.isMissing(worker) && { answerBytesMax: wireLimits.mqttPayloadBytesMax }),
          })
        },
      },
      {
        onChunk: (chunk) => this.#onChunk(job, attempt, chunk),
        onEnd: (end) => this.#onAttemptEnd(job, attempt, end),
      },
    )
    job.attempt = attempt
    this.#attempts.set(id, attempt)
    attempt.start()
  }

  #publish(worker: string, ask: 'infer' | 'ticket' | 'cancel', message: Uint8Array): Promise<void> {
    return this.#link.publish(this.#link.topics.gatewayAsk(worker, ask, this.#deviceId), message)
  }

  #onChunk(job: Job, { id, worker }: Attempt, { route, ...chunk }: Omit<InferChunk, 'id'>): void {
    const took = job.stream.push({
      ...chunk,
      id,
      // A worker may tighten a label, and never loosen it.
      ...(chunk.privacy && { privacy: strictest(job.request.privacy, chunk.privacy) }),
      ...(chunk.final && { route: routeOf(worker, route) }),
    })
    if (!took) {
      this.#end(job, new InferError('overloaded', 'its reader fell behind'))
      return
    }
    if (!chunk.final) return
    this.#answered += 1
    this.#forget(job)
    this.#pump()
  }

  /** The attempt came to nothing: another one, or the end. */
  #onAttemptEnd(job: Job, attempt: Attempt, end: AttemptEnd): void {
    if (job.attempt !== attempt) return
    const { error } = end
    const said = end.kind === 'failed'
    if (said && !notRunCodes.has(error.code) && !lostCodes.has(error.code)) {
      this.#end(job, error)
      return
    }
    const { worker } = attempt
    if (said) job.refusedBy.add(worker)
    else {
      if (end.addressWrong) this.#addresses.forget(worker)
      this.#cancelAt(attempt)
    }
    if (error.code === 'overloaded') this.#table.busy(worker, error.retryAfterMs ?? retryAfterMsDefault)
    this.#again(job, error, said ? lostCodes.has(error.code) : end.mayHaveRun)
  }

  /** Asks somebody else, where that does no harm. */
  #again(job: Job, error: InferError, mayHaveRun: boolean): void {
    const { model } = job.request
    if (!job.stream.startOver()) {
      this.#end(job, lost(`${error.message}, in the middle of the answer of ${model}`, error))
      return
    }
    if (mayHaveRun && !job.idempotent) {
      this.#end(job, lost(`${error.message}, and ${model} may not run twice`, error))
      return
    }
    if (job.attempts >= attemptsMax) {
      this.#end(job, error)
      return
    }
    if (job.attempt) this.#attempts.delete(job.attempt.id)
    job.attempt = undefined
    job.lastError = error
    job.waitsSinceMs = this.#clock.monotonicMs()
    this.#moved += 1
    this.#queue.putBack(job)
    this.#pump()
    if (!job.attempt && job.refusedBy.size > 0 && !this.#offers.somebodyElse(job)) this.#end(job, error)
  }

  /** A worker that is gone, or cannot be heard. */
  #lose(worker: string, why: string): void {
    if (!this.#table.has(worker)) return
    this.#log.debug('a gateway is lost', { worker, why })
    const hit = [...this.#attempts.values()].filter((attempt) => attempt.worker === worker)
    this.#table.forget(worker)
    for (const attempt of hit) attempt.lose(`the gateway ${worker} was lost: ${why}`)
    this.#queue.lose(worker)
  }

  /** While something is under way: adverts that are too old, workers that fell silent, requests that nobody can take. */
  #watch(): void {
    this.#cancelLook ??= this.#clock.after(lookEveryMs, () => {
      this.#cancelLook = undefined
      for (const worker of this.#table.expired()) this.#lose(worker, 'it says nothing any more')
      this.#loseSilent()
      this.#lookForAddresses()
      const nowMs = this.#clock.monotonicMs()
      for (const job of [...this.#queue.waiting])
        if (!this.#offers.somebodyElse(job) && nowMs - job.waitsSinceMs >= absentMsMax)
          this.#end(job, job.lastError ?? new InferError('unavailable', this.#offers.whyNobody(job)))
      this.#pump()
      if (this.#jobs.size > 0) this.#watch()
    })
  }

  /** A worker speaks of all that it works on. Of this it does not: it never came there, or the worker hangs. */
  #loseSilent(): void {
    for (const job of [...this.#jobs]) {
      const { attempt } = job
      if (!attempt?.silent) continue
      job.refusedBy.add(attempt.worker)
      this.#table.busy(attempt.worker, silentMsMax)
      attempt.lose(`the gateway ${attempt.worker} does not speak of a request that it was sent`)
    }
  }

  #end(job: Job, error: InferError): void {
    if (!this.#jobs.has(job)) {
      job.stream.fail(error)
      return
    }
    const { attempt } = job
    if (!job.stream.ended) this.#failed += 1
    this.#forget(job)
    job.stream.fail(error)
    if (attempt?.close()) this.#cancelAt(attempt)
    this.#pump()
  }

  #forget(job: Job): void {
    job.cancelDeadline()
    if (job.attempt) this.#attempts.delete(job.attempt.id)
    job.attempt = undefined
    this.#jobs.delete(job)
    this.#queue.settle(job)
  }

  /** Tells the worker that nobody waits. What is lost on the way ends there at its deadline. */
  #cancelAt({ worker, id }: Attempt): void {
    if (!this.#link.connected) return
    this.#publish(worker, 'cancel', encodeMessage({ ids: [id] })).catch((error) =>
      this.#log.debug('not cancelled', { worker, reason: messageOf(error) }),
    )
  }
}

/** `gateway/<worker>/<backend>`; of the worker that is named `gateway`, as most are, `gateway/<backend>`. */
function routeOf(worker: string, backend: string | undefined): string {
  return ['gateway', worker === 'gateway' ? [] : worker, backend ?? []].flat().join('/')
}
