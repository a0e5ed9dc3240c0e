/**
 * The facts of a board on the broker, retained: what this device writes is published, what others wrote is taken or refused. The broker
 * keeps one message a key, that which came last and not that which stands: who hears an older one says the one that stands.
 * So whoever asks the broker is told it in the end, also where its author is gone or the broker has forgotten.
 *
 * Invariants: [board-6] a fact that is malformed, forged, oversized, of a stranger, of another key or from the future changes nothing,
 * and is counted; one from the future or of a stranger is looked at again when its time has come, or its author is believed;
 * [board-7] what the broker shows becomes what stands, after a partition and after it forgot everything; [board-8] what has
 * run out is cleared from the broker by its author.
 */
import type { Cancel, Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import type { Bus } from '../../link/bus.ts'
import { boardLimits } from '../../wire/board.ts'
import type { Signer } from '../together/envelope.ts'
import { readFact } from './comparisons.ts'
import type { Facts } from './facts.ts'
import type { SignedFact } from './register.ts'

interface SharingDeps {
  readonly clock: Clock
  readonly log: Log
  readonly bus: Bus
  readonly signer: Signer
  /** A device is believed from now on. */
  readonly onPeer: (listener: () => void) => Cancel
  readonly facts: Facts<SignedFact>
  /** Something took its place under a key. */
  readonly taken: (fact: SignedFact) => void
  /** Something waits for its time. */
  readonly due: () => void
}

interface Waiting {
  readonly payload: Uint8Array
  /** When it may be taken; infinite: when its author is believed. */
  readonly dueMs: number
  /** Nobody knows yet whether it is any good. */
  readonly unread?: true
}

/** Somebody else may say it first: after a wrong word of the broker, and after a new connection, where the author goes first. */
const mendMs = { least: 100, most: 1_500 }
const mendOwnMs = { least: 300, most: 800 }
const mendOthersMs = { least: 2_000, most: 5_000 }
const mendDoublingsMax = 8
const mendForgottenMs = 10 * 60_000
/** Facts that wait until their author is believed or their time has come. */
const waitingMax = 256
/** A fact that could not be checked, as its author says too much, is looked at again after this. */
const busyMs = 2_000

export class Sharing implements Disposable {
  readonly #deps: SharingDeps
  readonly #cancels: readonly Cancel[]
  /** What was last heard under each key that is known here: the broker keeps it. Empty: nothing. */
  readonly #atBroker = new Map<string, string>()
  readonly #mending = new Map<string, Cancel>()
  /** How often the broker was corrected, and when last: where two disagree about what stands, as with a wrong clock, ever slower. */
  readonly #mended = new Map<string, { readonly times: number; readonly atMs: number }>()
  readonly #waiting = new Map<string, Waiting>()
  #refused = 0

  constructor(deps: SharingDeps) {
    this.#deps = deps
    const { bus, onPeer } = deps
    this.#cancels = [
      bus.subscribe(bus.topics.board('+'), ({ topic, payload }) => this.#take(topic, payload)),
      bus.onChange((connected) => {
        if (connected) this.#mendAll()
      }),
      onPeer(() => this.#again(() => true)),
    ]
    if (bus.connected) this.#mendAll()
  }

  /** Facts refused since the start. */
  get refused(): number {
    return this.#refused
  }

  /** When something that waits may be taken; infinite where nothing does. */
  get dueMs(): number {
    return Math.min(Number.POSITIVE_INFINITY, ...[...this.#waiting.values()].map(({ dueMs }) => dueMs))
  }

  /** What stands, from now on and until the broker has said it. */
  publish({ body: { key }, envelope }: SignedFact): void {
    const { bus, log } = this.#deps
    try {
      bus.setRetained(bus.topics.board(key), envelope)
    } catch (error) {
      log.warn('a fact was not said to the others', { key, reason: messageOf(error) })
    }
  }

  /** Takes what waited for its time, and clears what has run out. */
  tick(nowMs: number): void {
    this.#again(({ dueMs }) => nowMs >= dueMs)
    const { bus, facts, signer } = this.#deps
    for (const { author, body } of facts.all) {
      const isOver = nowMs >= body.tsMs + body.ttlMs
      const topic = bus.topics.board(body.key)
      if (isOver) bus.forgetRetained(topic)
      if (!isOver || author !== signer.device || this.#isEmpty(body.key)) continue
      this.#atBroker.set(body.key, '')
      this.#clear(topic)
    }
  }

  /** It is not remembered any more. */
  forget(key: string): void {
    this.#atBroker.delete(key)
    this.#mended.delete(key)
  }

  /** What a restart found on the disk and could not take yet. */
  later(key: string, envelope: string): void {
    this.#look(key, Buffer.from(envelope))
  }

  [Symbol.dispose](): void {
    for (const cancel of [...this.#cancels, ...this.#mending.values()]) cancel()
    this.#mending.clear()
  }

  #take(topic: string, payload: Uint8Array): string | undefined {
    const key = this.#deps.bus.topics.levels(topic)?.[2] ?? ''
    if (payload.byteLength === 0) {
      this.#seen(key, '')
      this.#mendSoon(key, mendMs)
      return undefined
    }
    return this.#hear(key, payload)
  }

  #hear(key: string, payload: Uint8Array): string | undefined {
    const complaint = this.#look(key, payload)
    if (complaint !== undefined) {
      this.#refused += 1
      if (this.#waiting.get(key)?.unread) return complaint
      // It stands where the fact should: whoever comes later finds nothing else.
      this.#seen(key, complaint)
      this.#mendSoon(key, mendMs)
    }
    return complaint
  }

  /** In one line why it is refused, if it is. */
  #look(key: string, payload: Uint8Array): string | undefined {
    const { bus, signer, facts, clock } = this.#deps
    const known = facts.place(key)
    // The very message that is known need not be checked again: after a reconnect most are.
    const isKnown = known !== undefined && Buffer.from(payload).toString() === known.envelope
    const read = isKnown ? { ok: true as const, fact: known } : readFact(signer, payload, 'open')
    if (!read.ok) {
      if (read.code === 'busy') {
        const isFirst = !this.#waiting.has(key)
        this.#wait(key, { payload, dueMs: clock.nowMs() + busyMs, unread: true })
        if (isFirst) this.#deps.due()
      }
      if (read.code === 'unknown') this.#wait(key, { payload, dueMs: Number.POSITIVE_INFINITY })
      return read.reason
    }
    const { fact } = read
    if (fact.body.key !== key) return `it is about ${fact.body.key}`
    const acceptance = facts.accept(fact, clock.nowMs())
    if (acceptance === 'future') {
      this.#wait(key, { payload, dueMs: fact.body.tsMs - boardLimits.skewMsMax })
      this.#deps.due()
      return `it was written in the future by the clock of ${fact.author}`
    }
    if (acceptance === 'full') return `the board has no room for more facts of ${fact.author}`
    this.#seen(key, fact.text)
    if (acceptance === 'new') this.#deps.taken(fact)
    if (facts.place(key)?.text === fact.text) {
      // Said again after a reconnect it could hide a newer one.
      bus.forgetRetained(bus.topics.board(key))
      this.#mending.get(key)?.()
      this.#mending.delete(key)
    } else this.#mendSoon(key, mendMs)
    return undefined
  }

  #wait(key: string, waiting: Waiting): void {
    this.#waiting.delete(key)
    this.#waiting.set(key, waiting)
    const [oldest] = this.#waiting.keys()
    if (this.#waiting.size > waitingMax && oldest !== undefined) this.#waiting.delete(oldest)
  }

  #again(isDue: (waiting: Waiting) => boolean): void {
    for (const [key, waiting] of [...this.#waiting]) {
      if (!isDue(waiting)) continue
      this.#waiting.delete(key)
      if (waiting.unread) this.#hear(key, waiting.payload)
      else this.#look(key, waiting.payload)
    }
  }

  /** Of keys that this device has something under: whoever may write to the broker can name any others, without end. */
  #seen(key: string, text: string): void {
    if (this.#deps.facts.place(key)) this.#atBroker.set(key, text)
  }

  #isEmpty(key: string): boolean {
    return (this.#atBroker.get(key) ?? '') === ''
  }

  /** The broker may have forgotten all of it, or know what was written meanwhile. */
  #mendAll(): void {
    const { facts, signer } = this.#deps
    this.#atBroker.clear()
    this.#mended.clear()
    for (const { author, body } of facts.all)
      this.#mendSoon(body.key, author === signer.device ? mendOwnMs : mendOthersMs)
  }

  #mendSoon(key: string, { least, most }: typeof mendMs): void {
    if (this.#mending.has(key) || !this.#isWrong(key)) return
    const { clock } = this.#deps
    const { times = 0, atMs = 0 } = this.#mended.get(key) ?? {}
    const again = clock.monotonicMs() - atMs < mendForgottenMs ? times : 0
    const delayMs = (least + clock.random() * (most - least)) * 2 ** Math.min(again, mendDoublingsMax)
    const cancel = clock.after(delayMs, () => {
      this.#mending.delete(key)
      if (this.#mend(key)) this.#mended.set(key, { times: again + 1, atMs: clock.monotonicMs() })
    })
    this.#mending.set(key, cancel)
  }

  /** The broker's is not the one that stands; of one that has run out it need have none. */
  #isWrong(key: string): boolean {
    const { facts, clock } = this.#deps
    const place = facts.place(key)
    if (!place || this.#atBroker.get(key) === place.text) return false
    return !(this.#isEmpty(key) && clock.nowMs() >= place.body.tsMs + place.body.ttlMs)
  }

  #mend(key: string): boolean {
    const { facts, bus } = this.#deps
    const place = facts.place(key)
    if (!place || !bus.connected || !this.#isWrong(key)) return false
    this.publish(place)
    return true
  }

  #clear(topic: string): void {
    const { bus, log } = this.#deps
    try {
      bus.clearRetained(topic)
    } catch (error) {
      log.warn('a fact that ran out was not cleared', { topic, reason: messageOf(error) })
    }
  }
}
