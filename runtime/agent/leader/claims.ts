/**
 * Leases by a majority of the site's devices, without a clock, a network or a key of its own (after M. Burrows, "The Chubby lock
 * service", OSDI 2006, and its fencing "sequencers"). A device claims a name with a token higher than any it knows; each device
 * grants a name to one holder at a time and never a token that is not higher than the last; who is granted by more than half holds
 * it, until its time has run out as counted from when it first claimed.
 *
 * Invariants: [lease-1] two devices never hold one name at a time, as any two majorities share a device; [lease-2] a later
 * holder's token is higher; [lease-3] a claim said again, or an old answer, prolongs nothing. They rest on: clocks whose rates differ by
 * less than a tenth; devices that do not lie; devices that remember over a restart what they granted. Where that fails, the token
 * still tells the old holder from the new one.
 */
import { type LeaseBody, leaseLimits } from '../../wire/lease.ts'

type Said<Kind extends LeaseBody['kind']> = Extract<LeaseBody, { kind: Kind }>

/** What is left of a time to live for its holder: others count it later, on clocks that may be faster. */
const holderShare = 0.9

/** What a device must know after a restart of what it granted. */
export interface KeptGrant {
  readonly name: string
  readonly holder: string
  readonly token: number
  readonly ttlMs: number
}

interface Granted {
  holder: string
  token: number
  ttlMs: number
  untilMs: number
  /** The highest token granted or heard of. */
  highest: number
  /** Of each device the newest claim. */
  readonly newest: Map<string, number>
}

/** The side that grants. */
export class Grants {
  readonly #granted = new Map<string, Granted>()

  /** `kept`: what it granted before it restarted. How much of that time has passed it does not know: all of it is left. */
  constructor(kept: readonly KeptGrant[] = [], nowMs = 0) {
    for (const { name, holder, token, ttlMs } of kept)
      this.#granted.set(name, {
        ...{ holder, token, ttlMs, untilMs: nowMs + ttlMs },
        ...{ highest: token, newest: new Map<string, number>() },
      })
  }

  /** What must be kept. */
  get kept(): readonly KeptGrant[] {
    return [...this.#granted]
      .filter(([, { holder }]) => holder !== '')
      .map(([name, { holder, token, ttlMs }]) => ({ name, holder, token, ttlMs }))
  }

  /** Who holds what, as far as this device knows; of those whose time is not over. */
  held(nowMs: number): readonly { name: string; holder: string; token: number; leftMs: number }[] {
    return [...this.#granted]
      .filter(([, { untilMs }]) => nowMs < untilMs)
      .map(([name, { holder, token, untilMs }]) => ({ name, holder, token, leftMs: untilMs - nowMs }))
  }

  /** The highest token that was heard of; 0 for none. */
  highest(name: string): number {
    return this.#granted.get(name)?.highest ?? 0
  }

  /** Somebody knows of a higher one. */
  heardOf(name: string, token: number, nowMs: number): void {
    const granted = this.#of(name, nowMs)
    if (granted) granted.highest = Math.max(granted.highest, token)
  }

  claim(
    from: string,
    { name, token, ttlMs, at }: Said<'claim'>,
    nowMs: number,
  ): Said<'grant' | 'refuse'> | undefined {
    const granted = this.#of(name, nowMs)
    if (!granted) return undefined
    const newest = granted.newest.get(from) ?? -1
    const refusal = {
      kind: 'refuse',
      name,
      highest: granted.highest,
      at: Math.max(at, newest),
      to: from,
    } as const
    // An old one said again; or one of a device whose clock was set back, which learns so what is new.
    if (at <= newest) return refusal
    granted.newest.set(from, at)
    const free = nowMs >= granted.untilMs || granted.holder === from
    const renews = granted.holder === from && granted.token === token && nowMs < granted.untilMs
    if (!renews && !(free && token > granted.highest)) return refusal
    Object.assign(granted, { holder: from, token, ttlMs, highest: token, untilMs: nowMs + ttlMs })
    return { kind: 'grant', name, token, at, to: from }
  }

  release(from: string, { name, token, at }: Said<'release'>, nowMs: number): void {
    const granted = this.#of(name, nowMs)
    if (!granted || at <= (granted.newest.get(from) ?? -1)) return
    // A claim that it overtook is over too.
    granted.newest.set(from, at)
    if (granted.holder === from && granted.token === token) granted.untilMs = 0
  }

  /** The holder says that it holds: for a device that was not there when it was granted. */
  heardHeld(from: string, { name, token, ttlMs }: Said<'held'>, nowMs: number): void {
    const granted = this.#of(name, nowMs)
    if (granted && token > granted.highest)
      Object.assign(granted, { holder: from, token, ttlMs, highest: token, untilMs: nowMs + ttlMs })
  }

  /** Where too many are known, the one that is free the longest is forgotten: its tokens grow on with the clock. */
  #of(name: string, nowMs: number): Granted | undefined {
    const known = this.#granted.get(name)
    if (known) return known
    if (this.#granted.size >= leaseLimits.namesMax) {
      const [oldest] = [...this.#granted]
        .filter(([, { untilMs }]) => untilMs <= nowMs)
        .toSorted(([, a], [, b]) => a.untilMs - b.untilMs)
      if (!oldest) return undefined
      this.#granted.delete(oldest[0])
    }
    const newest = new Map<string, number>()
    const fresh = { holder: '', token: 0, ttlMs: 0, untilMs: 0, highest: 0, newest }
    this.#granted.set(name, fresh)
    return fresh
  }
}

/** One try to hold a name, or to go on holding it. */
export class Claim {
  readonly body: Said<'claim'>
  readonly #members: readonly string[]
  readonly #sentMs: number
  readonly #grants = new Set<string>()
  readonly #refusals = new Set<string>()
  #highest = 0

  /** `sentMs`: before it is said to anybody. */
  constructor(body: Said<'claim'>, members: readonly string[], sentMs: number) {
    this.body = body
    this.#members = members
    this.#sentMs = sentMs
  }

  answer(from: string, body: Said<'grant' | 'refuse'>): void {
    if (body.at !== this.body.at || !this.#members.includes(from)) return
    if (body.kind === 'grant' && body.token === this.body.token) this.#grants.add(from)
    if (body.kind === 'refuse') {
      this.#refusals.add(from)
      this.#highest = Math.max(this.#highest, body.highest)
    }
  }

  /** The highest token that a device which refused knows of. */
  get highest(): number {
    return this.#highest
  }

  /** When the holder must have let go; undefined where it does not hold. */
  heldUntilMs(nowMs: number): number | undefined {
    const untilMs = this.#sentMs + this.body.ttlMs * holderShare
    return this.#grants.size * 2 > this.#members.length && nowMs < untilMs ? untilMs : undefined
  }

  /** So many refused that it cannot come about. */
  get lost(): boolean {
    return this.#refusals.size * 2 >= this.#members.length
  }

  get grants(): number {
    return this.#grants.size
  }
}
