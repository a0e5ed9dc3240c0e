/**
 * Comparing and setting over MQTT: the rounds of `register.ts`, said on `<base>/site/board/<key>/<device>`. What was promised or
 * accepted is on the disk before anybody is told.
 *
 * Invariants: [compare-1] without more than half of the known devices nothing is set, and the answer says so; [compare-2] what may
 * have been set although no answer came is `uncertain`, never `conflict`; [compare-3] words that a device did not sign, or that were
 * said under another's topic or key, change nothing; [compare-4] no other device makes this one keep more than so many promises on its
 * disk, nor keeps others from comparing with them.
 */
import { type Cancel, type Clock, sleep } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import type { Bus } from '../../link/bus.ts'
import { type Ballot, type BoardWord, boardLimits, boardWord, factBody } from '../../wire/board.ts'
import { Bucket } from '../scheduler/bucket.ts'
import { type Heard, type Signer, seal, unseal } from '../together/envelope.ts'
import type { BoardDisk } from './board-store.ts'
import { type Register, type Registers, Round, type SignedFact, type Told } from './register.ts'

interface ComparisonsDeps {
  readonly clock: Clock
  readonly log: Log
  readonly bus: Bus
  readonly signer: Signer
  readonly disk: BoardDisk
  readonly registers: Registers
  /** What this device has on its board under a key, shown or not. */
  readonly placeOf: (key: string) => SignedFact | undefined
  /** More than half hold it: it belongs on the board. */
  readonly set: (fact: SignedFact) => void
}

/** What to do about what stands: write, or leave it and say why. */
export type Change = { readonly write: SignedFact } | { readonly leave: string }

type Changed =
  | { readonly ok: true; readonly fact: SignedFact }
  | { readonly ok: false; readonly code: 'conflict' | 'unavailable' | 'uncertain'; readonly reason: string }

interface Live {
  readonly round: Round
  readonly changed: () => void
}

/** A phase waits for answers at most so long; all rounds of one call. */
const phaseMsMax = 1_500
const roundsMsMax = 6_000
const againMs = { least: 20, most: 250 }
/** What one device makes this one keep: a thousand words at once, then 128 a second, with two to a comparison. */
const keeps = { max: 1_024, perMs: 8_000 }

export class Comparisons implements Disposable {
  readonly #deps: ComparisonsDeps
  readonly #live = new Map<string, Live>()
  /** Of devices that are believed. */
  readonly #keeps = new Map<string, Bucket>()
  readonly #cancel: Cancel
  #refused = 0

  constructor(deps: ComparisonsDeps) {
    this.#deps = deps
    const { bus } = deps
    this.#cancel = bus.subscribe(bus.topics.board('+', '+'), ({ topic, payload }) =>
      this.#take(topic, payload),
    )
  }

  /** Words refused since the start. */
  get refused(): number {
    return this.#refused
  }

  [Symbol.dispose](): void {
    this.#cancel()
  }

  /**
   * Finds out what stands under the key and writes what `change` makes of it, which is asked again in each round and must give
   * the same writing as long as the same stands. One call a key at a time. Rejects when `signal` aborts or the disk fails.
   */
  async change(
    key: string,
    change: (current: SignedFact | undefined) => Change,
    signal: AbortSignal,
  ): Promise<Changed> {
    const { clock, bus, signer } = this.#deps
    const endMs = clock.monotonicMs() + roundsMsMax
    /** What was proposed, and may be set without this device knowing. */
    let proposed: SignedFact | undefined
    let highest = 0
    let reason = ''
    do {
      signal.throwIfAborted()
      if (!bus.connected && signer.trusted.length > 1) {
        reason = `this device is cut off from the other ${signer.trusted.length - 1}`
        break
      }
      const round = this.#begin(key, highest)
      using live = this.#listen(key, round)
      await this.#prepare(key, round, live, signal)
      if (round.promised) {
        const { current } = round
        const again = proposed !== undefined && current?.text === proposed.text
        const wanted = again && current ? { write: current } : change(current)
        if ('leave' in wanted && proposed && overtaken(proposed, round))
          return { ok: false, code: 'uncertain', reason: `it may have been set, and then: ${wanted.leave}` }
        const writing = 'write' in wanted ? wanted.write : current
        // What somebody proposed and never finished is finished first: it may have been set.
        const unfinished = writing?.text !== this.#deps.placeOf(key)?.text
        if (writing && ('write' in wanted || unfinished)) {
          if ('write' in wanted) proposed = wanted.write
          await this.#propose(key, round, writing, live, signal)
          if (round.accepted) this.#deps.set(writing)
          if (round.accepted && 'write' in wanted) return { ok: true, fact: writing }
        }
        if ('leave' in wanted) return { ok: false, code: 'conflict', reason: wanted.leave }
      }
      highest = Math.max(highest, round.ballot.n, ...round.refusals.map((refusal) => refusal.highest))
      reason = whyNot(round)
      const waitMs = againMs.least + clock.random() * (againMs.most - againMs.least)
      await sleep(clock, waitMs, signal)
    } while (clock.monotonicMs() < endMs)
    if (proposed) return { ok: false, code: 'uncertain', reason: `it may be set later: ${reason}` }
    return { ok: false, code: 'unavailable', reason }
  }

  #begin(key: string, highest: number): Round {
    const { clock, signer, registers } = this.#deps
    const n = Math.max(highest, registers.of(key)?.promised.n ?? 0) + 1
    return new Round({ n, device: signer.device, id: clock.newId() }, [...signer.trusted])
  }

  #listen(key: string, round: Round): Disposable & { readonly heard: () => Promise<void> } {
    let wake = Promise.withResolvers<void>()
    const live = { round, changed: () => wake.resolve() }
    this.#live.set(key, live)
    return {
      heard: async () => {
        await wake.promise
        wake = Promise.withResolvers<void>()
      },
      [Symbol.dispose]: () => {
        if (this.#live.get(key) === live) this.#live.delete(key)
      },
    }
  }

  async #prepare(key: string, round: Round, live: Waiter, signal: AbortSignal): Promise<void> {
    const { signer } = this.#deps
    const { ballot } = round
    this.#say({ kind: 'prepare', key, ballot })
    const own = await this.#promise(key, ballot)
    if (own.kind === 'refuse') round.refuse(signer.device, own)
    else round.promise(signer.device, this.#told(key))
    await this.#until(() => round.promised || round.lost, live, signal)
  }

  async #propose(
    key: string,
    round: Round,
    fact: SignedFact,
    live: Waiter,
    signal: AbortSignal,
  ): Promise<void> {
    const { signer } = this.#deps
    const { ballot } = round
    // On the disk here before anybody else has it: after a crash this device finds what it proposed.
    const own = await this.#accept(key, ballot, fact)
    if (own.kind === 'refuse') round.refuse(signer.device, own)
    else {
      round.accept(signer.device)
      this.#say({ kind: 'propose', key, ballot, envelope: base64Of(fact.envelope) })
    }
    await this.#until(() => round.accepted || round.lost, live, signal)
  }

  /** Until it holds, or long enough. */
  async #until(holds: () => boolean, { heard }: Waiter, signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps
    let late = false
    const over = Promise.withResolvers<void>()
    const cancel = clock.after(phaseMsMax, () => {
      late = true
      over.resolve()
    })
    const onAbort = () => over.resolve()
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      while (!holds() && !late && !signal.aborted) await Promise.race([heard(), over.promise])
      signal.throwIfAborted()
    } finally {
      cancel()
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** This device's promise, on the disk. */
  async #promise(key: string, asked: Ballot): Promise<Said<'promise' | 'refuse'>> {
    const { registers, clock } = this.#deps
    const refusal = registers.prepare(key, asked, clock.nowMs())
    if (refusal) return { kind: 'refuse', key, ballot: asked, ...refusal }
    await this.#keep(key)
    const { accepted, place } = this.#told(key)
    return {
      ...{ kind: 'promise', key, ballot: asked },
      ...(accepted && {
        accepted: { ballot: accepted.ballot, envelope: base64Of(accepted.fact.envelope) },
      }),
      ...(place && place.text !== accepted?.fact.text && { place: base64Of(place.envelope) }),
    }
  }

  async #accept(key: string, asked: Ballot, fact: SignedFact): Promise<Said<'accept' | 'refuse'>> {
    const { registers, clock } = this.#deps
    const refusal = registers.propose(key, asked, fact, clock.nowMs())
    if (refusal) return { kind: 'refuse', key, ballot: asked, ...refusal }
    await this.#keep(key)
    return { kind: 'accept', key, ballot: asked }
  }

  #told(key: string): Told {
    return { accepted: this.#deps.registers.of(key)?.accepted, place: this.#deps.placeOf(key) }
  }

  async #keep(key: string): Promise<void> {
    const { registers, disk } = this.#deps
    disk.register(key, keptOf(registers.of(key)))
    await disk.durable()
  }

  #say(word: BoardWord): void {
    const { bus, signer, log } = this.#deps
    if (!bus.connected) return
    bus
      .publish(bus.topics.board(word.key, signer.device), seal(signer, 'board-word', word))
      .catch((error) => log.debug('a word about a fact was not sent', { reason: messageOf(error) }))
  }

  #take(topic: string, payload: Uint8Array): string | undefined {
    const { bus, signer } = this.#deps
    const [, , key, device] = bus.topics.levels(topic) ?? []
    if (device === signer.device) return undefined
    const complaint = this.#hear(key ?? '', device ?? '', payload)
    if (complaint !== undefined) this.#refused += 1
    return complaint
  }

  #hear(key: string, device: string, payload: Uint8Array): string | undefined {
    const { signer } = this.#deps
    const said = unseal(signer, 'board-word', boardWord, payload, boardLimits.wordBytesMax, { on: device })
    if (!said.ok) return said.reason
    const { from, body } = said
    if (body.key !== key) return `it is about ${body.key}`
    if (body.kind === 'prepare' || body.kind === 'propose') {
      if (body.ballot.device !== from) return `it is a round of ${body.ballot.device}`
      if (!this.#mayKeep(from)) return `${from} compares more than is kept`
      if (body.kind === 'prepare') return this.#answer(this.#promise(key, body.ballot))
      const fact = this.#read(key, body.envelope, from)
      return typeof fact === 'string' ? fact : this.#answer(this.#accept(key, body.ballot, fact))
    }
    return this.#answered(from, body)
  }

  #mayKeep(device: string): boolean {
    const nowMs = this.#deps.clock.monotonicMs()
    const bucket = this.#keeps.get(device) ?? new Bucket(keeps, nowMs)
    this.#keeps.set(device, bucket)
    if (bucket.waitMs(1, nowMs) > 0) return false
    bucket.take(1, nowMs)
    return true
  }

  #answer(answer: Promise<BoardWord>): undefined {
    const { log } = this.#deps
    answer
      .then((word) => this.#say(word))
      .catch((error) => log.error('a promise could not be kept', { reason: messageOf(error) }))
  }

  #answered(from: string, body: Said<'promise' | 'accept' | 'refuse'>): string | undefined {
    const live = this.#live.get(body.key)
    // Of a round that is over, or of another device.
    if (live?.round.ballot.id !== body.ballot.id || body.ballot.n !== live.round.ballot.n) return undefined
    if (body.kind === 'refuse') live.round.refuse(from, body)
    else if (body.kind === 'accept') live.round.accept(from)
    else {
      const accepted = body.accepted && this.#read(body.key, body.accepted.envelope, from)
      const place = body.place === undefined ? undefined : this.#read(body.key, body.place, from)
      if (typeof accepted === 'string') return accepted
      if (typeof place === 'string') return place
      live.round.promise(from, {
        ...(accepted && body.accepted && { accepted: { ballot: body.accepted.ballot, fact: accepted } }),
        ...(place && { place }),
      })
    }
    live.changed()
    return undefined
  }

  #read(key: string, encoded: string, beside: string): SignedFact | string {
    const fact = readFact(this.#deps.signer, Buffer.from(encoded, 'base64'), { beside })
    if (!fact.ok) return fact.reason
    return fact.fact.body.key === key ? fact.fact : `it is about ${fact.fact.body.key}`
  }
}

type Said<Kind extends BoardWord['kind']> = Extract<BoardWord, { kind: Kind }>
type Waiter = { readonly heard: () => Promise<void> }

type Read =
  | { readonly ok: true; readonly fact: SignedFact }
  | {
      readonly ok: false
      readonly code: 'malformed' | 'unknown' | 'forged' | 'busy'
      readonly reason: string
    }

/** A fact that its author signed. Never throws. Without `heard`: of the own disk. */
export function readFact(signer: Signer, payload: Uint8Array, heard?: Heard): Read {
  const said = unseal(signer, 'board', factBody, payload, boardLimits.factBytesMax, heard)
  if (!said.ok) return said
  const envelope = Buffer.from(payload).toString()
  return { ok: true, fact: { author: said.from, body: said.body, text: said.text, envelope } }
}

function keptOf(register: Register | undefined) {
  if (!register) return undefined
  const { promised, accepted } = register
  return {
    promised,
    ...(accepted && { accepted: { ballot: accepted.ballot, envelope: accepted.fact.envelope } }),
  }
}

const base64Of = (envelope: string) => Buffer.from(envelope).toString('base64')

/** Whether what was proposed may have stood before what stands now. */
function overtaken({ body }: SignedFact, { current, proposal }: Round): boolean {
  if (!current || current.body.version < body.version) return false
  return current.body.version > body.version || current.text !== proposal?.text
}

function whyNot({ members, answered, promised, refusals }: Round): string {
  const wrong = refusals.find(({ why }) => why !== 'later')
  if (wrong?.why === 'clock') return 'the clocks of this device and another differ'
  if (wrong?.why === 'full') return 'too many keys are compared'
  if (answered * 2 <= members.length)
    return `${answered} of ${members.length} devices answered, more than half must`
  return promised ? 'others set it at the same time' : 'others compare it at the same time'
}
