/**
 * One MQTT connection, from CONNECT to the end of its socket. It never reconnects and never queues: MQTT.js queues
 * without bound while offline, so every connection is a fresh client, used only while it is connected. What was not
 * acknowledged when it ends is the caller's to send again.
 */
import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { type IClientOptions, type IConnackPacket, MqttClient } from 'mqtt'
import type { Clock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import { FilteredSocket } from '../wire/filtered-socket.ts'
import { wireLimits } from '../wire/limits.ts'
import type { BrokerAddress } from './broker-address.ts'
import { LinkError } from './errors.ts'

export type ProtocolVersion = 4 | 5

/** PEM texts, as `node:tls` takes them. Absent: the system's authorities, no client certificate. */
export interface TlsIdentity {
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}

export interface ConnectOptions {
  readonly address: BrokerAddress
  readonly clientId: string
  readonly protocolVersion: ProtocolVersion
  readonly username?: string | undefined
  readonly password?: string | undefined
  readonly tls?: TlsIdentity | undefined
  readonly keepaliveS: number
  readonly connectMsMax: number
  /** Longest wait for a PUBACK: a broker that takes longer is taken for dead. */
  readonly ackMsMax: number
  readonly will: { readonly topic: string; readonly payload: string }
}

export interface InboundMessage {
  readonly topic: string
  readonly payload: Uint8Array
  readonly retained: boolean
}

export interface ConnectionEvents {
  readonly onMessage: (message: InboundMessage) => void
  /** A message over the limit was dropped unread. */
  readonly onOversized: (topic: string, bytes: number) => void
  /** Once, after a successful `open`. */
  readonly onClose: (reason: string) => void
}

/** Why no connection came about, and whether the other protocol version may do better. */
export class ConnectError extends LinkError {
  readonly versionRefused: boolean
  constructor(reason: string, versionRefused: boolean) {
    super('disconnected', reason)
    this.versionRefused = versionRefused
  }
}

/** Inbound: our largest payload, and room for the topic, which our own names keep far below this. */
const packetBytesMax = wireLimits.mqttPayloadBytesMax + 1024
/** Unsent bytes above which QoS 0 messages are dropped: about a second of a slow uplink. */
const ephemeralBacklogBytesMax = 256 * 1024
/** "Unsupported protocol version" in a 3.1.1 and in a 5 CONNACK. */
const versionRefusals = new Set([1, 132])
const wordsForCode: Readonly<Record<number, string>> = {
  4: 'user name or password',
  5: 'authorisation',
  134: 'user name or password',
  135: 'authorisation',
}

/** MQTT 5.0, section 3.14.2.1: another client connected with this client id. */
const sessionTakenOver = 0x8e
/** What a person can do when two devices keep throwing each other out. */
export const takenOver = (clientId: string) =>
  `another device is connected as ${clientId}: give each one its own --id`

export class Connection {
  readonly protocolVersion: ProtocolVersion
  /** Unacknowledged publishes that the broker takes at once. */
  readonly receiveMax: number
  /** Largest packet that the broker takes, bytes. */
  readonly packetBytesMax: number
  readonly #client: MqttClient
  readonly #stream: FilteredSocket
  readonly #clock: Clock
  readonly #ackMsMax: number
  /** Rejections of the publishes still waiting. */
  readonly #waiting = new Set<(error: LinkError) => void>()
  #open = true
  #destroyedFor: string | undefined

  /** Resolves when the broker has accepted; rejects with ConnectError. */
  static open(
    clock: Clock,
    options: ConnectOptions,
    events: ConnectionEvents,
    signal: AbortSignal,
  ): Promise<Connection> {
    return new Promise((resolve, reject) => {
      let connection: Connection | undefined
      let reachedBroker = false
      let reason = 'the broker closed the connection'
      let refusal: string | undefined
      let versionRefused = false
      const socket = openSocket(options)
      socket.once(options.address.tls ? 'secureConnect' : 'connect', () => {
        reachedBroker = true
      })
      const stream = new FilteredSocket(socket, packetBytesMax, events.onOversized)
      const client = new MqttClient(() => stream, clientOptions(options))
      const onAbort = () => client.end(true)
      signal.addEventListener('abort', onAbort, { once: true })
      client.on('error', (error) => {
        const code = Number((error as { code?: unknown }).code)
        versionRefused = versionRefusals.has(code)
        refusal = wordsForCode[code]
        reason = refusal ? `the broker refused the ${refusal}` : messageOf(error)
        // A protocol error leaves the socket open; nothing sensible can follow on it.
        stream.destroy()
      })
      client.on('disconnect', (packet) => {
        if (packet.reasonCode === sessionTakenOver) reason = takenOver(options.clientId)
      })
      client.on('close', () => {
        signal.removeEventListener('abort', onAbort)
        client.end(true)
        if (connection) {
          connection.#onClose()
          events.onClose(connection.#destroyedFor ?? reason)
        } else if (signal.aborted) reject(signal.reason)
        else reject(new ConnectError(reason, versionRefused || (reachedBroker && !refusal)))
      })
      client.on('message', (topic, payload, packet) =>
        events.onMessage({ topic, payload, retained: packet.retain }),
      )
      client.once('connect', (connack) => {
        signal.removeEventListener('abort', onAbort)
        connection = new Connection(clock, client, stream, options, connack)
        resolve(connection)
      })
      if (signal.aborted) onAbort()
    })
  }

  private constructor(
    clock: Clock,
    client: MqttClient,
    stream: FilteredSocket,
    options: ConnectOptions,
    connack: IConnackPacket,
  ) {
    this.#clock = clock
    this.#client = client
    this.#stream = stream
    this.#ackMsMax = options.ackMsMax
    this.protocolVersion = options.protocolVersion
    this.receiveMax = connack.properties?.receiveMaximum ?? 65_535
    this.packetBytesMax = connack.properties?.maximumPacketSize ?? Number.POSITIVE_INFINITY
  }

  get open(): boolean {
    return this.#open
  }

  /** QoS 1. Resolves at the broker's PUBACK; rejects with `disconnected`, or `refused` when the broker says no. */
  publish(topic: string, payload: Uint8Array | string, retain: boolean): Promise<void> {
    return this.#acknowledged((done) =>
      this.#client.publish(topic, asBuffer(payload), { qos: 1, retain }, done),
    )
  }

  /** QoS 0. False when it was dropped because the connection is closed or behind. */
  publishEphemeral(topic: string, payload: Uint8Array | string): boolean {
    if (!this.#open || this.#stream.backlogBytes > ephemeralBacklogBytesMax) return false
    this.#client.publish(topic, asBuffer(payload), { qos: 0 })
    return true
  }

  /** QoS 1. Resolves when the broker granted every filter. */
  subscribe(filters: readonly string[]): Promise<void> {
    return this.#acknowledged((done) => this.#client.subscribe([...filters], { qos: 1 }, done))
  }

  unsubscribe(filters: readonly string[]): Promise<void> {
    return this.#acknowledged((done) => this.#client.unsubscribe([...filters], done))
  }

  /** Says DISCONNECT, so that the broker does not publish the will, and waits for the socket's end. */
  async close(): Promise<void> {
    if (!this.#open) return
    const closed = new Promise<void>((resolve) => this.#client.once('close', () => resolve()))
    this.#client.end(false)
    await closed
  }

  /** Ends the socket at once; the broker will publish the will. */
  destroy(reason: string): void {
    this.#destroyedFor ??= reason
    this.#stream.destroy()
  }

  #acknowledged(send: (done: (error?: Error | null) => void) => void): Promise<void> {
    if (!this.#open) return Promise.reject(new LinkError('disconnected', 'not connected'))
    return new Promise((resolve, reject) => {
      const fail = (error: LinkError) => {
        cancel()
        this.#waiting.delete(fail)
        reject(error)
      }
      const cancel = this.#clock.after(this.#ackMsMax, () =>
        this.destroy(`the broker acknowledged nothing for ${this.#ackMsMax} ms`),
      )
      this.#waiting.add(fail)
      send((error) => {
        if (!this.#waiting.has(fail)) return
        // Only the broker's own refusal has a reason code; a connection that ends is `#onClose`'s to report.
        if (error && typeof (error as { code?: unknown }).code !== 'number') return
        if (error) return fail(new LinkError('refused', messageOf(error), { cause: error }))
        cancel()
        this.#waiting.delete(fail)
        resolve()
      })
    })
  }

  #onClose(): void {
    this.#open = false
    for (const fail of [...this.#waiting]) fail(new LinkError('disconnected', 'the connection ended'))
  }
}

function openSocket({ address, tls }: ConnectOptions): Socket {
  const { host, port } = address
  // Server name indication is for names only (RFC 6066, section 3).
  const serverName = isIP(host) === 0 ? { servername: host } : {}
  // Loaded where it is used: 3 MB.
  const socket = address.tls
    ? process.getBuiltinModule('node:tls').connect({ host, port, ...serverName, ...tls })
    : connectTcp({ host, port })
  socket.setNoDelay(true)
  return socket
}

function clientOptions(options: ConnectOptions): IClientOptions {
  const { will, username, password } = options
  return {
    clientId: options.clientId,
    protocolVersion: options.protocolVersion,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    // A clean session: a command that waited in the broker while this device was away is stale, not wanted.
    clean: true,
    keepalive: options.keepaliveS,
    connectTimeout: options.connectMsMax,
    reconnectPeriod: 0,
    resubscribe: false,
    queueQoSZero: false,
    // A buffer for each number there is, made at the first packet: 7 MB.
    writeCache: false,
    will: { topic: will.topic, payload: Buffer.from(will.payload), qos: 1, retain: true },
    // No `maximumPacketSize`: mosquitto 2.0.11 drops what exceeds it but keeps counting it as in flight, until nothing
    // arrives any more. FilteredSocket does the same work with any broker.
  }
}

function asBuffer(payload: Uint8Array | string): Buffer {
  if (typeof payload === 'string') return Buffer.from(payload)
  return Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
}
