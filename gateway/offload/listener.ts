/**
 * The MQTT listener of a gateway's worker: says what it offers, takes requests from devices, has the service answer them, and sends
 * the answers on their way, small ones as messages and large ones by ticket. Nothing is taken on trust: each device is held to
 * its credits, a repeated id runs once, what nobody waits for any more is cancelled down to the backend.
 */
import { LRUCache } from 'lru-cache'
import type { Cancel, Clock } from '../../runtime/base/clock.ts'
import { messageOf } from '../../runtime/base/errors.ts'
import type { Log } from '../../runtime/base/log.ts'
import { InferError, type Tensor } from '../../runtime/wire/infer.ts'
import { wireLimits } from '../../runtime/wire/limits.ts'
import {
  aliveEveryMs,
  cancelMessage,
  encodeMessage,
  type InferMessage,
  inferMessage,
  parseMessage,
  ticketMessage,
} from '../../runtime/wire/offload.ts'
import { tensorFault } from '../../runtime/wire/tensor.ts'
import { type GatewayTopic, gatewayAsks, Topics } from '../../runtime/wire/topics.ts'
import { BrokerClient } from '../broker-client.ts'
import { advertOf } from './advert.ts'
import { Advertiser } from './advertiser.ts'
import { checkAnswerFits, chunkMessage } from './answer-messages.ts'
import { DeviceShares, type ShareLimits, shareDefaults } from './device-shares.ts'
import { QueueTimes } from './queue-times.ts'
import type { Serving } from './serving.ts'
import { OffloadTickets, TicketError, type TicketLimits, ticketDefaults } from './tickets.ts'

export interface OffloadListenerDeps {
  readonly clock: Clock
  readonly log: Log
  readonly serving: Serving
  /** Counts a message that is not what its topic promises, against the device that sent it. */
  readonly bad: (device: string, reason: string) => void
}

export interface OffloadListenerOptions {
  /** Names this worker; unique per broker. */
  readonly worker: string
  /** First levels of every topic. */
  readonly base: string
  readonly url: string
  readonly clientId: string
  readonly username?: string
  readonly password?: string
  readonly shares?: Partial<ShareLimits>
  readonly tickets?: Partial<TicketLimits>
}

export interface OffloadListenerStats {
  readonly connected: boolean
  readonly running: number
  readonly answered: number
  readonly failed: number
  readonly cancelled: number
  /** Requests beyond a device's credits that were told so, and those that were not even answered. */
  readonly refused: number
  readonly dropped: number
  readonly ticketsRefused: number
}

/** A request that is being answered. */
interface Job {
  readonly device: string
  readonly message: InferMessage
  /** That its device's credits are short of; and those of them that are in memory. */
  readonly bytes: number
  readonly here: number
  readonly arrivedMs: number
  readonly abort: AbortController
  /** Its device has its credits again. */
  released: boolean
}

/** Ids that were answered: a redelivery follows within seconds. */
const recentMax = 4_096
const retryAfterMs = 1_000
/** For what runs to be told that the worker stops. */
const drainMs = 500
const statusBytesMax = 64

export class OffloadListener implements AsyncDisposable {
  readonly worker: string
  /** For the HTTP API. */
  readonly tickets: OffloadTickets
  readonly #clock: Clock
  readonly #log: Log
  readonly #serving: Serving
  readonly #bad: OffloadListenerDeps['bad']
  readonly #topics: Topics
  readonly #queueTimes: QueueTimes
  readonly #shares: DeviceShares
  readonly #advertiser: Advertiser
  readonly #broker: BrokerClient
  readonly #jobs = new Map<string, Job>()
  readonly #running = new Set<Promise<void>>()
  /** Tickets for requests whose upload is awaited. */
  readonly #awaited = new Map<string, string>()
  readonly #recent = new LRUCache<string, true>({ max: recentMax })
  readonly #connectedOnce = Promise.withResolvers<void>()
  #cancelAlive: Cancel | undefined
  #answered = 0
  #failed = 0
  #cancelled = 0
  #closing: Promise<void> | undefined

  /** Starts connecting and returns at once. Throws when the worker's id is no topic level of its own. */
  static async open(
    deps: OffloadListenerDeps,
    options: OffloadListenerOptions,
    signal?: AbortSignal,
  ): Promise<OffloadListener> {
    signal?.throwIfAborted()
    const listener = new OffloadListener(deps, options)
    listener.#broker.connect()
    return listener
  }

  private constructor(deps: OffloadListenerDeps, options: OffloadListenerOptions) {
    const { clock, log } = deps
    const { worker, base, shares, tickets, ...connection } = options
    this.worker = worker
    this.#clock = clock
    this.#log = log
    this.#serving = deps.serving
    this.#queueTimes = new QueueTimes(clock, deps.serving)
    this.#bad = deps.bad
    this.#topics = new Topics(base)
    this.#shares = new DeviceShares(clock, { ...shareDefaults, ...shares })
    this.#advertiser = new Advertiser(
      {
        ...{ clock, log },
        offer: () => advertOf(worker, this.#serving, this.#shares.credits()),
        publish: (text) => void this.#publish(this.#topics.gatewayAdvert(worker), text, true),
      },
      worker,
    )
    this.tickets = new OffloadTickets(clock, { ...ticketDefaults, ...tickets })
    const heard = [
      ...gatewayAsks.map((ask) => this.#topics.gatewayAsk(worker, ask, '+')),
      this.#topics.availability('+'),
      this.#topics.gatewayAdvert(worker),
    ]
    const filters = Object.fromEntries(heard.map((topic) => [topic, 1] as const))
    // A broker ends the connection of whoever has the same client id: then neither would see that its worker's id is taken.
    const clientId = `${connection.clientId}-${this.#advertiser.instance.slice(0, 8)}`
    // Its session is clean: no request is carried out long after its device gave up.
    this.#broker = new BrokerClient(
      { clock, log },
      { ...connection, clientId, filters, presence: this.#topics.gatewayAdvert(worker) },
      {
        onMessage: (topic, payload, retained) => this.#onMessage(topic, payload, retained),
        onOversized: (topic, bytes) => this.#onOversized(topic, bytes),
        onConnection: (connected) => this.#onConnection(connected),
      },
    )
  }

  get connected(): boolean {
    return this.#broker.connected
  }

  /** True once it listens; false when `limitMs` passed first. */
  async listening(limitMs: number): Promise<boolean> {
    let cancel: Cancel = () => {}
    const late = new Promise<boolean>((resolve) => {
      cancel = this.#clock.after(limitMs, () => resolve(false))
    })
    const answer = await Promise.race([this.#connectedOnce.promise.then(() => true), late])
    cancel()
    return answer
  }

  stats(): OffloadListenerStats {
    return {
      connected: this.#broker.connected,
      running: this.#jobs.size,
      answered: this.#answered,
      failed: this.#failed,
      cancelled: this.#cancelled,
      refused: this.#shares.refused,
      dropped: this.#shares.dropped,
      ticketsRefused: this.tickets.refused,
    }
  }

  /** One line, while another gateway offers its models under the same id. */
  get problem(): string | undefined {
    return this.#advertiser.problem
  }

  /** Takes the advert back; whoever waits is told `engine-stopped`, and asks another worker. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#advertiser.stop()
    this.#cancelAlive?.()
    const stopping = new InferError('engine-stopped', `the gateway ${this.worker} is stopping`)
    for (const { abort } of this.#jobs.values()) abort.abort(stopping)
    let cancel = () => {}
    const late = new Promise<void>((resolve) => {
      cancel = this.#clock.after(drainMs, resolve)
    })
    await Promise.race([Promise.allSettled(this.#running), late])
    cancel()
    this.tickets[Symbol.dispose]()
    await this.#broker[Symbol.asyncDispose]()
  }

  #onConnection(connected: boolean): void {
    this.#advertiser.stop()
    if (connected) {
      this.#connectedOnce.resolve()
      this.#log.info('offers its models', { worker: this.worker })
      this.#advertiser.start()
      return
    }
    // Devices were told by the will: they ask elsewhere, and no answer would reach them.
    const lost = new InferError('cancelled', 'the connection to the broker was lost')
    for (const { abort } of this.#jobs.values()) abort.abort(lost)
    for (const ticket of [...this.#awaited.values()]) this.tickets.forget(ticket)
  }

  #onMessage(topic: string, payload: Uint8Array, retained: boolean): void {
    const asked = this.#topics.parseGateway(topic)
    if (asked && asked.kind !== 'advert') {
      const complaint = retained ? 'a retained request' : this.#onAsk(asked, payload)
      if (complaint === undefined) return
      this.#bad(asked.device, complaint)
      this.#shares.blame(asked.device)
      return
    }
    if (asked) {
      this.#advertiser.heard(payload, retained)
      return
    }
    const about = this.#topics.parse(topic)
    const gone = about?.kind === 'availability' && payload.byteLength <= statusBytesMax
    if (gone && new TextDecoder().decode(payload) === 'offline')
      this.#cancel(about.device, () => true, 'the device went away')
  }

  #onOversized(topic: string, bytes: number): void {
    const asked = this.#topics.parseGateway(topic)
    const device = asked && asked.kind !== 'advert' ? asked.device : 'somebody'
    this.#bad(device, `${bytes} bytes, more than any message of ours`)
  }

  /** What is wrong with the message, if anything. */
  #onAsk(asked: Exclude<GatewayTopic, { kind: 'advert' }>, payload: Uint8Array): string | undefined {
    const { kind, device } = asked
    if (kind === 'cancel') {
      const parsed = parseMessage(cancelMessage, payload)
      if (!parsed.ok) return parsed.reason
      const ids = new Set(parsed.value.ids)
      this.#cancel(device, (id) => ids.has(id), 'nobody waits for it any more')
      return undefined
    }
    if (this.#shares.ignores(device)) return 'more requests than it has credits for'
    if (kind === 'ticket') return this.#giveTicket(device, payload)
    const parsed = parseMessage(inferMessage, payload)
    if (!parsed.ok) return parsed.reason
    const message = parsed.value
    const complaint = this.#notNew(device, message)
    if (complaint !== undefined) return complaint === '' ? undefined : complaint
    if (!this.#enter(device, message, payload.byteLength)) return undefined
    const bytes = payload.byteLength
    this.#begin(device, message, { bytes, here: bytes }, this.#clock.monotonicMs())
    return undefined
  }

  /** Answers go to the device that asks and to nobody else. Empty: a repetition, which is nobody's fault. */
  #notNew(device: string, { id, replyTo }: { id: string; replyTo: string }): string | undefined {
    if (this.#topics.replyOf(replyTo) !== device) return 'replyTo is not a reply topic of this device'
    const key = `${device} ${id}`
    if (this.#jobs.has(key) || this.#recent.has(key)) return ''
    this.#recent.set(key, true)
    return undefined
  }

  /** False when the device has no credit left; it was told, or has been told often enough. */
  #enter(
    device: string,
    { id, replyTo }: { id: string; replyTo: string },
    bytes: number,
    here = bytes,
  ): boolean {
    if (this.#closing) {
      // It never ran: whoever asks may ask elsewhere, whatever its model.
      void this.#fail(replyTo, id, new InferError('unavailable', `the gateway ${this.worker} is stopping`))
      return false
    }
    const entry = this.#shares.enter(device, bytes, here)
    if (entry === 'entered') return true
    if (entry === 'dropped') this.#bad(device, 'more requests than it has credits for')
    else {
      const error = new InferError('overloaded', `${device} has as much unanswered here as it may`, {
        retryAfterMs,
      })
      void this.#fail(replyTo, id, error)
    }
    return false
  }

  #giveTicket(device: string, payload: Uint8Array): string | undefined {
    const parsed = parseMessage(ticketMessage, payload)
    if (!parsed.ok) return parsed.reason
    const { id, replyTo, bytes } = parsed.value
    const complaint = this.#notNew(device, parsed.value)
    if (complaint !== undefined) return complaint === '' ? undefined : complaint
    if (bytes > wireLimits.ticketBytesMax) {
      const limit = `${bytes} bytes, more than the ${wireLimits.ticketBytesMax} that a gateway takes`
      void this.#fail(replyTo, id, new InferError('bad-input', limit))
      return undefined
    }
    // What is announced and not here takes no room: many who ask and never send keep nobody out.
    if (!this.#enter(device, parsed.value, bytes, 0)) return undefined
    const key = `${device} ${id}`
    let here = 0
    const ticket = this.tickets.expect({
      bytesMax: bytes,
      onBytes: (more) => {
        if (!this.#shares.arrive(more)) throw new TicketError('busy', 'too many large requests at once')
        here += more
      },
      onArrived: (body, tookMs) => {
        this.#arrived(device, parsed.value, body, tookMs)
        this.#awaited.delete(key)
      },
      onGone: () => {
        this.#awaited.delete(key)
        this.#shares.leave(device, bytes, here)
      },
    })
    if (ticket === undefined) {
      this.#shares.leave(device, bytes, 0)
      const error = new InferError('overloaded', 'too many uploads are awaited', { retryAfterMs })
      void this.#fail(replyTo, id, error)
      return undefined
    }
    this.#awaited.set(key, ticket)
    void this.#publish(replyTo, encodeMessage({ t: 'ticket', id, ticket }))
    return undefined
  }

  #arrived(
    device: string,
    asked: { id: string; replyTo: string; bytes: number },
    body: Uint8Array,
    tookMs: number,
  ): void {
    const parsed = parseMessage(inferMessage, body, asked.bytes)
    if (!parsed.ok) throw new TicketError('malformed', `not a request: ${parsed.reason}`)
    const { id, replyTo } = parsed.value
    // Nobody would hear the answer.
    if (this.#closing || !this.connected) throw new TicketError('unknown', 'the gateway is stopping')
    if (id !== asked.id || replyTo !== asked.replyTo)
      throw new TicketError('malformed', 'not the request that the ticket is for')
    const size = { bytes: asked.bytes, here: body.byteLength }
    this.#begin(device, parsed.value, size, this.#clock.monotonicMs() - tookMs)
  }

  /** `sentMs`: when the deadline began to run, as far as is known here. */
  #begin(device: string, message: InferMessage, size: Pick<Job, 'bytes' | 'here'>, sentMs: number): void {
    const job: Job = {
      device,
      message,
      ...size,
      arrivedMs: sentMs,
      abort: new AbortController(),
      released: false,
    }
    const key = `${device} ${message.id}`
    this.#jobs.set(key, job)
    const run = this.#run(job).finally(() => {
      this.#jobs.delete(key)
      this.#running.delete(run)
      this.#release(job)
    })
    this.#running.add(run)
    this.#cancelAlive ??= this.#clock.after(aliveEveryMs, () => this.#sayAlive())
  }

  #publish(topic: string, payload: Uint8Array | string, retain = false): Promise<boolean> {
    return this.#broker.publish(topic, payload, { qos: 1, retain })
  }

  #release(job: Job): void {
    if (job.released) return
    job.released = true
    this.#shares.leave(job.device, job.bytes, job.here)
  }

  async #run(job: Job): Promise<void> {
    const { signal } = job.abort
    try {
      await this.#answer(job)
      this.#answered += 1
    } catch (error) {
      this.#failed += 1
      const reason: unknown = signal.aborted ? signal.reason : error
      const failure = reason instanceof InferError ? reason : new InferError('run', messageOf(reason))
      if (!(error instanceof InferError)) this.#log.error('answering failed', { reason: messageOf(error) })
      this.#release(job)
      // Whoever cancelled knows.
      if (failure.code !== 'cancelled') await this.#fail(job.message.replyTo, job.message.id, failure, job)
    }
  }

  async #answer(job: Job): Promise<void> {
    const { device, message, abort, arrivedMs } = job
    const { model, priority, privacy, inputs, parameters } = message
    if (privacy === 'device')
      throw new InferError('refused', 'inputs labelled device do not belong on a gateway')
    const fault = inputs.map(tensorFault).find((one) => one !== undefined)
    if (fault !== undefined) throw new InferError('bad-input', fault)
    checkAnswerFits(message, this.#serving)
    const deadlineMs = message.deadlineMs - (this.#clock.monotonicMs() - arrivedMs)
    if (deadlineMs <= 0) throw new InferError('deadline', `${model}: its deadline passed on the way`)
    const request = {
      caller: device,
      model,
      priority,
      privacy,
      deadlineMs,
      inputs: inputs as readonly Tensor[],
      ...(parameters && { parameters }),
    }
    let seq = 0
    for await (const chunk of this.#serving.infer(request, abort.signal)) {
      abort.signal.throwIfAborted()
      const last = chunk.final ? this.#lastOf(job) : {}
      const reply = chunkMessage(
        chunk,
        { id: message.id, seq, ...last },
        { ...message, device, tickets: this.tickets },
      )
      // Before the device reads it: its next request may be here sooner than our broker's acknowledgement.
      if (chunk.final) this.#release(job)
      await this.#publish(message.replyTo, reply)
      if (chunk.final) return
      seq += 1
    }
    abort.signal.throwIfAborted()
    throw new InferError('engine-lost', `${model} ended its answer before the end`)
  }

  /** What goes with the last reply to a request. */
  #lastOf({ arrivedMs, message }: Job) {
    return {
      tookMs: this.#clock.monotonicMs() - arrivedMs,
      credits: this.#shares.credits(),
      queueMs: this.#queueTimes.of(message.model),
    }
  }

  async #fail(
    replyTo: string,
    id: string,
    { code, message, retryAfterMs }: InferError,
    job?: Job,
  ): Promise<void> {
    const error = {
      code,
      message: message.slice(0, 1000),
      ...(retryAfterMs !== undefined && { retryAfterMs }),
    }
    const last = job ? this.#lastOf(job) : { credits: this.#shares.credits() }
    await this.#publish(replyTo, encodeMessage({ t: 'failed', id, error, ...last }))
  }

  #cancel(device: string, which: (id: string) => boolean, why: string): void {
    for (const job of this.#jobs.values()) {
      if (job.device !== device || !which(job.message.id) || job.abort.signal.aborted) continue
      this.#cancelled += 1
      job.abort.abort(new InferError('cancelled', why))
    }
    for (const [key, ticket] of [...this.#awaited]) {
      const [from, id = ''] = key.split(' ')
      if (from === device && which(id)) this.tickets.forget(ticket)
    }
  }

  /** Tells whoever waits for long that the request was not lost. */
  #sayAlive(): void {
    const ids = new Map<string, string[]>()
    for (const { message } of this.#jobs.values())
      ids.set(message.replyTo, [...(ids.get(message.replyTo) ?? []), message.id])
    for (const [replyTo, waiting] of ids)
      void this.#publish(replyTo, encodeMessage({ t: 'alive', ids: waiting }))
    this.#cancelAlive =
      this.#jobs.size > 0 ? this.#clock.after(aliveEveryMs, () => this.#sayAlive()) : undefined
  }
}
