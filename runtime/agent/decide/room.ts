/**
 * How much one device may make this one open, check and keep of decisions: as much as an honest one does.
 *
 * Invariants: [decide-15] decisions that one device opens leave room for those of others, and for this device's own.
 */
import type { Clock } from '../../base/clock.ts'
import { decideLimits } from '../../wire/decide.ts'
import { Bucket } from '../scheduler/bucket.ts'
import { unchecked } from '../together/envelope.ts'
import type { Word } from './words.ts'

/** What one device opens is heard of: so many at once, then four a second. */
const opens = { max: 64, perMs: 16_000 }
/** Of those that others have opened, one device may have this share. */
const shareOfOne = 1 / 4
/** Messages of one device that are known again: all that an honest one says, but for its awards. */
const checkedMax = 6

export class Openers {
  readonly #clock: Clock
  readonly #self: string
  readonly #openMax: number
  /** Of devices that are believed. */
  readonly #opens = new Map<string, Bucket>()

  constructor(clock: Clock, { self, openMax }: { readonly self: string; readonly openMax: number }) {
    this.#clock = clock
    this.#self = self
    this.#openMax = openMax
  }

  /** Of those who opened what is open: in one line why `opener` may open no other, if it may not. */
  full(opener: string, openers: readonly string[]): string | undefined {
    const own = opener === this.#self
    const ofOpener = openers.filter((one) => one === opener).length
    if (!own && ofOpener >= this.#openMax * shareOfOne)
      return `${ofOpener} decisions of ${opener} are open already`
    const all = own ? ofOpener : openers.filter((one) => one !== this.#self).length
    // Whoever has none open has room, however many lie.
    if (ofOpener === 0) return undefined
    return all >= this.#openMax ? `${this.#openMax} decisions are open already` : undefined
  }

  /** Whether one more opening of this device is heard of: for each this device says words of its own, which all others check. */
  hears(device: string): boolean {
    const nowMs = this.#clock.monotonicMs()
    const bucket = this.#opens.get(device) ?? new Bucket(opens, nowMs)
    this.#opens.set(device, bucket)
    if (bucket.waitMs(1, nowMs) > 0) return false
    bucket.take(1, nowMs)
    return true
  }
}

/** What a message says that it is: not yet looked at whether its device signed that. Undefined: it is none. */
export function kindOf(payload: Uint8Array): unknown {
  const body = unchecked(payload, decideLimits.resultBytesMax)
  return typeof body === 'object' && body !== null && 'kind' in body ? body.kind : undefined
}

/** Words of one decision that were checked, by their message: the same said again, or shown beside a result, needs no second look. */
export class CheckedWords {
  readonly #words = new Map<string, Word>()
  readonly #of = new Map<string, number>()
  readonly #most: (device: string) => number

  constructor({ members, opener }: { readonly members: readonly string[]; readonly opener: string }) {
    // The opener may award it to one after the other.
    this.#most = (device) =>
      members.includes(device) ? checkedMax + (device === opener ? members.length : 0) : 0
  }

  get(envelope: string): Word | undefined {
    return this.#words.get(envelope)
  }

  add(word: Word): void {
    const known = this.#of.get(word.from) ?? 0
    if (known >= this.#most(word.from)) return
    this.#of.set(word.from, known + 1)
    this.#words.set(word.envelope, word)
  }
}
