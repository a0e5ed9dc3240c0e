/**
 * What arrives: commands, calls, Home Assistant's birth message. Nothing is trusted: size before parsing, schema before
 * use, a repeated id once. A retained command is refused, since it would be carried out again at every reconnect.
 */
import { messageOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { wireLimits } from '../wire/limits.ts'
import { parseJson, type SetMessage, setMessage } from '../wire/messages.ts'
import { Topics } from '../wire/topics.ts'
import type { BadMessages } from './bad-messages.ts'
import type { InboundMessage } from './connection.ts'
import { RecentIds } from './recent-ids.ts'
import type { RpcServer } from './rpc-server.ts'
import type { Subscriptions } from './subscriptions.ts'

/** `entity` is the topic's last level; `raw` the payload as it came. Must not throw for what a sender can cause. */
export type SetHandler = (entity: string, message: SetMessage, raw: Uint8Array) => void

export interface InboundOptions {
  readonly base: string
  readonly deviceId: string
  readonly discoveryPrefix: string
}

export interface InboundEvents {
  /** Home Assistant has started: discovery should be sent again. */
  readonly onBirth: () => void
  /** Somebody, often this device's own late will, says what our availability is. */
  readonly onAvailability: (payload: string) => void
}

/** Command ids remembered, per device: a redelivery follows within seconds. */
const recentMax = 1024
const statusBytesMax = 64

export class Inbound {
  readonly filters: readonly string[]
  readonly #log: Log
  readonly #bad: BadMessages
  readonly #topics: Topics
  readonly #deviceId: string
  readonly #birthTopic: string
  readonly #rpc: RpcServer
  readonly #subscriptions: Subscriptions
  readonly #events: InboundEvents
  readonly #recent = new RecentIds(recentMax)
  #setHandler: SetHandler | undefined

  constructor(
    deps: {
      readonly log: Log
      readonly bad: BadMessages
      readonly rpc: RpcServer
      readonly subscriptions: Subscriptions
    },
    options: InboundOptions,
    events: InboundEvents,
  ) {
    this.#log = deps.log
    this.#bad = deps.bad
    this.#rpc = deps.rpc
    this.#subscriptions = deps.subscriptions
    this.#topics = new Topics(options.base)
    this.#deviceId = options.deviceId
    this.#birthTopic = `${options.discoveryPrefix}/status`
    this.#events = events
    this.filters = [
      this.#topics.set(options.deviceId, '+'),
      this.#topics.rpc(options.deviceId, '+'),
      this.#topics.availability(options.deviceId),
      this.#birthTopic,
    ]
  }

  setHandler(handler: SetHandler | undefined): void {
    this.#setHandler = handler
  }

  /** Takes one message. Never throws. */
  accept(message: InboundMessage): void {
    const complaint = this.#dispatch(message)
    if (complaint !== undefined) this.#bad.add(message.topic, complaint)
  }

  /** What is wrong with the message, if anything. */
  #dispatch(message: InboundMessage): string | undefined {
    const { topic, payload, retained } = message
    if (topic === this.#birthTopic) {
      if (!retained && textOf(payload) === 'online') this.#events.onBirth()
      return undefined
    }
    const verdict = this.#subscriptions.accept(message)
    const parsed = this.#topics.parse(topic)
    // Also where another room listens to it: of all devices, this one is one.
    if (parsed?.device === this.#deviceId && parsed.kind === 'availability') {
      this.#events.onAvailability(textOf(payload))
      return undefined
    }
    if (verdict !== false) return verdict
    if (parsed?.device !== this.#deviceId) return 'a topic that was not asked for'
    // Somebody clearing a retained topic: not a command.
    if (payload.byteLength === 0) return undefined
    if (retained) return 'a retained command or call'
    if (parsed.kind === 'rpc') return this.#rpc.accept(parsed.method, payload)
    if (parsed.kind === 'set') return this.#set(parsed.entity, payload)
    return 'a topic that was not asked for'
  }

  #set(entity: string, payload: Uint8Array): string | undefined {
    const message = parseJson(setMessage, payload, wireLimits.setBytesMax)
    if (!message.ok) return message.reason
    const { id } = message.value
    if (id !== undefined && !this.#recent.isNew(`${entity} ${id}`)) return undefined
    try {
      if (this.#setHandler) this.#setHandler(entity, message.value, payload)
      else this.#log.warn('command dropped: nothing takes commands yet', { entity })
    } catch (error) {
      this.#log.error('command handler failed', { entity, reason: messageOf(error) })
    }
    return undefined
  }
}

function textOf(payload: Uint8Array): string {
  return payload.byteLength > statusBytesMax ? '' : new TextDecoder().decode(payload)
}
