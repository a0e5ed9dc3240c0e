/**
 * One sending of a request to one worker: inline, or by a ticket that is asked for first; and its replies, in their order. Ends
 * once: with the final chunk, with the worker's own error, or lost.
 */
import { type Clock, sleep } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import { HttpError, httpGet } from '../../base/http-get.ts'
import { type InferChunk, InferError } from '../../wire/infer.ts'
import { wireLimits } from '../../wire/limits.ts'
import { encodeMessage, parseOutputs, type Reply, silentMsMax } from '../../wire/offload.ts'
import type { GatewayAsk } from '../../wire/topics.ts'
import { upload } from './upload.ts'
import type { WorkerLink } from './worker-link.ts'

export type AttemptEnd =
  /** The worker said so. */
  | { readonly kind: 'failed'; readonly error: InferError }
  | {
      readonly kind: 'lost'
      readonly error: InferError
      readonly mayHaveRun: boolean
      /** The worker's HTTP address did not answer as it should. */
      readonly addressWrong: boolean
    }

export interface AttemptDeps {
  readonly clock: Clock
  /** Publishes to the worker; rejects when the broker did not take it. */
  readonly publish: (ask: GatewayAsk, message: Uint8Array) => Promise<void>
  /** HTTP address of the worker, where one is known. */
  readonly address: () => string | undefined
  /** The same, after asking the configured ones once more. */
  readonly findAddress: (signal: AbortSignal) => Promise<string | undefined>
  readonly meter: WorkerLink | undefined
}

export interface AttemptOptions {
  /** On the wire, and unguessable. */
  readonly id: string
  readonly worker: string
  readonly model: string
  readonly replyTo: string
  /** Of the request, about. */
  readonly bytes: number
  /** Too large for one MQTT message. */
  readonly large: boolean
  /** The message of the request, with the time that is left when it is called. */
  readonly envelope: () => Uint8Array
}

export interface AttemptEvents {
  readonly onChunk: (chunk: Omit<InferChunk, 'id'>) => void
  /** Once, unless the final chunk came or it was closed. */
  readonly onEnd: (end: AttemptEnd) => void
}

type ChunkReply = Extract<Reply, { t: 'chunk' }>

/** Replies that wait while the outputs of one before them are fetched. */
const waitingMax = 64
/** As often as a gateway lets an answer be fetched. */
const fetchesMax = 3
const fetchAgainMs = 250

export class Attempt {
  readonly worker: string
  readonly id: string
  readonly model: string
  readonly large: boolean
  readonly #deps: AttemptDeps
  readonly #options: AttemptOptions
  readonly #events: AttemptEvents
  readonly #stop = new AbortController()
  readonly #waiting: ChunkReply[] = []
  #sentMs: number
  #heardMs: number
  #nextSeq = 0
  #publishing = false
  #fetching = false
  #uploading = false
  /** What would let the worker begin has left this device. */
  #mayHaveRun = false
  #ended = false

  constructor(deps: AttemptDeps, options: AttemptOptions, events: AttemptEvents) {
    this.#deps = deps
    this.#options = options
    this.#events = events
    this.id = options.id
    this.worker = options.worker
    this.model = options.model
    this.large = options.large
    this.#sentMs = deps.clock.monotonicMs()
    this.#heardMs = this.#sentMs
  }

  /** The worker has not said anything of it for longer than one that works on it would. */
  get silent(): boolean {
    // What goes over HTTP has its own ways to fail; what the broker does not have yet, no worker can speak of.
    if (this.#publishing || this.#uploading || this.#fetching) return false
    return this.#deps.clock.monotonicMs() - this.#heardMs > silentMsMax
  }

  start(): void {
    if (this.#options.large) this.#askForTicket()
    else this.#sendInline()
  }

  /** The worker says that it works on it. */
  heard(): void {
    this.#heardMs = this.#deps.clock.monotonicMs()
  }

  accept(reply: Exclude<Reply, { t: 'alive' }>): void {
    if (this.#ended) return
    this.heard()
    if (reply.t === 'ticket') void this.#upload(reply.ticket)
    else if (reply.t === 'failed') {
      this.#measure(reply.tookMs)
      const { code, message, retryAfterMs } = reply.error
      const retryable = code !== 'bad-input' && code !== 'refused'
      const options = { retryable, ...(retryAfterMs !== undefined && { retryAfterMs }) }
      this.#end({ kind: 'failed', error: new InferError(code, message, options) })
    } else this.#acceptChunk(reply)
  }

  /** The worker is gone, or what it said was lost on the way. */
  lose(why: string, { mayHaveRun = this.#mayHaveRun, addressWrong = false } = {}): void {
    const error = new InferError('unavailable', why, { retryable: true })
    this.#end({ kind: 'lost', error, mayHaveRun, addressWrong })
  }

  /** Nobody waits for it any more. True where the worker has to be told. */
  close(): boolean {
    if (this.#ended) return false
    this.#ended = true
    this.#stop.abort(new InferError('cancelled', 'nobody waits for it any more'))
    return true
  }

  #sendInline(): void {
    const envelope = this.#options.envelope()
    if (envelope.byteLength > wireLimits.mqttPayloadBytesMax) {
      const message = `${envelope.byteLength} bytes with its parameters, too many for MQTT`
      this.#end({ kind: 'failed', error: new InferError('bad-input', message) })
      return
    }
    this.#mayHaveRun = true
    this.#publish('infer', envelope)
  }

  #askForTicket(): void {
    const { id, replyTo, bytes } = this.#options
    this.#publish('ticket', encodeMessage({ id, replyTo, bytes }))
  }

  #publish(ask: GatewayAsk, message: Uint8Array): void {
    const sent = () => {
      this.#publishing = false
      this.heard()
    }
    this.#publishing = true
    this.#deps.publish(ask, message).then(sent, (error) => {
      // Only where a connection ended may the broker have had it.
      const mayHaveRun = this.#mayHaveRun && (error as { code?: unknown }).code === 'disconnected'
      this.lose(`not sent to ${this.worker}: ${messageOf(error)}`, { mayHaveRun })
    })
  }

  async #upload(ticket: string): Promise<void> {
    const address = this.#deps.address()
    if (!this.#options.large || this.#mayHaveRun) return
    if (address === undefined) {
      this.lose(`the address of ${this.worker} is not known any more`)
      return
    }
    this.#deps.meter?.sample(0, this.#deps.clock.monotonicMs() - this.#sentMs)
    const body = this.#options.envelope()
    this.#mayHaveRun = true
    this.#uploading = true
    this.#sentMs = this.#deps.clock.monotonicMs()
    try {
      const uploaded = await upload(`${address}/api/tickets/${ticket}`, body, this.#stop.signal)
      this.#uploading = false
      this.heard()
      if (uploaded.accepted)
        this.#deps.meter?.sample(body.byteLength, this.#deps.clock.monotonicMs() - this.#sentMs)
      else if (uploaded.error.code === 'unavailable')
        this.lose(uploaded.error.message, { mayHaveRun: uploaded.mayRun, addressWrong: true })
      else this.#end({ kind: 'failed', error: uploaded.error })
    } catch (error) {
      if (!this.#stop.signal.aborted) throw error
    }
  }

  #acceptChunk(reply: ChunkReply): void {
    // QoS 1 may repeat a message, and a connection that ends may lose one.
    if (reply.seq < this.#nextSeq) return
    if (reply.seq > this.#nextSeq) {
      this.lose(`a part of the answer of ${this.worker} was lost`)
      return
    }
    this.#nextSeq += 1
    if (this.#waiting.length >= waitingMax) {
      this.lose(`${this.worker} sends faster than its answers can be fetched`)
      return
    }
    this.#waiting.push(reply)
    if (!this.#fetching) this.#deliver()
  }

  /** Hands on what has its outputs; fetches those of the first that has not. */
  #deliver(): void {
    for (let reply = this.#waiting.shift(); reply && !this.#ended; reply = this.#waiting.shift()) {
      if (reply.outputs === undefined) {
        void this.#fetch(reply)
        return
      }
      this.#hand(reply, reply.outputs)
    }
  }

  async #fetch(reply: ChunkReply): Promise<void> {
    const { ticket } = reply
    if (ticket === undefined) {
      this.lose(`${this.worker} sent a chunk without outputs`)
      return
    }
    this.#fetching = true
    try {
      const address = this.#deps.address() ?? (await this.#deps.findAddress(this.#stop.signal))
      if (address === undefined) throw new Error('its HTTP address is not known')
      const parsed = parseOutputs(await this.#get(`${address}/api/tickets/${ticket}`))
      this.#fetching = false
      this.heard()
      if (this.#ended) return
      if (!parsed.ok) {
        this.lose(`the answer of ${this.worker} makes no sense: ${parsed.reason}`)
        return
      }
      this.#hand(reply, parsed.value)
      this.#deliver()
    } catch (error) {
      this.#fetching = false
      this.lose(`the answer of ${this.worker} could not be fetched: ${messageOf(error)}`, {
        addressWrong: true,
      })
    }
  }

  /** A connection that breaks is no answer yet: the ticket stands until all was fetched. */
  async #get(url: string): Promise<Uint8Array> {
    for (let tries = 1; ; tries += 1)
      try {
        return await httpGet(url, wireLimits.ticketBytesMax, this.#stop.signal)
      } catch (error) {
        if (tries >= fetchesMax || !(error instanceof HttpError && error.retryable)) throw error
        await sleep(this.#deps.clock, fetchAgainMs, this.#stop.signal)
      }
  }

  #hand(reply: ChunkReply, outputs: InferChunk['outputs']): void {
    const { final, modelMs, privacy, route, cached, served, tookMs } = reply
    if (final) {
      this.#measure(tookMs)
      this.#ended = true
    }
    this.#events.onChunk({
      final,
      outputs,
      ...(modelMs !== undefined && { modelMs }),
      ...(privacy !== undefined && { privacy }),
      ...(route !== undefined && { route }),
      ...(cached !== undefined && { cached }),
      ...(served !== undefined && { served }),
    })
  }

  /** Only what the worker did not take itself is the way's. */
  #measure(tookMs: number | undefined): void {
    if (tookMs === undefined || this.#options.large) return
    const ms = this.#deps.clock.monotonicMs() - this.#sentMs - tookMs
    this.#deps.meter?.sample(this.#options.bytes, ms)
  }

  #end(end: AttemptEnd): void {
    if (this.#ended) return
    this.#ended = true
    this.#stop.abort(end.error)
    this.#events.onEnd(end)
  }
}
