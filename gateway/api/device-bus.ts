/**
 * The gateway's own client connection: the same over loopback to the built-in broker and to any other broker by URL. It
 * hands on what devices say and calls them (wire/rpc). Inference has a connection of its own (`offload/worker-bus.ts`).
 *
 * Calls go out with QoS 0: a call that waited in an offline device's session would be carried out long after its caller
 * gave up. Events come in with QoS 1 on a persistent session, so a broker elsewhere keeps them while the gateway restarts.
 */
import { Socket } from 'node:net'
import mqtt, { type MqttClient } from 'mqtt'
import type { Cancel, Clock } from '../../runtime/base/clock.ts'
import { CodedError, messageOf } from '../../runtime/base/errors.ts'
import type { Log } from '../../runtime/base/log.ts'
import { decodeCbor, encodeCbor } from '../../runtime/wire/cbor.ts'
import { wireLimits } from '../../runtime/wire/limits.ts'
import { check } from '../../runtime/wire/messages.ts'
import { type RpcErrorCode, type RpcMethod, rpcReply } from '../../runtime/wire/rpc.ts'
import { type DeviceTopic, Topics } from '../../runtime/wire/topics.ts'

/** `unreachable`: no broker now. `overloaded`: too many calls wait already. The rest: the device's own answer, or `deadline`. */
export type CallErrorCode = RpcErrorCode | 'unreachable' | 'overloaded'

export class CallError extends CodedError<CallErrorCode> {
  override readonly name = 'CallError'
}

export interface DeviceBusOptions {
  readonly url: string
  readonly base: string
  readonly gatewayId: string
  readonly clientId: string
  readonly username?: string
  readonly password?: string
}

/** Called from the connection; must not throw. */
export interface DeviceBusListener {
  /** The session with the broker begins: all retained messages are about to be repeated. */
  repeating(): void
  /** True once the subscriptions stand. */
  connection(connected: boolean): void
  message(topic: DeviceTopic, payload: Uint8Array): void
  /** A message that is not what its topic promises; the sender is its device. */
  bad(device: string, reason: string): void
}

interface Pending {
  readonly resolve: (result: unknown) => void
  readonly reject: (error: CallError) => void
  readonly cancel: Cancel
}

/** Calls waiting for an answer: more than one gateway's people and pages ever have under way. */
const pendingMax = 64
const reconnectMs = 1_000
const connackMs = 5_000
const closeMs = 1_000
/** How long a broker elsewhere keeps events for a gateway that is away (MQTT 5; a 3.1.1 broker has its own rule). */
const sessionExpiryS = 24 * 3600
/** "Unacceptable protocol version" in 3.1.1, "unsupported protocol version" in 5. */
const wrongVersion: readonly unknown[] = [1, 0x84]

export class DeviceBus implements AsyncDisposable {
  readonly url: string
  readonly #clock: Clock
  readonly #log: Log
  readonly #topics: Topics
  readonly #replyTo: string
  readonly #listener: DeviceBusListener
  readonly #client: MqttClient
  readonly #pending = new Map<string, Pending>()
  #subscribed = false
  #lastError: string | undefined
  #closing: Promise<void> | undefined

  private constructor(
    deps: { clock: Clock; log: Log },
    options: DeviceBusOptions,
    listener: DeviceBusListener,
    client: MqttClient,
  ) {
    this.url = withoutCredentials(options.url)
    this.#clock = deps.clock
    this.#log = deps.log
    this.#topics = new Topics(options.base)
    this.#replyTo = this.#topics.reply(options.gatewayId)
    this.#listener = listener
    this.#client = client
  }

  /** Starts connecting and returns at once: a broker that is away is a state, not an error (`connected`, `lastError`). */
  static open(
    deps: { clock: Clock; log: Log },
    options: DeviceBusOptions,
    listener: DeviceBusListener,
  ): DeviceBus {
    const client = mqtt.connect(options.url, {
      clientId: options.clientId,
      clean: false,
      protocolVersion: 4,
      keepalive: 30,
      reconnectPeriod: reconnectMs,
      reconnectOnConnackError: true,
      connectTimeout: connackMs,
      resubscribe: false,
      queueQoSZero: false,
      timerVariant: 'native',
      ...(options.username !== undefined && { username: options.username }),
      ...(options.password !== undefined && { password: options.password }),
    })
    const bus = new DeviceBus(deps, options, listener, client)
    client.on('connect', () => {
      // Small calls, each waited for: Nagle's delay would hold each one up.
      if (client.stream instanceof Socket) client.stream.setNoDelay(true)
      bus.#subscribe()
    })
    client.on('close', () => bus.#disconnected())
    client.on('error', (error) => {
      if (wrongVersion.includes((error as { code?: unknown }).code)) bus.#otherVersion()
      else bus.#failed(error)
    })
    client.on('message', (topic, payload) => bus.#message(topic, payload))
    return bus
  }

  /** True while the broker answers and the subscriptions stand. */
  get connected(): boolean {
    return this.#subscribed && this.#client.connected
  }

  /** Why there is no connection, one line. */
  get lastError(): string | undefined {
    return this.#lastError
  }

  /** Calls a device and waits for its answer. Throws CallError. The result's shape is for the caller to check. */
  call(
    device: string,
    method: RpcMethod,
    params: Readonly<Record<string, unknown>>,
    deadlineMs: number,
  ): Promise<unknown> {
    if (!this.connected) {
      const why = this.#lastError ? ` (${this.#lastError})` : ''
      return Promise.reject(new CallError('unreachable', `no connection to the broker ${this.url}${why}`))
    }
    if (this.#pending.size >= pendingMax)
      return Promise.reject(new CallError('overloaded', `${pendingMax} calls are waiting already`))
    const id = this.#clock.newId()
    const request = encodeCbor({ ...params, id, replyTo: this.#replyTo, deadlineMs })
    if (request.byteLength > wireLimits.mqttPayloadBytesMax)
      return Promise.reject(new CallError('bad-request', `the call has ${request.byteLength} bytes`))
    return new Promise((resolve, reject) => {
      const cancel = this.#clock.after(deadlineMs, () =>
        this.#settle(id)?.reject(
          new CallError('deadline', `${device} did not answer ${method} within ${deadlineMs} ms`),
        ),
      )
      this.#pending.set(id, { resolve, reject, cancel })
      this.#client.publish(this.#topics.rpc(device, method), Buffer.from(request), { qos: 0 }, (error) => {
        if (error) this.#settle(id)?.reject(new CallError('unreachable', messageOf(error)))
      })
    })
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#failPending('the gateway is stopping')
    const ended = new Promise<void>((resolve) => this.#client.end(false, {}, () => resolve()))
    const forced = new Promise<void>((resolve) => {
      this.#clock.after(closeMs, () => this.#client.end(true, {}, () => resolve()))
    })
    await Promise.race([ended, forced])
  }

  #subscribe(): void {
    this.#listener.repeating()
    const topics = this.#topics
    const filters = {
      [topics.availability('+')]: { qos: 1 },
      [topics.home('+')]: { qos: 1 },
      [topics.state('+', '+')]: { qos: 1 },
      [topics.event('+', 'command')]: { qos: 1 },
      [this.#replyTo]: { qos: 0 },
    } as const
    this.#client.subscribe(filters, (error, granted) => {
      const refused = granted?.filter(({ qos }) => qos >= 128).map(({ topic }) => topic)
      if (error || refused?.length) {
        this.#failed(error ?? new Error(`the broker refused the subscription to ${refused?.join(', ')}`))
        return
      }
      this.#subscribed = true
      this.#lastError = undefined
      this.#log.info('connected to the broker', { url: this.url })
      this.#listener.connection(true)
    })
  }

  /** MQTT 3.1.1 is tried first, 5 where a broker speaks nothing else; MQTT.js reads these options at each attempt. */
  #otherVersion(): void {
    const { options } = this.#client
    const five = options.protocolVersion !== 5
    this.#log.info('the broker wants another protocol version', { next: five ? '5' : '3.1.1' })
    options.protocolVersion = five ? 5 : 4
    options.properties = five ? { sessionExpiryInterval: sessionExpiryS } : undefined
  }

  #failed(error: Error): void {
    // The broker may be closed right after us: that is no news.
    if (this.#closing) return
    const message = connectionMessage(error)
    if (message !== this.#lastError) this.#log.warn('broker connection', { url: this.url, why: message })
    this.#lastError = message
  }

  #disconnected(): void {
    const was = this.#subscribed
    this.#subscribed = false
    this.#lastError ??= 'the broker closed the connection'
    this.#failPending('the connection to the broker was lost')
    if (was) this.#listener.connection(false)
  }

  #failPending(why: string): void {
    for (const id of [...this.#pending.keys()]) this.#settle(id)?.reject(new CallError('unreachable', why))
  }

  #settle(id: string): Pending | undefined {
    const pending = this.#pending.get(id)
    pending?.cancel()
    this.#pending.delete(id)
    return pending
  }

  #message(topic: string, payload: Uint8Array): void {
    const parsed = this.#topics.parse(topic)
    if (topic === this.#replyTo) this.#reply(payload)
    else if (parsed) this.#listener.message(parsed, payload)
  }

  #reply(payload: Uint8Array): void {
    const decoded = decodeCbor(payload, wireLimits.mqttPayloadBytesMax)
    const reply = decoded.ok ? check(rpcReply, decoded.value) : decoded
    if (!reply.ok) {
      this.#listener.bad('reply', reply.reason)
      return
    }
    const pending = this.#settle(reply.value.id)
    if (!pending) return
    if (reply.value.ok) pending.resolve(reply.value.result)
    else pending.reject(new CallError(reply.value.error.code, reply.value.error.message))
  }
}

function connectionMessage(error: Error): string {
  const { code } = error as NodeJS.ErrnoException
  if (code === 'ECONNREFUSED') return 'nothing listens there'
  // Node reports several failed addresses as one AggregateError without a message.
  return messageOf(error) || String(code ?? error.name)
}

/** A URL fit for logs and answers. */
export function withoutCredentials(url: string): string {
  const parsed = new URL(url)
  parsed.username = ''
  parsed.password = ''
  return parsed.href.replace(/\/$/, '')
}
