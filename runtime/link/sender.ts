/**
 * Everything that goes out with QoS 1 passes one bounded window of unacknowledged publishes: retained values, events
 * from the outbox, answers to calls, in turns so that none starves another. MQTT keeps the order of one topic within a
 * connection [MQTT-4.6.0]; after a reconnect sending starts over at the oldest unacknowledged event, so a receiver that
 * drops repeated ids sees each topic's events once and in order. Only an event that the broker itself refuses, and
 * that is offered again later, can arrive behind its successors.
 */
import type { Cancel, Clock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { BoundedQueue } from '../base/queue.ts'
import type { Connection } from './connection.ts'
import { LinkError } from './errors.ts'
import type { Outbox, StoredEvent } from './outbox.ts'
import type { RetainedValues } from './retained.ts'

interface Answer {
  readonly topic: string
  readonly payload: Uint8Array
  readonly settle: (error?: unknown) => void
}

/** What the broker refused (quota, authorisation) is offered again after this. */
const offerAgainMs = 30_000
/** MQTT 5 reason codes that no repetition can cure: topic name invalid, packet too large, payload format invalid. */
const hopelessCodes: ReadonlySet<number> = new Set([144, 149, 153])
/** MQTT header, topic length, packet id and properties around topic and payload. */
const headerBytes = 32

export class Sender {
  readonly #clock: Clock
  readonly #log: Log
  readonly #outbox: Outbox
  readonly #retained: RetainedValues
  readonly #windowMax: number
  readonly #answers: BoundedQueue<Answer>
  /** Positions of the outbox's events that are under way. */
  readonly #sending = new Set<number>()
  readonly #idleListeners = new Set<() => void>()
  #connection: Connection | undefined
  #inFlight = 0
  /** Position of the last event taken from the outbox on this connection. */
  #cursor = 0
  #turn = 0
  #hopeless = 0
  #cancelOffer: Cancel | undefined

  constructor(
    deps: {
      readonly clock: Clock
      readonly log: Log
      readonly outbox: Outbox
      readonly retained: RetainedValues
    },
    limits: { readonly inFlightMax: number; readonly answersMax: number },
  ) {
    this.#clock = deps.clock
    this.#log = deps.log
    this.#outbox = deps.outbox
    this.#retained = deps.retained
    this.#windowMax = limits.inFlightMax
    this.#answers = new BoundedQueue(limits.answersMax)
  }

  /** Events given up because the broker can never take them. */
  get hopeless(): number {
    return this.#hopeless
  }

  /** True when nothing waits to be sent or acknowledged. Without a connection nothing can be. */
  get idle(): boolean {
    return (
      this.#inFlight === 0 && this.#answers.size === 0 && this.#retained.dirty === 0 && !this.#nextEvent()
    )
  }

  /** Starts over on a new connection: every retained value, and the outbox from its oldest event. */
  start(connection: Connection): void {
    this.#connection = connection
    this.#cursor = 0
    this.#retained.markAllDirty()
    this.pump()
  }

  /** The connection is gone: answers are lost with it, events and values wait for the next. */
  stop(): void {
    this.#connection = undefined
    this.#inFlight = 0
    this.#sending.clear()
    this.#cancelOffer?.()
    this.#cancelOffer = undefined
    for (let answer = this.#answers.shift(); answer; answer = this.#answers.shift())
      answer.settle(new LinkError('disconnected', 'the connection ended before the answer was sent'))
  }

  /** Settles when the broker has the answer; rejects when the connection ends first or too many wait. */
  answer(topic: string, payload: Uint8Array): Promise<void> {
    if (!this.#connection) return Promise.reject(new LinkError('disconnected', 'not connected'))
    return new Promise((resolve, reject) => {
      const settle = (error?: unknown) => (error === undefined ? resolve() : reject(error))
      if (!this.#answers.push({ topic, payload, settle }))
        reject(new LinkError('too-large', 'too many answers wait to be sent'))
      this.pump()
    })
  }

  /** Sends what the window has room for. */
  pump(): void {
    const connection = this.#connection
    if (!connection) return
    const windowMax = Math.min(this.#windowMax, connection.receiveMax)
    while (this.#inFlight < windowMax && this.#connection === connection && connection.open) {
      if (!this.#sendNext(connection)) break
    }
    if (this.#idleListeners.size > 0 && this.idle) for (const listener of this.#idleListeners) listener()
  }

  /** Resolves when everything is out. */
  whenIdle(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = () => {
        this.#idleListeners.delete(done)
        signal.removeEventListener('abort', onAbort)
        resolve()
      }
      const onAbort = () => {
        this.#idleListeners.delete(done)
        reject(signal.reason)
      }
      if (signal.aborted) return onAbort()
      signal.addEventListener('abort', onAbort, { once: true })
      this.#idleListeners.add(done)
      this.pump()
    })
  }

  /** Gives each source its turn; false when none has anything. */
  #sendNext(connection: Connection): boolean {
    const sources = [this.#sendAnswer, this.#sendRetained, this.#sendEvent]
    for (let tried = 0; tried < sources.length; tried++) {
      this.#turn = (this.#turn + 1) % sources.length
      if (sources[this.#turn]?.call(this, connection)) return true
    }
    return false
  }

  #sendAnswer(connection: Connection): boolean {
    const answer = this.#answers.shift()
    if (!answer) return false
    this.#track(connection, answer.topic, answer.payload, false, answer.settle)
    return true
  }

  #sendRetained(connection: Connection): boolean {
    const taken = this.#retained.take()
    if (!taken) return false
    const { topic, payload } = taken.value
    this.#track(connection, topic, payload, true, (error) => {
      if (error === undefined) taken.acknowledged()
      else if (isHopeless(error)) this.#log.error('value not retained', { topic, reason: messageOf(error) })
      else if (isRefusal(error)) this.#offerAgain(topic, error)
    })
    return true
  }

  #nextEvent(): StoredEvent | undefined {
    for (;;) {
      const [event] = this.#outbox.read(this.#cursor, 1)
      if (!event || !this.#sending.has(event.seq)) return event
      this.#cursor = event.seq
    }
  }

  #sendEvent(connection: Connection): boolean {
    const event = this.#nextEvent()
    if (!event) return false
    const { seq, topic, payload } = event
    this.#cursor = seq
    this.#sending.add(seq)
    this.#track(connection, topic, payload, false, (error) => {
      this.#sending.delete(seq)
      if (error === undefined) this.#outbox.remove(seq)
      else if (isHopeless(error)) this.#abandon(event, error)
      else if (isRefusal(error)) this.#offerAgain(topic, error)
    })
    return true
  }

  /** Publishes within the window. `settle` hears of the end, but not of another connection's. */
  #track(
    connection: Connection,
    topic: string,
    payload: Uint8Array,
    retain: boolean,
    settle: (error?: unknown) => void,
  ): void {
    this.#inFlight += 1
    const tooLarge = payload.byteLength + topic.length + headerBytes > connection.packetBytesMax
    const sent = tooLarge
      ? Promise.reject(new LinkError('too-large', `the broker takes ${connection.packetBytesMax} bytes`))
      : connection.publish(topic, payload, retain)
    const done = (error?: unknown) => {
      if (this.#connection !== connection) return settle(error)
      this.#inFlight -= 1
      settle(error)
      this.pump()
    }
    sent.then(() => done(), done)
  }

  #abandon(event: StoredEvent, error: unknown): void {
    this.#hopeless += 1
    this.#log.error('event given up', { topic: event.topic, id: event.id, reason: messageOf(error) })
    this.#outbox.remove(event.seq)
  }

  #offerAgain(topic: string, error: unknown): void {
    if (this.#cancelOffer) return
    this.#log.warn('the broker refused a message; it is offered again', { topic, reason: messageOf(error) })
    this.#cancelOffer = this.#clock.after(offerAgainMs, () => {
      this.#cancelOffer = undefined
      this.#cursor = 0
      this.#retained.markAllDirty()
      this.pump()
    })
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof LinkError && error.code === 'refused'
}

function isHopeless(error: unknown): boolean {
  if (!(error instanceof LinkError)) return false
  if (error.code === 'too-large') return true
  const code = (error.cause as { code?: unknown } | undefined)?.code
  return error.code === 'refused' && typeof code === 'number' && hopelessCodes.has(code)
}
