/**
 * The device's link to its broker. Opening never waits for the broker: a home works with the cable pulled. While the
 * broker is away the link tries again with back-off and jitter, events gather on disk in the outbox, the latest
 * retained values in memory; when it is back everything is made good. MQTT 5 is tried first and 3.1.1 where the
 * broker wants that; nothing here needs what 3.1.1 lacks.
 */
import type { Cancel, Clock } from '../base/clock.ts'
import { sleep } from '../base/clock.ts'
import { withDeadline } from '../base/deadline.ts'
import { assert, messageOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { type BackoffOptions, backoffMs } from '../base/retry.ts'
import { wireLimits } from '../wire/limits.ts'
import { anyEvent, check } from '../wire/messages.ts'
import { Topics } from '../wire/topics.ts'
import { BadMessages } from './bad-messages.ts'
import { type BrokerAddress, parseBrokerUrl } from './broker-address.ts'
import { ConnectError, Connection, type ProtocolVersion, type TlsIdentity, takenOver } from './connection.ts'
import { LinkError } from './errors.ts'
import { Inbound, type SetHandler } from './inbound.ts'
import type { EventPriority, Outbox } from './outbox.ts'
import { RetainedValues } from './retained.ts'
import { type RpcHandler, RpcServer } from './rpc-server.ts'
import { Sender } from './sender.ts'
import { type MessageTaker, Subscriptions } from './subscriptions.ts'

export interface LinkDeps {
  readonly clock: Clock
  readonly log: Log
  /** Stays its opener's: dispose it after the link. */
  readonly outbox: Outbox
}

export interface LinkOptions {
  /** `mqtt://host[:port]` or `mqtts://host[:port]`; may hold a user name and a password. */
  readonly brokerUrl: string
  readonly deviceId: string
  /** First levels of every topic, for example `ganglion`. */
  readonly base: string
  readonly username?: string
  readonly password?: string
  readonly tls?: TlsIdentity
  /** Home Assistant's discovery prefix. */
  readonly discoveryPrefix?: string
  readonly keepaliveS?: number
  /** Publishes sent and not yet acknowledged. */
  readonly inflightMax?: number
  readonly connectMsMax?: number
  readonly ackMsMax?: number
  readonly backoff?: BackoffOptions
  /** Calls that run at once. */
  readonly rpcCallsMax?: number
  /** How long disposal goes on sending what waits. */
  readonly drainMsMax?: number
}

export interface LinkStats {
  readonly connected: boolean
  /** The broker, without secrets. */
  readonly broker: string
  readonly protocolVersion: ProtocolVersion
  readonly outboxEvents: number
  readonly outboxBytes: number
  readonly outboxDropped: number
  readonly badMessages: number
  /** Why the link is not as it should be, one line. */
  readonly problem?: string
}

const defaults = {
  discoveryPrefix: 'homeassistant',
  keepaliveS: 30,
  /** mosquitto and aedes keep 20 to 100 messages in flight per client; more only fills their queues. */
  inflightMax: 32,
  connectMsMax: 10_000,
  ackMsMax: 30_000,
  backoff: { firstMs: 500, maxMs: 30_000 },
  rpcCallsMax: 16,
  drainMsMax: 3_000,
}
/** State, home, availability and discovery of the largest home, twice over. */
const retainedTopicsMax = 2 * (wireLimits.entitiesMax + 16)
const retainedBytesMax = 8 * 1024 * 1024
/** A connection that lasted this long was a good one: back-off starts over. */
const goodConnectionMs = 10_000
/** So many lost in a row, and it is time to say what may be behind it. */
const shortConnectionsMax = 3
/** Publishes of other rooms that wait for their turn: what a device may have unanswered at its gateways, and cancels. */
const publishesMax = 128
const clientIdOf = (deviceId: string) => `ganglion-${deviceId}`
/** Saying goodbye: the last publish and the DISCONNECT. */
const goodbyeMsMax = 2_000

export class Link implements AsyncDisposable {
  readonly topics: Topics
  readonly #clock: Clock
  readonly #log: Log
  readonly #outbox: Outbox
  readonly #address: BrokerAddress
  readonly #options: typeof defaults & LinkOptions
  readonly #bad: BadMessages
  readonly #retained: RetainedValues
  readonly #sender: Sender
  readonly #rpc: RpcServer
  readonly #inbound: Inbound
  readonly #subscriptions: Subscriptions
  readonly #listeners = new Set<(connected: boolean) => void>()
  readonly #stop = new AbortController()
  readonly #availabilityTopic: string
  #protocolVersion: ProtocolVersion = 5
  #connection: Connection | undefined
  #problem: string | undefined = 'not connected yet'
  /** Connections in a row that were lost soon: on MQTT 3.1.1 the only sign of a rival for our client id. */
  #shortConnections = 0
  #running: Promise<void> = Promise.resolve()
  #unsubscribeOutbox: Cancel = () => {}
  #closing: Promise<void> | undefined

  /** Resolves at once, connected or not. Throws LinkError `config` when the options make no sense. */
  static async open(deps: LinkDeps, options: LinkOptions, signal?: AbortSignal): Promise<Link> {
    signal?.throwIfAborted()
    const link = new Link(deps, options, parseBrokerUrl(options.brokerUrl))
    link.#start()
    return link
  }

  private constructor(deps: LinkDeps, options: LinkOptions, address: BrokerAddress) {
    const { clock, outbox } = deps
    const log = deps.log.named('link')
    this.#clock = clock
    this.#log = log
    this.#outbox = outbox
    this.#address = address
    this.#options = { ...defaults, ...options }
    const { base, deviceId, discoveryPrefix, inflightMax, rpcCallsMax } = this.#options
    this.topics = new Topics(base)
    this.#availabilityTopic = this.topics.availability(deviceId)
    const bad = new BadMessages(clock, log)
    this.#bad = bad
    this.#retained = new RetainedValues({ topicsMax: retainedTopicsMax, bytesMax: retainedBytesMax })
    this.#sender = new Sender(
      { clock, log, outbox, retained: this.#retained },
      { inFlightMax: inflightMax, answersMax: 4 * rpcCallsMax + publishesMax },
    )
    this.#rpc = new RpcServer(
      { clock, log },
      { callsMax: rpcCallsMax, replyTopics: { base, discoveryPrefix } },
      (topic, payload) => this.#sender.answer(topic, payload),
    )
    this.#subscriptions = new Subscriptions(log)
    this.#inbound = new Inbound(
      { log, bad, rpc: this.#rpc, subscriptions: this.#subscriptions },
      { base, deviceId, discoveryPrefix },
      {
        onBirth: () => this.#republish((topic) => topic.startsWith(`${discoveryPrefix}/`)),
        onAvailability: (payload) => this.#onAvailability(payload),
      },
    )
  }

  get connected(): boolean {
    return this.#connection?.open === true
  }

  /** Calls `listener` with each change of `connected`. */
  onChange(listener: (connected: boolean) => void): Cancel {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** The one taker of commands to this device's entities. */
  onSet(handler: SetHandler): Cancel {
    this.#inbound.setHandler(handler)
    return () => this.#inbound.setHandler(undefined)
  }

  /** The one who answers calls to this device. */
  onRpc(handler: RpcHandler): Cancel {
    this.#rpc.setHandler(handler)
    return () => this.#rpc.setHandler(undefined)
  }

  /**
   * Hands what arrives on topics that fit `filter` to `taker`, on this connection and every later one; `+` stands for a level.
   * A connection on which the broker refuses the filter goes on without it, and says so. What is retained comes again to all
   * who take the filter.
   */
  subscribe(filter: string, taker: MessageTaker): Cancel {
    this.#assertOpen()
    const remove = this.#subscriptions.add(filter, taker)
    this.#connection?.subscribe([filter]).catch((error) => this.#subscribeFailed(error))
    return () => {
      if (!remove() || this.#closing) return
      this.#connection
        ?.unsubscribe([filter])
        .catch((error) => this.#log.debug('a filter was not given up', { filter, reason: messageOf(error) }))
    }
  }

  /**
   * Keeps `payload` as the topic's retained value, now and after every reconnect. Only the latest is kept. Throws
   * LinkError `too-large` (the message, or all topics together) or `closed`.
   */
  setRetained(topic: string, payload: string | Uint8Array): void {
    this.#assertOpen()
    this.#retained.set(topic, sized(topic, payload))
    this.#sender.pump()
  }

  /** Deletes the topic's retained value at the broker. */
  clearRetained(topic: string): void {
    this.#assertOpen()
    this.#retained.clear(topic)
    this.#sender.pump()
  }

  /** Leaves the topic's retained value to the broker: it is not said again after a reconnect. */
  forgetRetained(topic: string): void {
    this.#retained.forget(topic)
  }

  /**
   * Publishes `event` on `<base>/<device>/event/<kind>`, through the outbox. Resolves with the event's id when it is
   * durable; it reaches the broker later, at least once. `v`, `id` and `ts` are added where absent. Rejects with
   * LinkError `too-large`, `outbox-full`, `storage` or `closed`.
   */
  async publishEvent(kind: string, event: object, priority: EventPriority): Promise<string> {
    this.#assertOpen()
    const message = { v: 1, id: this.#clock.newId(), ts: this.#clock.nowMs(), ...event }
    const checked = check(anyEvent, message)
    assert(checked.ok, `event ${kind}: ${checked.ok || checked.reason}`)
    const topic = this.topics.event(this.#options.deviceId, kind)
    const payload = sized(topic, JSON.stringify(message))
    await this.#outbox.append({ id: message.id, topic, priority, payload })
    return message.id
  }

  /**
   * QoS 1, for what is worth nothing on a later connection. Resolves when the broker has it; rejects with LinkError
   * `disconnected`, `refused`, or `too-large` (the message, or too many wait to be sent).
   */
  async publish(topic: string, payload: string | Uint8Array): Promise<void> {
    this.#assertOpen()
    await this.#sender.answer(topic, sized(topic, payload))
  }

  /** QoS 0: for what is worthless when late. False when it was dropped, as always while not connected. */
  publishEphemeral(topic: string, payload: string | Uint8Array): boolean {
    return this.#connection?.publishEphemeral(topic, sized(topic, payload)) ?? false
  }

  stats(): LinkStats {
    const { events, bytes, dropped } = this.#outbox.stats()
    return {
      connected: this.connected,
      broker: this.#address.display,
      protocolVersion: this.#protocolVersion,
      outboxEvents: events,
      outboxBytes: bytes,
      outboxDropped: dropped + this.#sender.hopeless,
      badMessages: this.#bad.count,
      ...(this.#problem !== undefined && { problem: this.#problem }),
    }
  }

  /** Sends what waits, as far as `drainMsMax` allows, then `offline`, then DISCONNECT. What is left stays on disk. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  #start(): void {
    this.#retained.set(this.#availabilityTopic, Buffer.from('online'))
    this.#unsubscribeOutbox = this.#outbox.onAppend(() => this.#sender.pump())
    this.#running = this.#run(this.#stop.signal)
  }

  /** Connects, waits for the connection's end, backs off, again. Ends only with the link. */
  async #run(signal: AbortSignal): Promise<void> {
    for (let attempt = 0; !signal.aborted; attempt++) {
      const startedMs = this.#clock.monotonicMs()
      try {
        await this.#connectOnce(signal)
        const good = this.#clock.monotonicMs() - startedMs >= goodConnectionMs
        if (good) attempt = 0
        this.#shortConnections = good ? 0 : this.#shortConnections + 1
      } catch (error) {
        if (signal.aborted) return
        const retryNow = this.#onConnectFailed(error)
        if (retryNow && attempt === 0) continue
      }
      const delayMs = backoffMs(attempt, this.#options.backoff, this.#clock.random())
      await sleep(this.#clock, delayMs, signal).catch(() => {})
    }
  }

  /** Resolves when a connection came about and ended. */
  async #connectOnce(signal: AbortSignal): Promise<void> {
    const { promise: ended, resolve: onEnd } = Promise.withResolvers<string>()
    const { deviceId, keepaliveS, connectMsMax, ackMsMax, tls } = this.#options
    const connection = await Connection.open(
      this.#clock,
      {
        address: this.#address,
        clientId: clientIdOf(deviceId),
        protocolVersion: this.#protocolVersion,
        username: this.#options.username ?? this.#address.username,
        password: this.#options.password ?? this.#address.password,
        tls,
        keepaliveS,
        connectMsMax,
        ackMsMax,
        will: { topic: this.#availabilityTopic, payload: 'offline' },
      },
      {
        onMessage: (message) => this.#inbound.accept(message),
        onOversized: (topic, bytes) => this.#bad.add(topic, `${bytes} bytes, more than any message of ours`),
        onClose: onEnd,
      },
      signal,
    )
    const onAbort = () => connection.destroy('the link is closing')
    signal.addEventListener('abort', onAbort, { once: true })
    await this.#onConnected(connection)
    this.#onEnded(await ended)
    signal.removeEventListener('abort', onAbort)
  }

  async #onConnected(connection: Connection): Promise<void> {
    this.#problem = undefined
    const filters = [...this.#inbound.filters, ...this.#subscriptions.filters]
    try {
      // Before anybody reads `online`: who reads it may command at once.
      await connection.subscribe(filters)
    } catch (error) {
      if (!connection.open) return
      this.#subscribeFailed(error)
    }
    this.#connection = connection
    const late = this.#subscriptions.filters.filter((filter) => !filters.includes(filter))
    if (late.length > 0) connection.subscribe(late).catch((error) => this.#subscribeFailed(error))
    this.#log.info('connected', {
      broker: this.#address.display,
      mqtt: this.#protocolVersion === 5 ? '5' : '3.1.1',
    })
    this.#sender.start(connection)
    this.#notify(true)
  }

  #subscribeFailed(error: unknown): void {
    if (error instanceof LinkError && error.code === 'disconnected') return
    this.#problem = `the broker refused the subscriptions: ${messageOf(error)}`
    this.#log.error('subscriptions refused', { reason: messageOf(error) })
  }

  #onEnded(ended: string): void {
    const rivalled = this.#shortConnections >= shortConnectionsMax
    const reason = rivalled ? `${ended}; perhaps ${takenOver(clientIdOf(this.#options.deviceId))}` : ended
    const wasConnected = this.#connection !== undefined
    this.#connection = undefined
    this.#sender.stop()
    this.#problem = `disconnected: ${reason}`
    if (!wasConnected) return
    const say = this.#closing ? this.#log.debug : this.#log.warn
    say('disconnected', { broker: this.#address.display, reason })
    this.#notify(false)
  }

  /** True when another attempt makes sense at once: with the other protocol version. */
  #onConnectFailed(error: unknown): boolean {
    const reason = messageOf(error)
    if (error instanceof ConnectError && error.versionRefused) {
      // Most brokers of MQTT 3.1.1 answer so: nothing is wrong as long as the other version is taken.
      this.#log.debug('trying the other protocol version', { broker: this.#address.display, reason })
      this.#protocolVersion = this.#protocolVersion === 5 ? 4 : 5
      this.#problem = reason
      return true
    }
    // Once a reason, not once an attempt: a broker may be away for weeks.
    if (this.#problem !== reason)
      this.#log.warn('cannot connect, trying on', { broker: this.#address.display, reason })
    this.#problem = reason
    return false
  }

  #notify(connected: boolean): void {
    for (const listener of this.#listeners) listener(connected)
  }

  #republish(matches: (topic: string) => boolean): void {
    this.#retained.markDirty(matches)
    this.#sender.pump()
  }

  /** An old connection's will can arrive after we are back: say again that we are. */
  #onAvailability(payload: string): void {
    if (payload !== 'online' && !this.#closing) this.#republish((topic) => topic === this.#availabilityTopic)
  }

  async #close(): Promise<void> {
    const { drainMsMax } = this.#options
    this.#unsubscribeOutbox()
    this.#rpc.close()
    if (this.connected) {
      const drain = (signal: AbortSignal) => this.#sender.whenIdle(signal)
      await withDeadline(this.#clock, 'sending what waits', drainMsMax, drain).catch((error) =>
        this.#log.warn('stopping with messages unsent', { reason: messageOf(error) }),
      )
      await withDeadline(this.#clock, 'saying goodbye', goodbyeMsMax, (signal) =>
        this.#goodbye(signal),
      ).catch((error) => this.#log.warn('link closed without a goodbye', { reason: messageOf(error) }))
    }
    this.#stop.abort(new LinkError('closed', 'the link is closed'))
    await this.#running
    this.#listeners.clear()
  }

  async #goodbye(signal: AbortSignal): Promise<void> {
    const connection = this.#connection
    if (!connection) return
    this.#retained.set(this.#availabilityTopic, Buffer.from('offline'))
    await this.#sender.whenIdle(signal)
    await connection.close()
  }

  #assertOpen(): void {
    if (this.#closing) throw new LinkError('closed', 'the link is closed')
  }
}

function sized(topic: string, payload: string | Uint8Array): Uint8Array {
  const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload
  if (bytes.byteLength > wireLimits.mqttPayloadBytesMax)
    throw new LinkError(
      'too-large',
      `${bytes.byteLength} bytes for ${topic}, more than the ${wireLimits.mqttPayloadBytesMax} allowed`,
    )
  return bytes
}
