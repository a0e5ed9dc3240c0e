/**
 * Comparing and setting a key so that exactly one of several wins: rounds of two phases by a majority of the site's devices, without a
 * clock, a network or a disk of its own (D. Rystsov, "CASPaxos: Replicated State Machines without logs", arXiv:1802.07000). A
 * device that wants to set asks all for a promise; from what more than half tell it knows what stands; it proposes what is to
 * stand, and that does when more than half have accepted. Each promises to accept nothing of an earlier round.
 *
 * Invariants: [register-1] of all that compare with one version at most one sets; [register-2] what was set is known to everybody who
 * compares afterwards; [register-3] a word said again, or an old one, changes nothing. They rest on devices that do not lie, that
 * keep over a restart what they promised, and that know the same others.
 */
import { type Ballot, boardLimits } from '../../wire/board.ts'
import { type Fact, standsOver } from './facts.ts'

/** A fact with its author's signature, as it goes over the wire. */
export interface SignedFact extends Fact {
  readonly envelope: string
}
interface Accepted {
  readonly ballot: Ballot
  readonly fact: SignedFact
}
/** What a device must not forget. */
export interface Register {
  readonly promised: Ballot
  readonly accepted: Accepted | undefined
  /** When it was last used. */
  readonly atMs: number
}
type Refusal = { readonly highest: number; readonly why: 'later' | 'full' | 'clock' }

function isBefore(one: Ballot, other: Ballot): boolean {
  if (one.n !== other.n) return one.n < other.n
  if (one.device !== other.device) return one.device < other.device
  return one.id < other.id
}

/** A key that is not on the board and that nobody asked about for so long is forgotten. */
const idleMsMax = 10 * 60_000

/** The side that promises and accepts: one a device. */
export class Registers {
  readonly #registers = new Map<string, Register>()

  of(key: string): Register | undefined {
    return this.#registers.get(key)
  }

  /** What was kept over a restart. */
  restore(key: string, register: Register): void {
    this.#registers.set(key, register)
  }

  /** Undefined: it is promised. */
  prepare(key: string, ballot: Ballot, nowMs: number): Refusal | undefined {
    const known = this.#registers.get(key)
    const refusal = this.#refusal(known, ballot, nowMs)
    if (refusal) return refusal
    this.#registers.set(key, { promised: ballot, accepted: known?.accepted, atMs: nowMs })
    return undefined
  }

  /** Undefined: it is accepted. */
  propose(key: string, ballot: Ballot, fact: SignedFact, nowMs: number): Refusal | undefined {
    const refusal = this.#refusal(this.#registers.get(key), ballot, nowMs)
    if (refusal) return refusal
    this.#registers.set(key, { promised: ballot, accepted: { ballot, fact }, atMs: nowMs })
    return undefined
  }

  /** Takes out the keys that nobody needs to remember, and says which. */
  forget(isOnBoard: (key: string) => boolean, nowMs: number): readonly string[] {
    const isOver = (key: string, { atMs }: Register) => !isOnBoard(key) && Math.abs(nowMs - atMs) > idleMsMax
    const gone = [...this.#registers].filter(([key, register]) => isOver(key, register)).map(([key]) => key)
    for (const key of gone) this.#registers.delete(key)
    return gone
  }

  get all(): ReadonlyMap<string, Register> {
    return this.#registers
  }

  #refusal(known: Register | undefined, ballot: Ballot, nowMs: number): Refusal | undefined {
    const highest = known?.promised.n ?? 0
    // One that lies must not use up the numbers.
    if (ballot.n > nowMs + boardLimits.skewMsMax) return { highest, why: 'clock' }
    if (known && isBefore(ballot, known.promised)) return { highest, why: 'later' }
    if (!known && !this.#hasRoom(ballot.device)) return { highest, why: 'full' }
    return undefined
  }

  #hasRoom(device: string): boolean {
    if (this.#registers.size >= boardLimits.keysMax) return false
    let begun = 0
    for (const { promised } of this.#registers.values()) if (promised.device === device) begun += 1
    return begun < boardLimits.keysOfAuthorMax
  }
}

/** What one device tells when it promises. */
export interface Told {
  readonly accepted?: Accepted | undefined
  readonly place?: SignedFact | undefined
}

/** One round, as the device sees it that began it. */
export class Round {
  readonly ballot: Ballot
  readonly members: readonly string[]
  readonly #promises = new Map<string, Told>()
  readonly #accepts = new Set<string>()
  readonly #refusals = new Map<string, Refusal>()

  constructor(ballot: Ballot, members: readonly string[]) {
    this.ballot = ballot
    this.members = members
  }

  promise(from: string, told: Told): void {
    if (this.members.includes(from)) this.#promises.set(from, told)
  }

  accept(from: string): void {
    if (this.members.includes(from)) this.#accepts.add(from)
  }

  refuse(from: string, refusal: Refusal): void {
    if (this.members.includes(from)) this.#refusals.set(from, refusal)
  }

  get promised(): boolean {
    return this.#promises.size * 2 > this.members.length
  }

  get accepted(): boolean {
    return this.#accepts.size * 2 > this.members.length
  }

  /** So many refused that it cannot come about. */
  get lost(): boolean {
    return this.#refusals.size * 2 >= this.members.length
  }

  /** Devices that answered, however. */
  get answered(): number {
    return new Set([...this.#promises.keys(), ...this.#accepts, ...this.#refusals.keys()]).size
  }

  get refusals(): readonly Refusal[] {
    return [...this.#refusals.values()]
  }

  /** Of the proposals that were accepted anywhere, that of the latest round: it may have been set. */
  get proposal(): SignedFact | undefined {
    let latest: Accepted | undefined
    for (const { accepted } of this.#promises.values())
      if (accepted && (!latest || isBefore(latest.ballot, accepted.ballot))) latest = accepted
    return latest?.fact
  }

  /** What stands, now that more than half have told: that proposal, or what was written over it without asking anybody. */
  get current(): SignedFact | undefined {
    let current = this.proposal
    for (const { place } of this.#promises.values())
      if (place && (!current || standsOver(place, current))) current = place
    return current
  }
}
