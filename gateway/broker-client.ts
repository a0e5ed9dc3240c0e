/**
 * The gateway as a client of a broker, its own or anybody's: connects and connects again, subscribes, and bounds what comes and what
 * waits to be acknowledged. Packets larger than any of ours are cut out before anything collects them. Both connections of a
 * gateway are this (`api/device-bus.ts`, `offload/listener.ts`).
 */
import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { type IClientOptions, MqttClient } from 'mqtt'
import type { Clock } from '../runtime/base/clock.ts'
import { messageOf } from '../runtime/base/errors.ts'
import type { Log } from '../runtime/base/log.ts'
import { FilteredSocket } from '../runtime/wire/filtered-socket.ts'
import { wireLimits } from '../runtime/wire/limits.ts'

export interface BrokerClientOptions {
  /** `mqtt://host[:port]` or `mqtts://host[:port]`. */
  readonly url: string
  readonly clientId: string
  readonly username?: string
  readonly password?: string
  /** Topics to hear, each with its quality of service. */
  readonly filters: Readonly<Record<string, 0 | 1>>
  /**
   * How long the broker keeps what comes while this client is away, seconds (MQTT 5; a 3.1.1 broker has its own rule). Absent: the
   * session is clean, and nothing is kept.
   */
  readonly keptS?: number
  /** A retained topic that is emptied when this connection ends in any way: by its will, or in saying goodbye. */
  readonly presence?: string
}

/** Called from the connection; must not throw. */
export interface BrokerClientEvents {
  /** The session with the broker begins: what is retained is about to be repeated. */
  readonly onSession?: () => void
  /** True once the subscriptions stand. */
  readonly onConnection: (connected: boolean) => void
  readonly onMessage: (topic: string, payload: Uint8Array, retained: boolean) => void
  readonly onOversized: (topic: string, bytes: number) => void
}

/** Our largest payload, and room for the topic. */
const packetBytesMax = wireLimits.mqttPayloadBytesMax + 1024
const reconnectMs = 1_000
const connackMs = 5_000
const closeMs = 1_000
/** Publishes that the broker has not taken yet: one a request that is answered now, and the adverts. */
const unacknowledgedMax = 1_024
/** "Unacceptable protocol version" in 3.1.1, "unsupported protocol version" in 5. */
const wrongVersion: readonly unknown[] = [1, 0x84]

export class BrokerClient implements AsyncDisposable {
  /** The broker, without secrets. */
  readonly url: string
  readonly #clock: Clock
  readonly #log: Log
  readonly #options: BrokerClientOptions
  readonly #events: BrokerClientEvents
  readonly #client: MqttClient
  /** Publishes that the broker has not taken: answered when it does, or when the connection ends. */
  readonly #waiting = new Set<(sent: boolean) => void>()
  #subscribed = false
  #lastError: string | undefined
  #closing: Promise<void> | undefined

  /** Does nothing until `connect`. */
  constructor(
    deps: { readonly clock: Clock; readonly log: Log },
    options: BrokerClientOptions,
    events: BrokerClientEvents,
  ) {
    this.url = withoutCredentials(options.url)
    this.#clock = deps.clock
    this.#log = deps.log
    this.#options = options
    this.#events = events
    const client = new MqttClient(() => this.#stream(), clientOptions(options))
    this.#client = client
    client.on('connect', () => this.#subscribe())
    client.on('close', () => this.#disconnected())
    client.on('error', (error) => {
      if (wrongVersion.includes((error as { code?: unknown }).code)) this.#otherVersion()
      else this.#failed(error)
    })
    client.on('message', (topic, payload, packet) => events.onMessage(topic, payload, packet.retain))
  }

  /** Starts connecting and returns at once: a broker that is away is a state, not an error (`connected`, `lastError`). */
  connect(): void {
    this.#client.connect()
  }

  /** True while the broker answers and the subscriptions stand. */
  get connected(): boolean {
    return this.#subscribed && this.#client.connected
  }

  /** Why there is no connection, one line. */
  get lastError(): string | undefined {
    return this.#lastError
  }

  /**
   * Resolves when the broker has it (QoS 0: when it is on its way), or the connection ended: nobody is left to be told. False when it
   * was not sent, or may not have been.
   */
  publish(
    topic: string,
    payload: Uint8Array | string,
    { qos, retain = false }: { readonly qos: 0 | 1; readonly retain?: boolean },
  ): Promise<boolean> {
    if (!this.connected || this.#waiting.size >= unacknowledgedMax) return Promise.resolve(false)
    const { promise, resolve } = Promise.withResolvers<boolean>()
    this.#waiting.add(resolve)
    this.#client.publish(topic, Buffer.from(payload as Uint8Array), { qos, retain }, (error) => {
      this.#waiting.delete(resolve)
      resolve(!error)
    })
    return promise
  }

  /** Says goodbye, where there is somebody to say it to. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const end = (force: boolean) =>
      new Promise<void>((resolve) => this.#client.end(force, {}, () => resolve()))
    if (!this.#client.connected) return end(true)
    const { presence } = this.#options
    const gone = presence === undefined ? undefined : this.publish(presence, '', { qos: 1, retain: true })
    const ended = Promise.resolve(gone).then(() => end(false))
    let cancel = () => {}
    const forced = new Promise<void>((resolve) => {
      cancel = this.#clock.after(closeMs, () => void end(true).then(resolve))
    })
    await Promise.race([ended, forced])
    cancel()
  }

  #stream(): FilteredSocket {
    const stream = new FilteredSocket(openSocket(this.#options.url), packetBytesMax, this.#events.onOversized)
    // MQTT.js tells of some failures of a socket only.
    stream.on('error', (error) => this.#failed(error))
    return stream
  }

  #subscribe(): void {
    this.#events.onSession?.()
    const filters = Object.entries(this.#options.filters).map(([topic, qos]) => [topic, { qos }] as const)
    this.#client.subscribe(Object.fromEntries(filters), (error, granted) => {
      const refused = granted?.filter(({ qos }) => qos >= 128).map(({ topic }) => topic)
      if (error || refused?.length) {
        this.#failed(error ?? new Error(`the broker refused the subscription to ${refused?.join(', ')}`))
        return
      }
      this.#subscribed = true
      this.#lastError = undefined
      this.#log.info('connected to the broker', { url: this.url })
      this.#events.onConnection(true)
    })
  }

  /** MQTT 3.1.1 is tried first, 5 where a broker speaks nothing else; MQTT.js reads these options at each attempt. */
  #otherVersion(): void {
    const { options } = this.#client
    const { keptS } = this.#options
    const five = options.protocolVersion !== 5
    this.#log.info('the broker wants another protocol version', { next: five ? '5' : '3.1.1' })
    options.protocolVersion = five ? 5 : 4
    options.properties = five && keptS !== undefined ? { sessionExpiryInterval: keptS } : undefined
  }

  #failed(error: Error): void {
    // The broker may be closed right after us: that is no news.
    if (this.#closing) return
    const message = connectionMessage(error)
    if (message !== this.#lastError) this.#log.warn('broker connection', { url: this.url, why: message })
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
  // Small messages, each waited for: Nagle's delay would hold each one up.
  socket.setNoDelay(true)
  return socket
}

function clientOptions({
  clientId,
  username,
  password,
  keptS,
  presence,
}: BrokerClientOptions): IClientOptions {
  return {
    clientId,
    clean: keptS === undefined,
    protocolVersion: 4,
    keepalive: 30,
    reconnectPeriod: reconnectMs,
    reconnectOnConnackError: true,
    connectTimeout: connackMs,
    resubscribe: false,
    queueQoSZero: false,
    // A buffer for each number there is: 7 MB, also of the broker's in this process.
    writeCache: false,
    manualConnect: true,
    timerVariant: 'native',
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(presence !== undefined && {
      will: { topic: presence, payload: Buffer.alloc(0), qos: 1 as const, retain: true },
    }),
  }
}

function connectionMessage(error: Error): string {
  const { code } = error as NodeJS.ErrnoException
  if (code === 'ECONNREFUSED') return 'nothing listens there'
  // Node reports several failed addresses as one AggregateError without a message.
  return messageOf(error) || String(code ?? error.name)
}

/** A URL fit for logs and answers. */
function withoutCredentials(url: string): string {
  const parsed = new URL(url)
  parsed.username = ''
  parsed.password = ''
  return parsed.href.replace(/\/$/, '')
}
