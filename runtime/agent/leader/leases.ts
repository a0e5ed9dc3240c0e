/**
 * Leases and leaders over MQTT: things that only one may do at a time in the site. A claim goes to all devices, each answers, and who
 * was granted it says so on a retained topic, for those that were away. Without more than half of the known devices there is none.
 *
 * [lease-4] what a device holds it stops holding by its own clock, connected or not; [lease-5] two agents of one device do not share a
 * lease; [lease-6] words that a device did not sign, or that were said under another's topic, change nothing; [lease-7] a lease is
 * prolonged as long as its holder runs, and let go when it does not; one that ran out is not taken again; [lease-8] a device that
 * restarts keeps to what it granted, and tokens go on growing when all of them restart; [lease-9] no other device makes this one write
 * more than a few times a second; [lease-10] nothing is prolonged once it is disposed of; [lease-11] one device that lies, fewer than half
 * of them, makes nobody believe in a holder whom more than half did not grant it, nor in numbers that nobody can outdo, also while others
 * are away; nor does a clock that was once wrong, when what was granted by it is over; [lease-12] nor does one device use up the names.
 */
import { type Cancel, type Clock, sleep } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import type { Bus } from '../../link/bus.ts'
import { type LeaseBody, leaseBody, leaseLimits, type ShownLease } from '../../wire/lease.ts'
import { type Signer, seal, signedBytes, unseal } from '../together/envelope.ts'
import { Claim, Grants, type Said } from './claims.ts'
import { GrantsFile } from './grants-file.ts'
import { unshown } from './shown.ts'

export interface LeasesDeps {
  readonly clock: Clock
  readonly log: Log
  readonly bus: Bus
  readonly signer: Signer
  /** Whether somebody on this device is still there: a lease is prolonged so long. */
  readonly lives: (holder: string) => boolean
  /** Whether nobody is granted that name now. Absent: all are. */
  readonly refuses?: (name: string) => boolean
}

export interface LeasesOptions {
  /** Where it is kept what this device granted. */
  readonly path: string
}

/** A lease of the site, as far as this device knows. */
export interface KnownLease {
  readonly name: string
  readonly holder: string
  readonly token: number
  readonly leftMs: number
}

export interface Held {
  readonly name: string
  readonly token: number
  /** Monotonic, of this device: from then on another may hold it. */
  readonly untilMs: number
}
export type Claimed =
  | { readonly ok: true; readonly held: Held }
  | { readonly ok: false; readonly reason: string }

/** `highest`: the token that the next try must outdo. */
type Tried =
  | Extract<Claimed, { ok: true }>
  | { readonly ok: false; readonly reason: string; readonly highest: number }

interface Own extends Held {
  readonly shown: ShownLease
  /** Of its holder's claims that were granted those of which it may have heard. */
  heard: number
  readonly holder: string
  readonly ttlMs: number
  /** Stops prolonging it. */
  readonly cancel: Cancel
}

/** A claim that waits for answers. */
interface Waiting {
  readonly claim: Claim
  readonly changed: () => void
  /** What it was to prolong was released meanwhile. */
  letGo: boolean
}

/** How long a claim waits for answers, at most; before another try. */
const answerMsMax = 2_000
const againMs = { least: 50, most: 400 }
/** A lease is prolonged when this share of its time has passed, and tried again after as much. */
const prolongShare = 0.25
/** Clocks of others that are set by the network may be so far behind. */
const behindMs = 60_000
/** What is granted to one device is written to the disk so often at once, and then each second; beyond that it gets no answer. */
const writes = { burst: 40, perSecond: 8 }

export class Leases implements Disposable {
  readonly #deps: LeasesDeps
  readonly #grants: Grants
  readonly #file: GrantsFile
  /** Before that this device grants nothing: it does not know what it granted. */
  readonly #quietUntilMs: number
  readonly #own = new Map<string, Own>()
  readonly #claims = new Map<string, Waiting>()
  /** One claim of a name at a time on this device. */
  readonly #busy = new Set<string>()
  readonly #cancels: readonly Cancel[]
  readonly #writes = new Map<string, { left: number; atMs: number }>()
  #stopped = false
  #at = 0

  /** Throws where the disk cannot be used. */
  static open(deps: LeasesDeps, { path }: LeasesOptions): Leases {
    const { clock, log } = deps
    const file = new GrantsFile(path)
    const { grants, putAside } = file.read(clock.nowMs())
    const nowMs = clock.monotonicMs()
    if (putAside !== undefined)
      log.error('which leases this device granted could not be read: it grants none for ten minutes', {
        putAside,
      })
    const quietUntilMs = putAside === undefined ? nowMs : nowMs + leaseLimits.ttlMsMax
    return new Leases(deps, { file, grants: new Grants(grants, nowMs), quietUntilMs })
  }

  private constructor(
    deps: LeasesDeps,
    { file, grants, quietUntilMs }: { file: GrantsFile; grants: Grants; quietUntilMs: number },
  ) {
    this.#deps = { ...deps, log: deps.log.named('leases') }
    this.#file = file
    this.#grants = grants
    this.#quietUntilMs = quietUntilMs
    const { bus } = deps
    const take = ({ topic, payload }: { readonly topic: string; readonly payload: Uint8Array }) =>
      this.#take(topic, payload)
    this.#cancels = [
      bus.subscribe(bus.topics.lease('+'), take),
      bus.subscribe(bus.topics.lease('+', '+'), take),
    ]
  }

  [Symbol.dispose](): void {
    this.#stopped = true
    for (const cancel of this.#cancels) cancel()
    for (const { cancel } of this.#own.values()) cancel()
    for (const { changed } of this.#claims.values()) changed()
  }

  /** Who holds what in the site. */
  known(): readonly KnownLease[] {
    return this.#grants.held(this.#deps.clock.monotonicMs())
  }

  /** What `holder`, somebody on this device, holds now. */
  held(name: string, holder: string): Held | undefined {
    const own = this.#own.get(name)
    return own && own.holder === holder && this.#deps.clock.monotonicMs() < own.untilMs ? own : undefined
  }

  /** Who on this device holds it now. */
  holder(name: string): string | undefined {
    const own = this.#own.get(name)
    return own && this.held(name, own.holder) && own.holder
  }

  /** What this device holds, with the word of those who granted it. */
  shown(name: string): ShownLease | undefined {
    return this.#own.get(name)?.shown
  }

  /** What comes with a lower token is of an earlier holder. */
  highest(name: string): number {
    return this.#grants.current(name, this.#deps.clock.monotonicMs())
  }

  /**
   * Holds `name` for `ttlMs` from when the holder was last seen to run, or goes on holding it with the same token. Tries until
   * `withinMs` has passed. Rejects when `signal` aborts.
   */
  async claim(
    name: string,
    holder: string,
    { ttlMs, withinMs }: { readonly ttlMs: number; readonly withinMs: number },
    signal: AbortSignal,
  ): Promise<Claimed> {
    const { clock } = this.#deps
    const endMs = clock.monotonicMs() + withinMs
    let reason = 'another on this device asks for it'
    /** The highest token that the others know of. */
    let highest = 0
    do {
      signal.throwIfAborted()
      if (this.#stopped) return { ok: false, reason: 'the device is stopping' }
      const other = this.#own.get(name)
      if (other && other.holder !== holder && clock.monotonicMs() < other.untilMs)
        reason = `${other.holder} on this device holds it`
      else if (!this.#busy.has(name)) {
        this.#busy.add(name)
        const tried = await this.#try(name, holder, { ttlMs, highest }).finally(() => this.#busy.delete(name))
        const own = this.#own.get(name)
        if (tried.ok && own) own.heard += 1
        if (tried.ok) return tried
        reason = tried.reason
        highest = tried.highest
      }
      const waitMs = againMs.least + clock.random() * (againMs.most - againMs.least)
      await sleep(clock, Math.min(waitMs, Math.max(0, endMs - clock.monotonicMs())), signal)
    } while (clock.monotonicMs() < endMs)
    return { ok: false, reason }
  }

  /** False where it was not held any more. */
  release(name: string, holder: string, token: number): boolean {
    const own = this.#own.get(name)
    if (!own || own.holder !== holder || own.token !== token) return false
    this.#drop(own)
    const waiting = this.#claims.get(name)
    // The others hear that it is let go after that claim: who granted it holds to nothing any more.
    if (waiting?.claim.body.token === token) {
      waiting.letGo = true
      waiting.changed()
    }
    this.#letGo(name, token)
    return true
  }

  /** Of a claim that was granted its holder does not hear. Nobody would release what nobody knows of. */
  unheard(name: string, holder: string, token: number): void {
    const own = this.#own.get(name)
    if (!own || own.holder !== holder || own.token !== token) return
    own.heard -= 1
    if (own.heard === 0) this.release(name, holder, token)
  }

  async #try(
    name: string,
    holder: string,
    { ttlMs, highest }: { readonly ttlMs: number; readonly highest: number },
  ): Promise<Tried> {
    const { clock, signer } = this.#deps
    const members = signer.trusted
    const sentMs = clock.monotonicMs()
    // The clock too: a site whose devices have all forgotten goes on where it was, or later.
    this.#grants.forgetBeyond(name, this.#aheadMax(), sentMs)
    const known = this.#believable(Math.max(this.#grants.highest(name), highest))
    const token = this.held(name, holder)?.token ?? Math.max(known + 1, clock.nowMs())
    const claim = new Claim({ kind: 'claim', name, token, ttlMs, at: this.#next() }, members, sentMs)
    const { promise, resolve } = Promise.withResolvers<void>()
    const waiting: Waiting = { claim, changed: resolve, letGo: false }
    this.#claims.set(name, waiting)
    const cancel = clock.after(Math.min(answerMsMax, ttlMs / 2), resolve)
    // Of a site of one, no broker is needed.
    this.#hear(signer.device, claim.body, '')
    this.#say(claim.body)
    await promise
    cancel()
    this.#claims.delete(name)
    this.#at = Math.max(this.#at, this.#believable(claim.latest))
    if (this.#stopped) return { ok: false, reason: 'the device is stopping', highest }
    if (waiting.letGo) return { ok: false, reason: 'it was released', highest }
    const untilMs = claim.heldUntilMs(clock.monotonicMs())
    if (untilMs !== undefined) {
      this.#hold({ name, token, untilMs, holder, ttlMs }, claim)
      return { ok: true, held: { name, token, untilMs } }
    }
    // What it still holds it holds on, until its time is over.
    if (!this.held(name, holder)) this.#letGo(name, token)
    return { ok: false, reason: whyNot(claim, members), highest: claim.highest }
  }

  #hold(held: Omit<Own, 'cancel' | 'shown' | 'heard'>, { body, grants }: Claim): void {
    const { clock, bus, signer } = this.#deps
    const { name, token, ttlMs } = held
    const before = this.#own.get(name)
    before?.cancel()
    const granted = grants.map(([device, sig]): [string, string] => [device, sig])
    const shown = { token, claim: body.at, grants: granted }
    const cancel = clock.after(ttlMs * prolongShare, () => void this.#prolong(name, token))
    const heard = before?.token === token ? before.heard : 0
    this.#own.set(name, { ...held, cancel, shown, heard })
    if (before?.token === token) return
    this.#grants.heardHeld(signer.device, { name, token, ttlMs }, clock.monotonicMs())
    const said = {
      ...{ kind: 'held', name, token, ttlMs, at: this.#next(), claim: body.at, grants: granted },
    } satisfies LeaseBody
    bus.setRetained(bus.topics.lease(name), seal(signer, 'lease', said))
  }

  async #prolong(name: string, token: number): Promise<void> {
    const { clock, log, lives } = this.#deps
    const own = this.#own.get(name)
    if (!own || own.token !== token) return
    const { holder, ttlMs } = own
    if (!lives(holder)) {
      this.release(name, holder, token)
      return
    }
    if (!this.held(name, holder)) {
      this.#drop(own)
      log.warn('a lease ran out: too few devices prolonged it', { name, holder })
      return
    }
    if (!this.#busy.has(name)) {
      this.#busy.add(name)
      const tried = await this.#try(name, holder, { ttlMs, highest: 0 }).finally(() =>
        this.#busy.delete(name),
      )
      if (tried.ok || this.#stopped) return
    }
    const still = this.#own.get(name)
    if (still?.token !== token) return
    const waitMs = Math.min(ttlMs * prolongShare, Math.max(0, still.untilMs - clock.monotonicMs()))
    const cancel = clock.after(waitMs, () => void this.#prolong(name, token))
    this.#own.set(name, { ...still, cancel })
  }

  #drop({ name, cancel }: Own): void {
    cancel()
    this.#own.delete(name)
  }

  #letGo(name: string, token: number): void {
    const release = { kind: 'release', name, token, at: this.#next() } satisfies LeaseBody
    this.#hear(this.#deps.signer.device, release, '')
    this.#say(release)
  }

  /** Grows with each word, also over restarts as long as the clock does. */
  #next(): number {
    this.#at = Math.max(this.#at + 1, this.#deps.clock.nowMs())
    return this.#at
  }

  #say(body: LeaseBody): void {
    const { bus, signer, log } = this.#deps
    if (!bus.connected) return
    bus
      .publish(bus.topics.lease(body.name, signer.device), seal(signer, 'lease', body))
      .catch((error) => log.debug('a word about a lease was not sent', { reason: messageOf(error) }))
  }

  #take(topic: string, payload: Uint8Array): string | undefined {
    const { bus, signer } = this.#deps
    if (payload.byteLength === 0) return undefined
    const [, , name, device] = bus.topics.levels(topic) ?? []
    const [bytesMax, heard] =
      device === undefined
        ? ([leaseLimits.heldBytesMax, 'open'] as const)
        : ([leaseLimits.bytesMax, { on: device }] as const)
    const said = unseal(signer, 'lease', leaseBody, payload, bytesMax, heard)
    if (!said.ok) return said.reason
    const { from, body, sig } = said
    if (body.name !== name) return `it is about ${body.name}`
    if ((device === undefined) !== (body.kind === 'held')) return 'it was said elsewhere'
    // The broker keeps it: said again after a reconnect it could hide a newer one.
    if (from === signer.device && device === undefined) bus.forgetRetained(topic)
    return from === signer.device ? undefined : this.#hear(from, body, sig)
  }

  /** In one line why it is not believed, if it is not. */
  #hear(from: string, body: LeaseBody, sig: string): string | undefined {
    const { clock, signer } = this.#deps
    const nowMs = clock.monotonicMs()
    if (from !== signer.device && numberOf(body) > this.#aheadMax()) {
      const { name, kind, at } = body
      if (kind === 'claim') this.#say({ kind: 'refuse', name, highest: 0, at, to: from, why: 'clock' })
      return `${from} counts far ahead of the clock`
    }
    if (body.kind === 'release') this.#grants.release(from, body, nowMs)
    else if (body.kind === 'held') return this.#heardHeld(from, body, nowMs)
    else if (body.kind === 'claim') {
      this.#grants.forgetBeyond(body.name, this.#aheadMax(), nowMs)
      const answer = this.#answerTo(from, body, nowMs)
      if (!answer) return undefined
      if (from !== signer.device) this.#say(answer)
      else this.#answered(from, answer, answer.kind === 'grant' ? this.#signed(answer) : '')
    } else if (body.to === signer.device) this.#answered(from, body, sig)
    return undefined
  }

  /** What is said to be held is believed where more than half of the devices that are known here have signed that they granted it. */
  #heardHeld(from: string, body: Said<'held'>, nowMs: number): string | undefined {
    if (body.token <= this.#grants.shown(body.name)) return undefined
    const reason = unshown(this.#deps.signer, body.name, from, body)
    if (reason !== undefined) return reason
    this.#grants.heardHeld(from, body, nowMs)
    return undefined
  }

  #signed(grant: Said<'grant'>): string {
    const { signer } = this.#deps
    return Buffer.from(signer.sign(signedBytes('lease', JSON.stringify(grant)))).toString('base64')
  }

  /** What is numbered higher is of a clock that is wrong, or of a lie. */
  #aheadMax(): number {
    return this.#deps.clock.nowMs() + leaseLimits.aheadMsMax
  }

  /** As far as a number can be outdone by one that others, whose clocks are a little behind, still believe. */
  #believable(number: number): number {
    return Math.min(number, this.#aheadMax() - behindMs)
  }

  /** What is granted is on the disk before anybody hears of it. */
  #answerTo(from: string, body: Said<'claim'>, nowMs: number) {
    if (nowMs < this.#quietUntilMs) return undefined
    const { name, at } = body
    if (this.#deps.refuses?.(name))
      return { kind: 'refuse', name, highest: this.#grants.highest(name), at, to: from } as const
    const answer = this.#grants.claim(from, body, nowMs)
    if (answer.kind !== 'grant' || this.#file.has({ ...body, holder: from })) return answer
    if (from !== this.#deps.signer.device && !this.#mayWrite(from, nowMs)) return undefined
    try {
      this.#file.keep(this.#grants.kept)
      return answer
    } catch (error) {
      this.#deps.log.error('a lease was not granted: it cannot be kept', { reason: messageOf(error) })
      return undefined
    }
  }

  /** Writing holds the control loop up: no device may ask for it without end. */
  #mayWrite(from: string, nowMs: number): boolean {
    const { left, atMs } = this.#writes.get(from) ?? { left: writes.burst, atMs: nowMs }
    const now = Math.min(writes.burst, left + ((nowMs - atMs) / 1000) * writes.perSecond)
    this.#writes.set(from, { left: now < 1 ? now : now - 1, atMs: nowMs })
    return now >= 1
  }

  #answered(from: string, body: Said<'grant' | 'refuse'>, sig: string): void {
    const waiting = this.#claims.get(body.name)
    if (!waiting) return
    waiting.claim.answer(from, body, sig)
    if (waiting.claim.lost || waiting.claim.heldUntilMs(this.#deps.clock.monotonicMs()) !== undefined)
      waiting.changed()
  }
}

/** The higher of its numbers, which others would have to outdo; of what is refused the claimant judges (`Claim`). */
function numberOf(body: LeaseBody): number {
  return body.kind === 'refuse' ? 0 : Math.max(body.token, body.at)
}

function whyNot({ lost, why, grants }: Claim, members: readonly string[]): string {
  if (why === 'clock') return 'the clock of this device is ahead of another'
  if (why === 'many') return 'too many leases are held'
  if (lost) return 'another holds it'
  return `${grants.length} of ${members.length} devices granted it, more than half must`
}
