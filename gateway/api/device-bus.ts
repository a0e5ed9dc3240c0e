/**
 * The gateway's own client connection: the same over loopback to the built-in broker and to any other broker by URL. It
 * hands on what devices say and calls them (wire/rpc). Inference has a connection of its own (`offload/listener.ts`).
 *
 * Calls go out with QoS 0: a call that waited in an offline device's session would be carried out long after its caller
 * gave up. Events come in with QoS 1 on a persistent session, so a broker elsewhere keeps them while the gateway restarts.
 */
import type { Cancel, Clock } from '../../runtime/base/clock.ts'
import { CodedError } from '../../runtime/base/errors.ts'
import type { Log } from '../../runtime/base/log.ts'
import { decodeCbor, encodeCbor } from '../../runtime/wire/cbor.ts'
import { wireLimits } from '../../runtime/wire/limits.ts'
import { check } from '../../runtime/wire/messages.ts'
import { type RpcErrorCode, type RpcMethod, rpcReply } from '../../runtime/wire/rpc.ts'
import { type DeviceTopic, Topics } from '../../runtime/wire/topics.ts'
import { BrokerClient } from '../broker-client.ts'

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
  /** A fact that the devices share may have changed. Which, and whether it is true, is for a device to say. */
  board(): void
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
/** How long a broker elsewhere keeps events for a gateway that is away (MQTT 5; a 3.1.1 broker has its own rule). */
const sessionExpiryS = 24 * 3600

const lostConnection = 'the connection to the broker was lost'

export class DeviceBus implements AsyncDisposable {
  readonly #clock: Clock
  readonly #topics: Topics
  readonly #replyTo: string
  readonly #boardPrefix: string
  readonly #listener: DeviceBusListener
  readonly #broker: BrokerClient
  readonly #pending = new Map<string, Pending>()

  /** Starts connecting and returns at once: a broker that is away is a state, not an error (`connected`, `lastError`). */
  static open(
    deps: { clock: Clock; log: Log },
    options: DeviceBusOptions,
    listener: DeviceBusListener,
  ): DeviceBus {
    const bus = new DeviceBus(deps, options, listener)
    bus.#broker.connect()
    return bus
  }

  private constructor(
    deps: { clock: Clock; log: Log },
    { base, gatewayId, ...connection }: DeviceBusOptions,
    listener: DeviceBusListener,
  ) {
    this.#clock = deps.clock
    this.#topics = new Topics(base)
    this.#replyTo = this.#topics.reply(gatewayId)
    this.#boardPrefix = this.#topics.board('+').slice(0, -1)
    this.#listener = listener
    const topics = this.#topics
    const filters = {
      [topics.availability('+')]: 1,
      [topics.home('+')]: 1,
      [topics.state('+', '+')]: 1,
      [topics.agents('+')]: 1,
      [topics.board('+')]: 0,
      [topics.event('+', 'command')]: 1,
      [topics.event('+', 'approval')]: 1,
      [topics.event('+', 'decision')]: 1,
      [this.#replyTo]: 0,
    } as const
    this.#broker = new BrokerClient(
      deps,
      { ...connection, filters, keptS: sessionExpiryS },
      {
        onSession: () => listener.repeating(),
        onConnection: (connected) => this.#onConnection(connected),
        onMessage: (topic, payload) => this.#message(topic, payload),
        onOversized: (topic, bytes) =>
          listener.bad(this.#sender(topic), `${bytes} bytes, more than any message of ours`),
      },
    )
  }

  /** The broker, without secrets. */
  get url(): string {
    return this.#broker.url
  }

  /** True while the broker answers and the subscriptions stand. */
  get connected(): boolean {
    return this.#broker.connected
  }

  /** Why there is no connection, one line. */
  get lastError(): string | undefined {
    return this.#broker.lastError
  }

  /** Calls a device and waits for its answer. Throws CallError. The result's shape is for the caller to check. */
  call(
    device: string,
    method: RpcMethod,
    params: Readonly<Record<string, unknown>>,
    deadlineMs: number,
  ): Promise<unknown> {
    if (!this.connected) {
      const why = this.lastError ? ` (${this.lastError})` : ''
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
      void this.#broker.publish(this.#topics.rpc(device, method), request, { qos: 0 }).then((sent) => {
        if (!sent) this.#settle(id)?.reject(new CallError('unreachable', lostConnection))
      })
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#failPending('the gateway is stopping')
    await this.#broker[Symbol.asyncDispose]()
  }

  #onConnection(connected: boolean): void {
    if (!connected) this.#failPending(lostConnection)
    this.#listener.connection(connected)
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

  /** Whose topic it is. */
  #sender(topic: string): string {
    return this.#topics.parse(topic)?.device ?? (topic === this.#replyTo ? 'reply' : 'somebody')
  }

  #message(topic: string, payload: Uint8Array): void {
    const parsed = this.#topics.parse(topic)
    if (topic === this.#replyTo) this.#reply(payload)
    else if (parsed) this.#listener.message(parsed, payload)
    else if (topic.startsWith(this.#boardPrefix)) this.#listener.board()
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
