/**
 * Topics that other rooms of the runtime listen to: filters with whoever takes what arrives. What arrives is bounded in size
 * by the connection; everything else about it is the taker's to check.
 */
import { messageOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { InboundMessage } from './connection.ts'

/** Returns one line that says what is wrong with the message, if anything. Must not throw for what a sender can cause. */
export type MessageTaker = (message: InboundMessage) => string | undefined

export class Subscriptions {
  readonly #log: Log
  readonly #takers = new Map<string, Set<MessageTaker>>()

  constructor(log: Log) {
    this.#log = log
  }

  get filters(): readonly string[] {
    return [...this.#takers.keys()]
  }

  /** The returned function says whether nobody wants the filter any more. */
  add(filter: string, taker: MessageTaker): () => boolean {
    const takers = this.#takers.get(filter) ?? new Set()
    if (takers.has(taker)) throw new Error(`${filter} is taken already`)
    this.#takers.set(filter, takers.add(taker))
    return () => takers.delete(taker) && takers.size === 0 && this.#takers.delete(filter)
  }

  /** Hands it to everybody who asked. False where nobody did; else what is wrong with the message, if anything. */
  accept(message: InboundMessage): string | undefined | false {
    const takers = [...this.#takers].flatMap(([filter, all]) =>
      matches(filter, message.topic) ? [...all] : [],
    )
    const complaints = takers.map((taker) => this.#hand(taker, message))
    return complaints.length === 0 ? false : complaints.find((complaint) => complaint !== undefined)
  }

  #hand(taker: MessageTaker, message: InboundMessage): string | undefined {
    try {
      return taker(message)
    } catch (error) {
      this.#log.error('taking a message failed', { topic: message.topic, reason: messageOf(error) })
      return undefined
    }
  }
}

/** Filters of ours have `+` levels and no other wildcard. */
function matches(filter: string, topic: string): boolean {
  const wanted = filter.split('/')
  const levels = topic.split('/')
  return wanted.length === levels.length && wanted.every((want, at) => want === '+' || want === levels[at])
}
