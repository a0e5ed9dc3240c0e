/**
 * Joint decisions over MQTT. An agent's call on a subject joins the decision that is open on it, or opens one; every device of the site
 * takes part. Where two devices open one on the same subject at once, the one that needs more of them goes on; of equals the one
 * whose opener's name is first.
 *
 * Invariants: [decide-13] nobody is drawn into a decision that needs fewer devices than was asked for here; [decide-9] a message that its device did not sign, of another decision, of a stranger or opened too long ago changes
 * nothing; it is counted and logged; [decide-10] every decision that this device took part in is recorded, with its reason and
 * with what was odd; [decide-11] a call ends with its decision, at its deadline at the latest.
 */
import { randomBytes } from 'node:crypto'
import type { Cancel, Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import type { Bus } from '../../link/bus.ts'
import {
  type DecideBody,
  type DecisionKind,
  decideBody,
  decideLimits,
  type OpenBody,
  type ResultBody,
  type WordBody,
  wordBody,
} from '../../wire/decide.ts'
import type { Json } from '../contract.ts'
import { type Signer, seal, unseal } from '../together/envelope.ts'
import { Again } from './again.ts'
import { Agree } from './agree.ts'
import { ContractNet } from './contract-net.ts'
import { countedOtherwise, type Outcome, type Weights, weigh } from './count.ts'
import { Auction, Vote } from './counted.ts'
import { isBefore, weightOf } from './precedence.ts'
import type { Intent, Process, Setting } from './process.ts'
import { CheckedWords, kindOf, Openers } from './room.ts'
import type { Word } from './words.ts'

/** What the audit keeps of a decision. */
export interface DecisionRecord extends Outcome {
  readonly id: string
  readonly kind: DecisionKind
  readonly subject: string
  readonly opener: string
  readonly members: readonly string[]
  readonly quorum: number
  readonly notes: readonly string[]
  readonly atMs: number
}

/** Does tasks for others. */
export interface Contractor {
  /** What it would do the task for; undefined: it does not do such tasks. Worth nothing after `withinMs`. */
  offer(subject: string, task: Json, withinMs: number, signal: AbortSignal): Promise<Offer | undefined>
}
export interface Offer {
  readonly cost: number
  /** Does it. Settles with the report; `signal` aborts when the award has gone to another, or time is over. */
  work(signal: AbortSignal): Promise<Json>
}

export interface DecisionsDeps {
  readonly clock: Clock
  readonly log: Log
  readonly bus: Bus
  readonly signer: Signer
  readonly record: (record: DecisionRecord) => void
  /** Why this device's safety rules forbid what is to be decided; undefined where they do not. */
  readonly veto?: (open: OpenBody) => string | undefined
  readonly contractor?: Contractor
  /** Whether somebody on this device may want something of it; where nobody does, it says so at once and nobody waits for it. */
  readonly interested?: (subject: string) => boolean
  /** What votes weigh where they are weighted: as this device is configured, which all should be alike. */
  readonly weights?: Weights | undefined
  /** Devices that are known to be away. */
  readonly away?: () => ReadonlySet<string>
}

export interface DecisionsOptions {
  /** After so long in which nothing new was heard, what was lost is asked for and said again. */
  readonly againMs?: number
  /** Decisions open at a time that others have opened, a quarter of them by one device; and as many of this device's own. */
  readonly openMax?: number
}

/** What an opener says of a decision; the rest is made here. */
export type Opening = OpenBody extends infer Open
  ? Open extends OpenBody
    ? Omit<Open, 'kind' | 'id' | 'members' | 'atMs' | 'quorum' | 'weights'> & { readonly quorum?: number }
    : never
  : never

interface Live {
  readonly process: Process
  readonly open: OpenBody
  readonly opener: string
  readonly envelopes: string[]
  readonly waiters: ((ended: Outcome & { id: string }) => void)[]
  /** What this device was awarded and works on. */
  work: { readonly round: number; readonly stop: AbortController } | undefined
  /** What this device offered for a task. */
  offer: Offer | undefined
  readonly checked: CheckedWords
  /** As its opener said it. */
  readonly opening: string
  readonly again: Again
  /** Aborts when it is over, and what was asked of contractors with it. */
  readonly stop: AbortController
  ended: boolean
}

/** How often time is told to what is open: a share of what it lasts, and that at least. */
const tickShare = 0.01
const tickMsMin = 25
const openAgeMsMax = 10 * 60_000
const recentMax = 1_024
/** Contractors have this share of the time to offer: what comes when offers are closed is late. */
const offerShare = 0.2

export class Decisions implements Disposable {
  readonly #deps: DecisionsDeps
  readonly #options: Required<DecisionsOptions>
  readonly #live = new Map<string, Live>()
  /** Ids that are over: nothing opens them again. */
  readonly #recent = new Set<string>()
  /** What this device wanted, for the case that its decision yields to another on the same subject. */
  readonly #intents = new Map<string, Intent>()
  readonly #openers: Openers
  readonly #unsubscribe: Cancel
  #cancelTick: Cancel | undefined
  #refused = 0

  constructor(deps: DecisionsDeps, options: DecisionsOptions = {}) {
    this.#deps = { ...deps, log: deps.log.named('decide') }
    this.#options = { againMs: 500, openMax: 32, ...options }
    const { bus, clock, signer } = deps
    this.#openers = new Openers(clock, { self: signer.device, openMax: this.#options.openMax })
    this.#unsubscribe = bus.subscribe(bus.topics.decide('+', '+'), ({ topic, payload }) =>
      this.#take(topic, payload),
    )
  }

  /** Messages refused since the start. */
  get refused(): number {
    return this.#refused
  }

  /**
   * Takes part in the decision on the subject with `intent`, or opens it. Settles when it has ended; `signal` gives up waiting,
   * not what was said.
   */
  async decide(opening: Opening, intent: Intent, signal: AbortSignal): Promise<Outcome & { id: string }> {
    signal.throwIfAborted()
    const live = this.#joined(opening)
    if (typeof live === 'string') return { id: '', decided: false, reason: live }
    const { promise, resolve, reject } = Promise.withResolvers<Outcome & { id: string }>()
    this.#wait(live, resolve)
    // What this device offers for a task is its contractor's to say; of what its own veto has ended there is nothing more to say.
    if (opening.what !== 'contract-net' && !live.ended) {
      this.#intents.set(`${opening.what} ${opening.subject}`, intent)
      live.process.intend(intent, this.#deps.clock.monotonicMs())
      this.#advance(live)
    }
    const onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    return promise.finally(() => signal.removeEventListener('abort', onAbort))
  }

  [Symbol.dispose](): void {
    this.#unsubscribe()
    this.#cancelTick?.()
    for (const live of this.#live.values()) {
      live.stop.abort(new Error('this device is stopping'))
      this.#settle(live, { decided: false, reason: 'this device is stopping' })
    }
    this.#live.clear()
  }

  /** What is open on the subject, where it asks for no less than is asked for here; else a new one. One line where neither can be. */
  #joined(opening: Opening): Live | string {
    const other = this.#of(opening.what, opening.subject)
    if (!other) return this.#open(opening)
    const { open, opener } = other
    if (weightOf(open) < weightOf({ ...opening, ...this.#terms(opening) })) {
      const own = this.#open(opening)
      if (typeof own !== 'string') this.#yield(other, own)
      return own
    }
    const otherwise = countedOtherwise(open, opening, this.#deps.weights)
    if (otherwise !== undefined)
      return `${opener} has opened a vote on ${open.subject} that is counted otherwise: ${otherwise}`
    return other
  }

  #of(what: DecisionKind, subject: string): Live | undefined {
    for (const live of this.#live.values())
      if (!live.ended && live.open.what === what && live.open.subject === subject) return live
    return undefined
  }

  /** Who decides, and how many of them must take part. */
  #terms(opening: Opening): { readonly members: readonly string[]; readonly quorum: number } {
    const members = this.#deps.signer.trusted.toSorted()
    const fewest = opening.what === 'agree' ? 2 * opening.faulty + 1 : Math.floor(members.length / 2) + 1
    return { members, quorum: opening.quorum ?? fewest }
  }

  /** One line where it cannot be opened. */
  #open(opening: Opening): Live | string {
    const { clock, signer, weights } = this.#deps
    const { members, quorum } = this.#terms(opening)
    if (members.length > decideLimits.membersMax)
      return `${members.length} devices are too many to decide together: ${decideLimits.membersMax} at most`
    if (opening.what === 'agree' && members.length < 3 * opening.faulty + 1)
      return `${members.length} devices cannot bear ${opening.faulty} that lie: ${3 * opening.faulty + 1} are needed`
    if (quorum > members.length)
      return `a quorum of ${quorum} cannot come about: ${members.length} devices are known`
    const made = {
      ...opening,
      ...(opening.what === 'vote' && opening.rule === 'weighted' && { weights: weigh(members, weights) }),
      kind: 'open',
      id: clock.newId(),
      members,
      quorum,
      atMs: clock.nowMs(),
    } as OpenBody
    return this.#begin(made, signer.device, seal(signer, 'decide', made))
  }

  #begin(open: OpenBody, opener: string, envelope: string): Live | string {
    const openers = [...this.#live.values()].map((live) => live.opener)
    const full = this.#openers.full(opener, openers)
    if (full !== undefined) return full
    const { clock, signer, veto, interested, away, weights } = this.#deps
    const startMs = clock.monotonicMs()
    const checked = new CheckedWords({ members: open.members, opener })
    const setting: Setting<never> = {
      ...{ self: signer.device, opener, open: open as never, startMs },
      ...(away && { away }),
      nonce: () => randomBytes(32).toString('hex'),
      read: (envelope) => checked.get(envelope) ?? this.#read(envelope, opener),
    }
    const process = this.#processOf(open, setting)
    const live: Live = {
      ...{ checked, opening: envelope, stop: new AbortController() },
      ...{ process, open, opener, envelopes: opener === signer.device ? [envelope] : [] },
      ...{ waiters: [], work: undefined, offer: undefined, ended: false },
      again: new Again(this.#options.againMs, startMs, opener === signer.device ? 0 : clock.random()),
    }
    this.#live.set(open.id, live)
    if (opener === signer.device) this.#send(open.id, envelope)
    const forbids = veto?.(open)
    if (forbids !== undefined) process.veto(forbids.slice(0, decideLimits.reasonCharsMax))
    // Of a vote by other weights nobody here can be a part.
    const isAlike = countedOtherwise(open, open, weights) === undefined
    const wanted = opener === signer.device || (isAlike && (interested?.(open.subject) ?? true))
    if (!wanted) process.intend({}, startMs)
    else if (open.what === 'contract-net') this.#offer(live, open.subject, open.task as Json)
    this.#advance(live)
    this.#schedule()
    return live
  }

  #processOf(open: OpenBody, setting: Setting<never>): Process {
    if (open.what === 'auction') return new Auction(setting)
    if (open.what === 'vote') return new Vote(setting)
    if (open.what === 'agree') return new Agree(setting)
    return new ContractNet(setting, (round) => this.#awarded(open.id, round))
  }

  #offer(live: Live, subject: string, task: Json): void {
    const { contractor, clock, log } = this.#deps
    const withinMs = live.open.lastsMs * offerShare
    const asked = contractor?.offer(subject, task, withinMs, live.stop.signal) ?? Promise.resolve(undefined)
    asked
      .catch((error) => {
        log.error('an offer failed', { subject, reason: messageOf(error) })
        return undefined
      })
      .then((offer) => {
        if (live.ended || !this.#live.has(live.open.id)) return
        live.offer = offer
        live.process.intend(offer ? { bid: offer.cost } : {}, clock.monotonicMs())
        this.#advance(live)
      })
  }

  /** Works on a task, or stops it. */
  #awarded(id: string, round: number): void {
    const live = this.#live.get(id)
    if (!live || live.work?.round === round) return
    live.work?.stop.abort(new Error('the task has gone to another device'))
    live.work = undefined
    if (round < 0 || !live.offer) return
    const stop = new AbortController()
    live.work = { round, stop }
    live.offer
      .work(AbortSignal.any([stop.signal, live.stop.signal]))
      .then((value) => this.#report(id, round, true, value))
      .catch((error) => {
        if (stop.signal.aborted || live.stop.signal.aborted) return
        const reason = messageOf(error)
        this.#deps.log.warn('an awarded task failed', { subject: live.open.subject, reason })
        this.#report(id, round, false)
      })
  }

  #report(id: string, round: number, done: boolean, value?: unknown): void {
    const live = this.#live.get(id)
    if (!live || live.ended || !(live.process instanceof ContractNet)) return
    const large = value !== undefined && JSON.stringify(value).length > decideLimits.valueBytesMax
    if (large) this.#deps.log.warn('a report is too large to be told', { subject: live.open.subject })
    live.process.report(round, done && !large, large ? undefined : value)
    this.#advance(live)
  }

  #take(topic: string, payload: Uint8Array): string | undefined {
    const { signer, bus } = this.#deps
    const [, , id, device] = bus.topics.levels(topic) ?? []
    if (device === signer.device) return undefined
    const complaint = this.#hear(id ?? '', device ?? '', payload)
    if (complaint !== undefined) this.#refused += 1
    return complaint
  }

  #hear(id: string, device: string, payload: Uint8Array): string | undefined {
    const { signer, clock } = this.#deps
    const live = this.#live.get(id)
    const envelope = Buffer.from(payload).toString()
    if (live?.checked.get(envelope) || live?.opening === envelope || this.#recent.has(id)) return undefined
    // Of one that is over nothing else is of use, nor of one that this device has not heard of yet: its words are said again.
    if (live?.ended !== false && kindOf(payload) !== (live ? 'again' : 'open')) return undefined
    const said = unseal(signer, 'decide', decideBody, payload, decideLimits.resultBytesMax, { on: device })
    if (!said.ok) return said.reason
    const { from, body } = said
    if (body.id !== id) return 'it belongs to another decision'
    if (payload.byteLength > decideLimits.bytesMax && body.kind !== 'result') return 'it is too large'
    if (body.kind === 'open') return this.#heardOpen(from, body, envelope)
    if (!live) return undefined
    const nowMs = clock.monotonicMs()
    if (body.kind === 'again') {
      if (!live.open.members.includes(from)) return undefined
      if (body.of.includes(signer.device) && live.again.answers(nowMs)) this.#sayAll(live)
      if (live.process.lacks().every((one) => body.of.includes(one))) live.again.heard(nowMs)
      return undefined
    }
    if (body.kind !== 'result') live.checked.add({ from, body, envelope })
    const { process } = live
    const before = process.heard
    process.hear(from, body, envelope, nowMs)
    if (process.heard > before) live.again.heard(nowMs)
    this.#advance(live)
    return undefined
  }

  #heardOpen(from: string, open: OpenBody, envelope: string): string | undefined {
    const { clock, signer } = this.#deps
    if (this.#live.has(open.id) || this.#recent.has(open.id)) return undefined
    if (Math.abs(clock.nowMs() - open.atMs) > openAgeMsMax) return 'it was opened too long ago'
    if (!open.members.includes(from) || !open.members.includes(signer.device))
      return 'it is not for this device'
    if (open.what === 'agree' && open.members.length < 3 * open.faulty + 1)
      return 'too few devices for so many that lie'
    if (!this.#openers.hears(from)) return `${from} opens more decisions than are heard of`
    const other = this.#of(open.what, open.subject)
    if (other && !isBefore({ open, opener: from }, other)) return undefined
    const asked = other?.waiters.length ? countedOtherwise(open, other.open, this.#deps.weights) : undefined
    if (asked !== undefined) return `it is counted otherwise than what was asked for here: ${asked}`
    const begun = this.#begin(open, from, envelope)
    if (typeof begun === 'string') return begun
    if (other) this.#yield(other, begun)
    return undefined
  }

  /** A veto of this device's own may have ended it as it began. */
  #wait(live: Live, settle: Live['waiters'][number]): void {
    const { outcome } = live.process
    if (live.ended && outcome) settle({ ...outcome, id: live.open.id })
    else live.waiters.push(settle)
  }

  /** What waits for one decision waits for the other on the same subject. */
  #yield(other: Live, begun: Live): void {
    const intent = this.#intents.get(`${begun.open.what} ${begun.open.subject}`)
    for (const waiter of other.waiters.splice(0)) this.#wait(begun, waiter)
    this.#over(other)
    if (intent) begun.process.intend(intent, this.#deps.clock.monotonicMs())
    this.#advance(begun)
  }

  /** A word that its opener shows beside a result. */
  #read(envelope: string, opener: string): Word | undefined {
    const { signer } = this.#deps
    const { bytesMax } = decideLimits
    const said = unseal(signer, 'decide', wordBody, Buffer.from(envelope), bytesMax, { beside: opener })
    return said.ok ? { from: said.from, body: said.body, envelope } : undefined
  }

  /** Sends what is new, and ends what has ended. */
  #advance(live: Live): void {
    const { clock, signer } = this.#deps
    const first = live.opener === signer.device ? 1 : 0
    const { statements } = live.process
    while (live.envelopes.length - first < statements.length) {
      const body = statements[live.envelopes.length - first] as WordBody | ResultBody
      const envelope = seal(signer, 'decide', body satisfies DecideBody)
      live.envelopes.push(envelope)
      this.#send(live.open.id, envelope)
      if (body.kind !== 'result') live.checked.add({ from: signer.device, body, envelope })
      live.process.hear(signer.device, body, envelope, clock.monotonicMs())
    }
    const { outcome } = live.process
    if (!outcome || live.ended) return
    live.ended = true
    // Nobody needs what this device still offers or works on.
    live.stop.abort(new Error('the decision is over'))
    // First: what somebody does upon it stands behind it on the record.
    this.#record(live, outcome)
    this.#settle(live, outcome)
  }

  #settle(live: Live, outcome: Outcome): void {
    this.#intents.delete(`${live.open.what} ${live.open.subject}`)
    for (const settle of live.waiters.splice(0)) settle({ ...outcome, id: live.open.id })
  }

  #record({ open, opener, process }: Live, outcome: Outcome): void {
    const { id, what, subject, members, quorum } = open
    const { notes } = process
    const atMs = this.#deps.clock.nowMs()
    this.#deps.record({
      ...outcome,
      id,
      kind: what,
      subject,
      opener,
      members,
      quorum,
      notes: [...notes],
      atMs,
    })
  }

  /** On its own topic; said again later where it could not be sent now. */
  #send(id: string, envelope: string): void {
    const { bus, signer, log } = this.#deps
    if (!bus.connected) return
    bus
      .publish(bus.topics.decide(id, signer.device), envelope)
      .catch((error) => log.debug('a word was not sent', { id, reason: messageOf(error) }))
  }

  /** Wakes when the first of all that is open has something to do. */
  #schedule(): void {
    this.#cancelTick?.()
    this.#cancelTick = undefined
    if (this.#live.size === 0) return
    const { clock } = this.#deps
    const nowMs = clock.monotonicMs()
    const dueMs = Math.min(...[...this.#live.values()].map((live) => dueAt(live, nowMs)))
    this.#cancelTick = clock.after(Math.max(1, dueMs - nowMs), () => {
      this.#tick()
      this.#schedule()
    })
  }

  #sayAll({ open, envelopes }: Live): void {
    for (const envelope of envelopes) this.#send(open.id, envelope)
  }

  /** What has ended is said on until its time is over: others may have missed it. */
  #tick(): void {
    const { clock, signer } = this.#deps
    const nowMs = clock.monotonicMs()
    for (const live of [...this.#live.values()]) {
      live.process.tick(nowMs)
      this.#advance(live)
      if (live.again.due(nowMs, live.ended)) {
        if (live.opener === signer.device) this.#sayAll(live)
        const of = live.process.lacks()
        if (of.length > 0)
          this.#send(live.open.id, seal(signer, 'decide', { kind: 'again', id: live.open.id, of }))
      }
      if (live.ended && nowMs >= live.process.endMs) this.#over(live)
    }
  }

  #over(live: Live): void {
    live.stop.abort(new Error('the decision is over'))
    this.#live.delete(live.open.id)
    this.#recent.add(live.open.id)
    const [oldest] = this.#recent
    if (this.#recent.size > recentMax && oldest !== undefined) this.#recent.delete(oldest)
  }
}

function dueAt({ ended, again, process, open }: Live, nowMs: number): number {
  if (ended) return Math.min(again.atMs, process.endMs)
  return Math.min(again.atMs, nowMs + Math.max(tickMsMin, open.lastsMs * tickShare))
}
