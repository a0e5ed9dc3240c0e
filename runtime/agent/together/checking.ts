/**
 * This device's name and key with a budget for checking what others signed: a check takes 0.16 ms of a desk's core, in the thread
 * that also runs the control loop, so no sender may have as many as it likes. What is over is not heard, and is a bad message.
 *
 * Invariants: [checks-1] who says more than its budget is not heard until that has filled again; [checks-2] everybody else is heard
 * meanwhile, also where many names are used at once; [checks-3] what is said under another's topic costs that device nothing.
 */
import type { Clock } from '../../base/clock.ts'
import type { Identity } from '../../base/identity.ts'
import { Bucket } from '../scheduler/bucket.ts'
import type { Signer } from './envelope.ts'

/** Of one sender for one purpose: all that a broker keeps of it at once, then 200 a second, 3 % of a core. */
const each = { max: 1_024, perMs: 5_120 }
/** Of all together: 2,000 a second, a third of a core. */
const all = { max: 8_192, perMs: 4_096 }
/** What each sender has when others have used that up: all 64 that a device believes can have it at once. */
const least = { max: 32, perMs: 16_000 }

export class Checking implements Signer {
  readonly #identity: Identity
  readonly #clock: Clock
  readonly #all: Bucket
  /** Of devices that are believed, for the few purposes there are. */
  readonly #senders = new Map<string, { readonly each: Bucket; readonly least: Bucket }>()

  constructor(identity: Identity, clock: Clock) {
    this.#identity = identity
    this.#clock = clock
    this.#all = new Bucket(all, clock.monotonicMs())
  }

  get device(): string {
    return this.#identity.device
  }

  get trusted(): readonly string[] {
    return this.#identity.trusted
  }

  sign(bytes: Uint8Array): Uint8Array {
    return this.#identity.sign(bytes)
  }

  verify(...word: Parameters<Signer['verify']>): ReturnType<Signer['verify']> {
    return this.#identity.verify(...word)
  }

  /** Whether one more may be checked that this sender, one that is believed, answers for. It is counted. */
  admits(sender: string): boolean {
    const nowMs = this.#clock.monotonicMs()
    let own = this.#senders.get(sender)
    if (!own) {
      own = { each: new Bucket(each, nowMs), least: new Bucket(least, nowMs) }
      this.#senders.set(sender, own)
    }
    if (own.each.waitMs(1, nowMs) > 0) return false
    const from = this.#all.waitMs(1, nowMs) === 0 ? this.#all : own.least
    if (from.waitMs(1, nowMs) > 0) return false
    own.each.take(1, nowMs)
    from.take(1, nowMs)
    return true
  }
}
