/**
 * A worker's own connection to the broker, apart from the gateway's other one: its session is clean, so that no request is carried
 * out long after its device gave up, and its will takes the advert back the moment the worker dies. Packets larger than any of
 * ours are cut out before anything collects them.
 */
import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { type IClientOptions, MqttClient } from 'mqtt'
import type { Clock } from '../../runtime/base/clock.ts'
import { messageOf } from '../../runtime/base/errors.ts'
import type { Log } from '../../runtime/base/log.ts'
import { FilteredSocket } from '../../runtime/wire/filtered-socket.ts'
import { wireLimits } from '../../runtime/wire/limits.ts'

export interface WorkerBusOptions {
  /** `mqtt://host[:port]` or `mqtts://host[:port]`. */
  readonly url: string
  readonly clientId: string
  readonly username?: string
  readonly password?: string
  /** Topics to hear. */
  readonly filters: readonly string[]
  /** Retained there, and cleared when this connection ends in any way. */
  readonly advertTopic: string
}

/** Called from the connection; must not throw. */
export interface WorkerBusEvents {
  readonly onMessage: (topic: string, payload: Uint8Array, retained: boolean) => void
  readonly onOversized: (topic: string, bytes: number) => void
  /** True once the subscriptions stand. */
  readonly onConnection: (connected: boolean) => void
}

/** Our largest payload, and room for the topic. */
const packetBytesMax = wireLimits.mqttPayloadBytesMax + 1024
const reconnectMs = 1_000
const connackMs = 5_000
const closeMs = 1_000
/** Unacknowledged publishes: one a request that is answered now, and the adverts. */
const unacknowledgedMax = 1_024
/** "Unacceptable protocol version" in 3.1.1, "unsupported protocol version" in 5. */
const wrongVersion: readonly unknown[] = [1, 0x84]

export class WorkerBus implements AsyncDisposable {
  readonly #clock: Clock
  readonly #log: Log
  readonly #options: WorkerBusOptions
  readonly #events: WorkerBusEvents
  readonly #client: MqttClient
  /** Publishes that the broker has not acknowledged: answered when it does, or when the connection ends. */
  readonly #waiting = new Set<(sent: boolean) => void>()
  #subscribed = false
  #unacknowledged = 0
  #lastError: string | undefined
  #closing: Promise<void> | undefined

  /** Starts connecting and returns at once: a broker that is away is a state, not an error. */
  static open(
    deps: { readonly clock: Clock; readonly log: Log },
    options: WorkerBusOptions,
    events: WorkerBusEvents,
  ): WorkerBus {
    const bus = new WorkerBus(deps, options, events)
    bus.#client.connect()
    return bus
  }

  private constructor(
    deps: { readonly clock: Clock; readonly log: Log },
    options: WorkerBusOptions,
    events: WorkerBusEvents,
  ) {
    this.#clock = deps.clock
    this.#log = deps.log
    this.#options = options
    this.#events = events
    const stream = () => new FilteredSocket(openSocket(options.url), packetBytesMax, events.onOversized)
    const client = new MqttClient(stream, clientOptions(options))
    this.#client = client
    client.on('connect', () => this.#subscribe())
    client.on('close', () => this.#disconnected())
    client.on('error', (error) => {
      if (wrongVersion.includes((error as { code?: unknown }).code)) this.#otherVersion()
      else this.#failed(error)
    })
    client.on('message', (topic, payload, packet) => events.onMessage(topic, payload, packet.retain))
  }

  get connected(): boolean {
    return this.#subscribed && this.#client.connected
  }

  /** Why there is no connection, one line. */
  get lastError(): string | undefined {
    return this.#lastError
  }

  /** QoS 1. Resolves when the broker has it, or the connection ended: nobody is left to be told. False when it was not sent. */
  publish(topic: string, payload: Uint8Array | string, retain = false): Promise<boolean> {
    if (!this.connected || this.#unacknowledged >= unacknowledgedMax) return Promise.resolve(false)
    this.#unacknowledged += 1
    const { promise, resolve } = Promise.withResolvers<boolean>()
    this.#waiting.add(resolve)
    this.#client.publish(topic, Buffer.from(payload as Uint8Array), { qos: 1, retain }, (error) => {
      this.#unacknowledged -= 1
      this.#waiting.delete(resolve)
      resolve(!error)
    })
    return promise
  }

  /** Takes the advert back, then says DISCONNECT. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const end = (force: boolean) =>
      new Promise<void>((resolve) => this.#client.end(force, {}, () => resolve()))
    // Before CONNACK there is no goodbye to say, and nobody to wait for.
    if (!this.#client.connected) return end(true)
    const ended = this.publish(this.#options.advertTopic, '', true).then(() => end(false))
    let cancel = () => {}
    const forced = new Promise<void>((resolve) => {
      cancel = this.#clock.after(closeMs, () => void end(true).then(resolve))
    })
    await Promise.race([ended, forced])
    cancel()
  }

  #subscribe(): void {
    this.#client.subscribe([...this.#options.filters], { qos: 1 }, (error, granted) => {
      const refused = granted?.filter(({ qos }) => qos >= 128).map(({ topic }) => topic)
      if (error || refused?.length) {
        this.#failed(error ?? new Error(`the broker refused the subscription to ${refused?.join(', ')}`))
        return
      }
      this.#subscribed = true
      this.#lastError = undefined
      this.#events.onConnection(true)
    })
  }

  /** MQTT 3.1.1 is tried first, 5 where a broker speaks nothing else; MQTT.js reads these options at each attempt. */
  #otherVersion(): void {
    const { options } = this.#client
    options.protocolVersion = options.protocolVersion === 5 ? 4 : 5
  }

  #failed(error: Error): void {
    if (this.#closing) return
    const message = messageOf(error) || error.name
    if (message !== this.#lastError) this.#log.warn('broker connection of the worker', { why: message })
    this.#lastError = message
  }

  #disconnected(): void {
    for (const resolve of this.#waiting) resolve(false)
    this.#waiting.clear()
    const was = this.#subscribed
    this.#subscribed = false
    this.#lastError ??= 'the broker closed the connection'
    if (was) this.#events.onConnection(false)
  }
}

function openSocket(url: string): Socket {
  const { protocol, hostname, port } = new URL(url)
  const host = hostname.replace(/^\[|\]$/g, '')
  const tls = protocol === 'mqtts:'
  const at = { host, port: Number(port) || (tls ? 8883 : 1883) }
  // Server name indication is for names only (RFC 6066, section 3).
  const socket = tls ? connectTls({ ...at, ...(isIP(host) === 0 && { servername: host }) }) : connectTcp(at)
  socket.setNoDelay(true)
  return socket
}

function clientOptions({ clientId, username, password, advertTopic }: WorkerBusOptions): IClientOptions {
  return {
    clientId,
    clean: true,
    protocolVersion: 4,
    keepalive: 30,
    reconnectPeriod: reconnectMs,
    reconnectOnConnackError: true,
    connectTimeout: connackMs,
    resubscribe: false,
    queueQoSZero: false,
    manualConnect: true,
    timerVariant: 'native',
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    will: { topic: advertTopic, payload: Buffer.alloc(0), qos: 1, retain: true },
  }
}
