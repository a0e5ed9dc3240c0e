/**
 * Topics that other rooms of the runtime listen to: filters with whoever takes what arrives. What arrives is bounded in size
 * by the connection; everything else about it is the taker's to check.
 */
import type { Cancel } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { InboundMessage } from './connection.ts'

/** Returns one line that says what is wrong with the message, if anything. Must not throw for what a sender can cause. */
export type MessageTaker = (message: InboundMessage) => string | undefined

export class Subscriptions {
  readonly #log: Log
  readonly #takers = new Map<string, MessageTaker>()

  constructor(log: Log) {
    this.#log = log
  }

  get filters(): readonly string[] {
    return [...this.#takers.keys()]
  }

  /** One taker a filter. */
  add(filter: string, taker: MessageTaker): Cancel {
    if (this.#takers.has(filter)) throw new Error(`${filter} is taken already`)
    this.#takers.set(filter, taker)
    return () => {
      if (this.#takers.get(filter) === taker) this.#takers.delete(filter)
    }
  }

  /** False where nobody asked for the topic; else what is wrong with the message, if anything. */
  accept(message: InboundMessage): string | undefined | false {
    for (const [filter, taker] of this.#takers) {
      if (!matches(filter, message.topic)) continue
      try {
        return taker(message)
      } catch (error) {
        this.#log.error('taking a message failed', { filter, reason: messageOf(error) })
        return undefined
      }
    }
    return false
  }
}

/** Filters of ours have `+` levels and no other wildcard. */
function matches(filter: string, topic: string): boolean {
  const wanted = filter.split('/')
  const levels = topic.split('/')
  return wanted.length === levels.length && wanted.every((want, at) => want === '+' || want === levels[at])
}
