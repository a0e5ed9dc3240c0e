/**
 * The blackboard: facts that the devices of a site share. Each device has all of them, and reads without asking anybody; writing asks
 * nobody either and converges (`facts.ts`); comparing and setting asks more than half of the devices (`register.ts`).
 *
 * Invariants: [board-9] what `set` has resolved with is on this device's disk, and after a restart is on its board and said again;
 * [board-10] a call that a crash cut off is looked up, not written twice; [board-11] who watches is told what is shown, then
 * what changes, also that something is gone; [board-12] the version that callers see is of one writing: of two that were written at
 * once under one version, only who saw the one that stands can set.
 */
import { createHash } from 'node:crypto'
import type { Cancel, Clock } from '../../base/clock.ts'
import { CodedError, messageOf } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import type { Bus } from '../../link/bus.ts'
import { matcherOf } from '../../things/pattern.ts'
import { type BoardResult, boardLimits, boardPageMax, factBody } from '../../wire/board.ts'
import { wireLimits } from '../../wire/limits.ts'
import { check } from '../../wire/messages.ts'
import type { Fact as SharedFact } from '../contract.ts'
import { type Signer, seal } from '../together/envelope.ts'
import { type BoardDisk, BoardStore, type Kept } from './board-store.ts'
import { type Change, Comparisons, readFact } from './comparisons.ts'
import { Facts, standsOver } from './facts.ts'
import { Registers, type SignedFact } from './register.ts'
import { Sharing } from './sharing.ts'

export interface BoardDeps {
  readonly clock: Clock
  readonly log: Log
  readonly bus: Bus
  readonly signer: Signer
  /** A device is believed from now on. */
  readonly onPeer: (listener: () => void) => Cancel
}

/** `limit`: too large, too many. `conflict`, `unavailable`, `uncertain`: of comparing. `failed`: the disk refused. */
export class BoardError extends CodedError<
  'bad-request' | 'limit' | 'conflict' | 'unavailable' | 'uncertain' | 'failed'
> {
  override readonly name = 'BoardError'
}

export interface Writing {
  readonly ttlMs?: number | undefined
  /** Which call writes: the same when it is made again after a crash. */
  readonly by?: string | undefined
}

/** What is shown under a key; `gone`: it was deleted, or its time is over. */
export type Seen = SharedFact & { readonly gone?: true }

/** Of the version that callers see so many values tell which of several writings it was. */
const tagMax = 2 ** 16
/** Calls that compare at a time on this device: each may wait for seconds. */
const comparingMax = 64
/** A proposal that was accepted here and of which nothing more was heard. */
const unfinishedMs = 30_000
/** Nothing is due: promises are looked through so often. */
const tickMsMax = 60_000
const bytesPerPage = wireLimits.mqttPayloadBytesMax - 16 * 1024

export class Board implements AsyncDisposable {
  readonly #deps: BoardDeps
  readonly #disk: BoardDisk
  readonly #facts = new Facts<SignedFact>()
  readonly #registers = new Registers()
  readonly #sharing: Sharing
  readonly #comparisons: Comparisons
  /** By call. */
  readonly #written = new Map<string, SignedFact>()
  /** What was last told to those who watch, by key. */
  readonly #told = new Map<string, SignedFact>()
  readonly #watchers = new Set<(key: string) => void>()
  /** Calls that compare, by key: one after the other. */
  readonly #comparing = new Map<string, Promise<unknown>>()
  #comparingNow = 0
  #cancelTick: Cancel | undefined
  readonly #stop = new AbortController()

  /** Throws where the disk cannot be used. */
  static async open(
    deps: BoardDeps,
    { path }: { readonly path: string },
    signal: AbortSignal,
  ): Promise<Board> {
    signal.throwIfAborted()
    const log = deps.log.named('board')
    const { store, kept } = await BoardStore.open({ clock: deps.clock, log }, path)
    return new Board({ ...deps, log }, store, kept)
  }

  /** For tests that have a disk of their own; else `open`. */
  constructor(deps: BoardDeps, disk: BoardDisk, kept: Kept) {
    this.#deps = deps
    this.#disk = disk
    const { clock, log, bus, signer } = deps
    const early = this.#restore(kept)
    this.#sharing = new Sharing({
      ...{ ...deps, facts: this.#facts },
      taken: (fact) => this.#taken(fact),
      due: () => this.#schedule(),
    })
    this.#comparisons = new Comparisons({
      ...{ clock, log, bus, signer, disk, registers: this.#registers },
      placeOf: (key) => this.#facts.place(key),
      set: (fact) => this.#settle(fact),
    })
    for (const fact of early) {
      if (fact.author === signer.device) this.#writeAgain(fact)
      else this.#sharing.later(fact.body.key, fact.envelope)
    }
    this.#schedule()
  }

  /** Messages refused since the start. */
  get refused(): number {
    return this.#sharing.refused + this.#comparisons.refused
  }

  /** What is shown under a key, by all that this device has heard. */
  get(key: string): SharedFact | undefined {
    const fact = this.#facts.shown(key, this.#deps.clock.nowMs())
    return fact && viewOf(fact)
  }

  /** What is shown, by key, those after `after`, as far as one answer has room. */
  page(pattern: string | undefined, after = ''): BoardResult {
    const shown = this.#shown(pattern)
    const rest = shown.filter(({ body }) => body.key > after)
    const facts: BoardResult['facts'] = []
    let bytes = 0
    for (const { author, body, text } of rest.slice(0, boardPageMax)) {
      bytes += Buffer.byteLength(text) + author.length
      if (bytes > bytesPerPage) break
      const { key, value, version, tsMs, ttlMs } = body
      facts.push({ key, value, version, author, tsMs, untilMs: tsMs + ttlMs })
    }
    const count = this.#shown(undefined).length
    return { facts, more: facts.length < rest.length, count, refused: this.refused }
  }

  /** What this call wrote before the device stopped; undefined: nothing. */
  writtenBy(key: string, by: string): SharedFact | undefined {
    const place = this.#facts.place(key)
    const fact = this.#written.get(by) ?? (place?.body.by === by ? place : undefined)
    return fact && viewOf(fact)
  }

  /**
   * Writes, whatever stands; undefined deletes. Resolves when it is on this device's disk; the others have it when they next hear from
   * the broker. Throws BoardError `bad-request`, `limit`, `failed`.
   */
  async set(key: string, value: unknown, writing: Writing = {}): Promise<SharedFact> {
    this.#refuseFull(key)
    const fact = this.#signed(key, value, this.#latest(key), writing)
    this.#take(fact)
    await this.#keepWriting(fact)
    // Another may have taken its place meanwhile.
    if (this.#facts.place(key)?.text === fact.text) this.#sharing.publish(fact)
    return viewOf(fact)
  }

  /**
   * Writes where what is shown still has this version (0: where nothing is shown). Resolves when more than half of the devices have it
   * on their disks. Throws BoardError `bad-request`, `limit`; `conflict`: another was first, nothing was written; `unavailable`:
   * fewer than half answer, nothing was written; `uncertain`: it was, or will be, or not.
   */
  async compareAndSet(
    key: string,
    version: number,
    value: unknown,
    writing: Writing,
    signal: AbortSignal,
  ): Promise<SharedFact> {
    const shown = this.get(key)
    // Versions only grow: no device can have what was asked for any more.
    if (shown && version < shown.version) throw new BoardError('conflict', conflictOf(key, shown))
    this.#refuseFull(key)
    return await this.#oneByOne(key, async () => {
      const change = this.#changeOf(key, version, value, writing)
      const changed = await this.#comparisons.change(key, change, signal).catch((error) => {
        if (signal.aborted || error instanceof BoardError) throw error
        throw new BoardError('failed', `the disk refused: ${messageOf(error)}`, { cause: error })
      })
      if (!changed.ok) throw new BoardError(changed.code, changed.reason)
      await this.#keepWriting(changed.fact)
      return viewOf(changed.fact)
    })
  }

  /**
   * Tells what is shown under keys that fit, at once, and then each key that changed. `tell` gets the latest; who is slow asks for
   * less. `*` stands for any characters but a dot.
   */
  watch(pattern: string, tell: (seen: Seen) => void): Cancel {
    const fits = matcherOf(pattern)
    const told = new Set<string>()
    const watcher = (key: string) => {
      if (!fits(key)) return
      const shown = this.get(key)
      if (shown) {
        told.add(key)
        tell(shown)
      } else if (told.delete(key)) {
        const last = this.#facts.place(key) ?? this.#told.get(key)
        if (last) tell({ ...viewOf(last), value: null, gone: true })
      }
    }
    for (const { body } of this.#shown(undefined)) watcher(body.key)
    this.#watchers.add(watcher)
    return () => this.#watchers.delete(watcher)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#stop.signal.aborted) return
    this.#stop.abort(new Error('the device is stopping'))
    this.#cancelTick?.()
    this.#sharing[Symbol.dispose]()
    this.#comparisons[Symbol.dispose]()
    this.#watchers.clear()
    await this.#disk[Symbol.asyncDispose]()
  }

  #shown(pattern: string | undefined): readonly SignedFact[] {
    const nowMs = this.#deps.clock.nowMs()
    const fits = pattern === undefined ? undefined : matcherOf(pattern)
    const isShown = ({ body: { key } }: SignedFact) =>
      this.#facts.shown(key, nowMs) !== undefined && (fits?.(key) ?? true)
    return this.#facts.all.filter(isShown).toSorted((a, b) => (a.body.key < b.body.key ? -1 : 1))
  }

  /** The highest version that this device knows of: shown, run out, or proposed and perhaps not yet set. */
  #latest(key: string): number {
    const accepted = this.#registers.of(key)?.accepted?.fact.body.version ?? 0
    return Math.max(this.#facts.place(key)?.body.version ?? 0, accepted)
  }

  /** Throws BoardError `bad-request`, `limit`. */
  #signed(key: string, value: unknown, latest: number, { ttlMs, by }: Writing): SignedFact {
    const { clock, signer } = this.#deps
    const version = latest + 1
    const body = {
      ...{
        key,
        version,
        ttlMs: value === undefined ? boardLimits.ttlMsMax : (ttlMs ?? boardLimits.ttlMsMax),
      },
      ...(value !== undefined && { value }),
      // Not before its version may be: one that lies has pushed that up.
      tsMs: Math.max(Math.floor(clock.nowMs()), version * boardLimits.msPerVersion),
      ...(by !== undefined && { by }),
    }
    const checked = check(factBody, body)
    if (!checked.ok) throw new BoardError('bad-request', checked.reason)
    const bytes = Buffer.byteLength(JSON.stringify(value) ?? '')
    if (bytes > boardLimits.valueBytesMax)
      throw new BoardError(
        'limit',
        `the value of ${key} has ${bytes} bytes, ${boardLimits.valueBytesMax} are allowed`,
      )
    const text = JSON.stringify(body)
    return { author: signer.device, body: checked.value, text, envelope: seal(signer, 'board', body) }
  }

  /** Throws BoardError `limit`. */
  #refuseFull(key: string): void {
    if (this.#facts.hasRoom(this.#deps.signer.device, key)) return
    throw new BoardError(
      'limit',
      `no room for ${key}: ${boardLimits.keysMax} keys in all, ${boardLimits.keysOfAuthorMax} of one device; a deleted key is remembered for ${boardLimits.ttlMsMax / 86_400_000} days`,
    )
  }

  /** It takes its place, which is free: nothing stands over what was written with a higher version. */
  #take(fact: SignedFact): void {
    if (this.#facts.accept(fact, this.#deps.clock.nowMs()) !== 'new')
      throw new BoardError('limit', `${fact.body.key} is written too often: try again in a moment`)
    this.#taken(fact)
  }

  /** What this device wrote while its clock was ahead, and so nobody took. */
  #writeAgain({ body }: SignedFact): void {
    const { key, value, version, ttlMs, by } = body
    try {
      const again = this.#signed(key, value, Math.max(version, this.#latest(key)), { ttlMs, by })
      this.#take(again)
      this.#sharing.publish(again)
    } catch (error) {
      this.#deps.log.warn('a fact of a wrong clock was not written again', { key, reason: messageOf(error) })
    }
  }

  async #keepWriting(fact: SignedFact): Promise<void> {
    const { by, key } = fact.body
    if (by !== undefined) {
      this.#written.set(by, fact)
      const [oldest] = this.#written.keys()
      if (this.#written.size > boardLimits.keysMax && oldest !== undefined) this.#written.delete(oldest)
      this.#disk.written(by, fact.envelope)
    }
    await this.#disk.durable().catch((error) => {
      throw new BoardError('failed', `${key} could not be kept: ${messageOf(error)}`, { cause: error })
    })
  }

  /** It has taken its place. */
  #taken(fact: SignedFact): void {
    const { key } = fact.body
    this.#disk.place(key, fact.envelope)
    this.#tell(key)
    this.#schedule()
  }

  /** More than half of the devices hold it. */
  #settle(fact: SignedFact): void {
    const acceptance = this.#facts.accept(fact, this.#deps.clock.nowMs())
    if (acceptance === 'new') this.#taken(fact)
    if (this.#facts.place(fact.body.key)?.text === fact.text) this.#sharing.publish(fact)
  }

  #changeOf(key: string, version: number, value: unknown, writing: Writing) {
    let made: { readonly over: string | undefined; readonly fact: SignedFact } | undefined
    return (current: SignedFact | undefined): Change => {
      if (writing.by !== undefined && current?.body.by === writing.by) return { write: current }
      const shown = current && isShown(current, this.#deps.clock.nowMs()) ? viewOf(current) : undefined
      if ((shown?.version ?? 0) !== version) return { leave: conflictOf(key, shown) }
      if (!made || made.over !== current?.text) {
        const latest = Math.max(current?.body.version ?? 0, this.#latest(key))
        made = { over: current?.text, fact: this.#signed(key, value, latest, writing) }
      }
      return { write: made.fact }
    }
  }

  /** Two callers on this device must not spoil each other's rounds. */
  async #oneByOne<T>(key: string, work: () => Promise<T>): Promise<T> {
    if (this.#comparingNow >= comparingMax)
      throw new BoardError('limit', `${comparingMax} comparisons are under way on this device`)
    this.#comparingNow += 1
    const before = this.#comparing.get(key) ?? Promise.resolve()
    const mine = before.then(work, work)
    this.#comparing.set(key, mine)
    try {
      return await mine
    } finally {
      this.#comparingNow -= 1
      if (this.#comparing.get(key) === mine) this.#comparing.delete(key)
    }
  }

  #tell(key: string): void {
    const fact = this.#facts.place(key)
    if (fact) this.#told.set(key, fact)
    for (const watcher of [...this.#watchers]) watcher(key)
  }

  /** Facts that were written by a clock that was wrong then, and wait. */
  #restore({ places, registers, written }: Kept): readonly SignedFact[] {
    const { clock, signer, log } = this.#deps
    const nowMs = clock.nowMs()
    const early: SignedFact[] = []
    const read = (envelope: string): SignedFact | undefined => {
      const found = readFact(signer, Buffer.from(envelope))
      if (!found.ok) log.warn('a fact of the disk is not believed', { reason: found.reason })
      return found.ok ? found.fact : undefined
    }
    for (const envelope of places) {
      const fact = read(envelope)
      if (!fact) continue
      if (this.#facts.accept(fact, nowMs) === 'future') early.push(fact)
      else this.#told.set(fact.body.key, fact)
    }
    for (const [key, { promised, accepted }] of registers) {
      const fact = accepted && read(accepted.envelope)
      const restored = fact && accepted ? { ballot: accepted.ballot, fact } : undefined
      this.#registers.restore(key, { promised, accepted: restored, atMs: nowMs })
    }
    for (const [call, envelope] of written) {
      const fact = read(envelope)
      if (fact) this.#written.set(call, fact)
    }
    return early
  }

  /** At the next instant at which something runs out or may be taken; with an empty board never. */
  #schedule(): void {
    this.#cancelTick?.()
    this.#cancelTick = undefined
    if (this.#stop.signal.aborted) return
    const { clock } = this.#deps
    const nowMs = clock.nowMs()
    const ends = this.#facts.all.map(({ body }) => body.tsMs + body.ttlMs).filter((endMs) => endMs > nowMs)
    const dueMs = Math.min(this.#sharing.dueMs, ...ends)
    const idle = this.#facts.all.length === 0 && this.#registers.all.size === 0 && !Number.isFinite(dueMs)
    if (idle) return
    const delayMs = Math.min(tickMsMax, Math.max(1, dueMs - nowMs))
    this.#cancelTick = clock.after(delayMs, () => {
      this.#tick()
      this.#schedule()
    })
  }

  #tick(): void {
    const nowMs = this.#deps.clock.nowMs()
    this.#sharing.tick(nowMs)
    for (const [key, fact] of [...this.#told]) {
      if (isShown(fact, nowMs)) continue
      for (const watcher of [...this.#watchers]) watcher(key)
      this.#told.delete(key)
    }
    const { signer } = this.#deps
    for (const fact of this.#facts.all)
      if (fact.author === signer.device && fact.body.tsMs > nowMs + boardLimits.skewMsMax)
        this.#writeAgain(fact)
    this.#finish(nowMs)
    for (const key of this.#facts.forget(nowMs)) {
      this.#disk.place(key, undefined)
      this.#sharing.forget(key)
    }
    for (const key of this.#registers.forget((known) => this.#facts.place(known) !== undefined, nowMs))
      this.#disk.register(key, undefined)
  }

  /** What another proposed and never said whether it was set: it is, or never will be. One at a time. */
  #finish(nowMs: number): void {
    for (const [key, { accepted, atMs }] of this.#registers.all) {
      const place = this.#facts.place(key)
      if (!accepted || nowMs - atMs < unfinishedMs || this.#comparing.has(key)) continue
      if (place && (place.text === accepted.fact.text || standsOver(place, accepted.fact))) continue
      const finishing = (current: SignedFact | undefined): Change =>
        current ? { write: current } : { leave: 'nothing stands' }
      this.#oneByOne(key, () => this.#comparisons.change(key, finishing, this.#stop.signal)).catch((error) =>
        this.#deps.log.debug('a proposal is not finished', { key, reason: messageOf(error) }),
      )
      return
    }
  }
}

function isShown({ body }: SignedFact, nowMs: number): boolean {
  return body.value !== undefined && nowMs < body.tsMs + body.ttlMs
}

/** As agents see it: a version that no other writing has. */
function viewOf({ author, body, text }: SignedFact): SharedFact {
  const tag = createHash('sha256').update(`${author}\n${text}`).digest().readUInt16BE(0)
  const { key, value, version, tsMs } = body
  return { key, value: (value ?? null) as SharedFact['value'], version: version * tagMax + tag, author, tsMs }
}

function conflictOf(key: string, shown: SharedFact | undefined): string {
  return shown ? `${key} was written by ${shown.author} meanwhile` : `there is nothing under ${key} any more`
}
