/**
 * Leases by a majority of the site's devices, without a clock, a network or a key of its own (after M. Burrows, "The Chubby lock
 * service", OSDI 2006, and its fencing "sequencers"). A device claims a name with a token higher than any it knows; each device
 * grants a name to one holder at a time and never a token that is not higher than the last; who is granted by more than half holds
 * it, until its time has run out as counted from when it first claimed.
 *
 * Invariants: [lease-1] two devices never hold one name at a time, as any two majorities share a device; [lease-2] a later
 * holder's token is higher; [lease-3] a claim said again, or an old answer, prolongs nothing; [lease-12] one device does not use up the
 * names. They rest on: clocks whose rates differ by
 * less than a tenth; devices that do not lie; devices that remember over a restart what they granted. Where that fails, the token
 * still tells the old holder from the new one.
 */
import { type LeaseBody, leaseLimits } from '../../wire/lease.ts'

export type Said<Kind extends LeaseBody['kind']> = Extract<LeaseBody, { kind: Kind }>

/** As it is signed: the order of its fields is part of it. */
export function grantOf({ name, token, at }: Pick<Said<'claim'>, 'name' | 'token' | 'at'>, to: string) {
  return { kind: 'grant', name, token, at, to } as const satisfies LeaseBody
}

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
  /** The highest token of which it was shown that more than half granted it: of a holder. */
  shown: number
  /** When the first was granted since a holder was shown; undefined: none was. */
  sinceMs: number | undefined
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
        ...{ highest: token, shown: 0, sinceMs: undefined, newest: new Map<string, number>() },
      })
  }

  /** What must be kept. */
  get kept(): readonly KeptGrant[] {
    return [...this.#granted]
      .filter(([, { token }]) => token > 0)
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

  /** The token of the last holder that was heard of; 0 for none. */
  shown(name: string): number {
    return this.#granted.get(name)?.shown ?? 0
  }

  /**
   * What is older than this is of an earlier holder. Of one to whom this device has just granted it nobody knows yet whether more than half
   * did: that is said within moments, and until then the earlier holder is taken as gone. Where no holder was heard of, as after a
   * restart, it is the highest that was granted.
   */
  current(name: string, nowMs: number): number {
    const granted = this.#granted.get(name)
    if (!granted) return 0
    const { shown, highest, sinceMs } = granted
    const isOpen = sinceMs !== undefined && nowMs - sinceMs < leaseLimits.shownMsMax
    return isOpen || shown === 0 ? highest : shown
  }

  /** A number beyond `most` is of a clock that was wrong: once its time is over it need not be outdone. */
  forgetBeyond(name: string, most: number, nowMs: number): void {
    const granted = this.#granted.get(name)
    if (granted && granted.highest > most && nowMs >= granted.untilMs)
      Object.assign(granted, { token: 0, highest: 0, shown: granted.shown > most ? 0 : granted.shown })
  }

  claim(from: string, { name, token, ttlMs, at }: Said<'claim'>, nowMs: number): Said<'grant' | 'refuse'> {
    const granted = this.#of(name, from, nowMs)
    if (!granted) return { kind: 'refuse', name, highest: 0, at, to: from, why: 'many' }
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
    if (granted.holder !== from && !this.#hasRoom(from, nowMs)) return { ...refusal, why: 'many' }
    Object.assign(granted, { holder: from, token, ttlMs, highest: token, untilMs: nowMs + ttlMs })
    if (!renews) granted.sinceMs ??= nowMs
    return grantOf({ name, token, at }, from)
  }

  release(from: string, { name, token, at }: Said<'release'>, nowMs: number): void {
    const granted = this.#of(name, from, nowMs)
    if (!granted || at <= (granted.newest.get(from) ?? -1)) return
    // A claim that it overtook is over too.
    granted.newest.set(from, at)
    if (granted.holder === from && granted.token === token) granted.untilMs = 0
  }

  /** More than half have granted it: also for a device that was not there, or had granted it to another that too few did. */
  heardHeld(
    from: string,
    { name, token, ttlMs }: Pick<Said<'held'>, 'name' | 'token' | 'ttlMs'>,
    nowMs: number,
  ): void {
    const granted = this.#of(name, from, nowMs)
    if (granted && token > granted.shown) Object.assign(granted, { shown: token, sinceMs: undefined })
    if (granted && token > granted.highest)
      Object.assign(granted, { holder: from, token, ttlMs, highest: token, untilMs: nowMs + ttlMs })
  }

  #hasRoom(device: string, nowMs: number): boolean {
    let held = 0
    for (const { holder, untilMs } of this.#granted.values())
      if (holder === device && nowMs < untilMs) held += 1
    return held < leaseLimits.namesOfDeviceMax
  }

  /**
   * Where too many are known, the one that is free the longest is forgotten: its tokens grow on with the clock. Who has had too
   * many has its own forgotten. Undefined: none is free.
   */
  #of(name: string, from: string, nowMs: number): Granted | undefined {
    const known = this.#granted.get(name)
    if (known) return known
    const own = [...this.#granted].filter(([, { holder }]) => holder === from)
    if (own.length >= leaseLimits.namesOfDeviceMax && !this.#forgetOne(own, nowMs)) return undefined
    const isFull = this.#granted.size >= leaseLimits.namesMax && !this.#forgetOne([...this.#granted], nowMs)
    if (isFull && own.length >= leaseLimits.namesOfDeviceLeast) return undefined
    const newest = new Map<string, number>()
    const fresh = {
      holder: from,
      token: 0,
      ttlMs: 0,
      untilMs: 0,
      highest: 0,
      shown: 0,
      sinceMs: undefined,
      newest,
    }
    this.#granted.set(name, fresh)
    return fresh
  }

  #forgetOne(among: readonly (readonly [string, Granted])[], nowMs: number): boolean {
    const [oldest] = among
      .filter(([, { untilMs }]) => untilMs <= nowMs)
      .toSorted(([, a], [, b]) => a.untilMs - b.untilMs)
    return oldest !== undefined && this.#granted.delete(oldest[0])
  }
}

/** One try to hold a name, or to go on holding it. */
export class Claim {
  readonly body: Said<'claim'>
  readonly #members: readonly string[]
  readonly #sentMs: number
  /** The signatures of those who granted it. */
  readonly #grants = new Map<string, string>()
  /** What they know of, of those who refused it. */
  readonly #refusals = new Map<string, Said<'refuse'>>()
  /** The claim of this device that they know of and that is later than this one, as its clock was set back. */
  readonly #later = new Map<string, number>()

  /** `sentMs`: before it is said to anybody. */
  constructor(body: Said<'claim'>, members: readonly string[], sentMs: number) {
    this.body = body
    this.#members = members
    this.#sentMs = sentMs
  }

  answer(from: string, body: Said<'grant' | 'refuse'>, sig: string): void {
    if (!this.#members.includes(from)) return
    if (body.kind === 'refuse' && body.at > this.body.at) this.#later.set(from, body.at)
    if (body.at !== this.body.at) return
    if (body.kind === 'grant' && body.token === this.body.token) this.#grants.set(from, sig)
    if (body.kind === 'refuse') this.#refusals.set(from, body)
  }

  /** The highest token that must be outdone. */
  get highest(): number {
    return this.#mostKnow((device) => this.#refusals.get(device)?.highest)
  }

  /** The claim of this device that the next must be later than. */
  get latest(): number {
    return this.#mostKnow((device) => this.#later.get(device))
  }

  /**
   * Of what those who answered want outdone the least that is enough for a majority: one that lies, and says whatever it likes,
   * must not drive it up.
   */
  #mostKnow(wanted: (device: string) => number | undefined): number {
    const answered = new Set([...this.#grants.keys(), ...this.#refusals.keys(), ...this.#later.keys()])
    const all = [...answered].map((device) => wanted(device) ?? 0).toSorted((a, b) => a - b)
    return all[Math.min(Math.floor(this.#members.length / 2), all.length - 1)] ?? 0
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

  /** Who granted it, with the signature of each. */
  get grants(): readonly (readonly [string, string])[] {
    return [...this.#grants]
  }

  /** Why most of those who refused did, where they say so. */
  get why(): Said<'refuse'>['why'] {
    const said = [...this.#refusals.values()].map(({ why }) => why)
    return said.find((why) => said.filter((one) => one === why).length * 2 > said.length)
  }
}
