/**
 * Carries agents between devices over the link, so that exactly one copy runs at any instant. Two phases: the other device is asked,
 * the agent stops between two turns and goes over in pieces, until the other has it on the disk and does not run it; then this device
 * lets go of it on its own disk (the commit) and says so, and the other begins it with a higher token. What may be lost, doubled or
 * late: any message; who may end at any instant: both. Whatever is unfinished is asked about until it is finished.
 *
 * Invariants: [move-1] and [move-2] of `agent-moves.ts`; [move-3] a move that fails leaves the agent where it was, going on, with the
 * reason; [move-4] only what a believed device signed, to this one, about a move that both know, does anything; [move-5] what comes is
 * bounded, and what stops coming is forgotten; [move-6] at rest there is no timer and no file.
 */
import type { Cancel } from '../../base/clock.ts'
import { backoffMs } from '../../base/retry.ts'
import type { Bus } from '../../link/bus.ts'
import type { ShownLease } from '../../wire/lease.ts'
import { type MoveBody, moveBody, moveLimits } from '../../wire/move.ts'
import { unshown } from '../leader/shown.ts'
import type { StoredMove } from '../store/move-store.ts'
import { type Signer, seal, unseal } from '../together/envelope.ts'
import type { Standby } from './agent-copies.ts'
import type { AgentMoves, IsShown, MayBegin } from './agent-moves.ts'
import { Answers, againMs } from './answers.ts'
import { type Asker, Giving, type GivingDeps, hereMsMax, type Moved } from './giving.ts'
import type { MayHold } from './leaving.ts'
import { ownerLease } from './owner-lease.ts'
import { MoveError, moveReason } from './package.ts'
import { Retained } from './retained.ts'
import { Taking, type TakingDeps } from './taking.ts'
import type { Said, Word } from './words.ts'

export interface MoverDeps extends Omit<TakingDeps, 'say' | 'later' | 'kept'>, Pick<GivingDeps, 'carried'> {
  readonly bus: Bus
  readonly signer: Signer
  /** Those that are here; undefined where nothing was ever kept. */
  readonly known: () => Promise<AgentMoves | undefined>
  /** To which devices copies of agents go, and of which; without `agents` of all. Absent: to none. */
  readonly copies?:
    | { readonly to: readonly string[]; readonly agents?: readonly string[] | undefined }
    | undefined
  /** On which other device than its own an agent runs of which a copy is here, as that tells. */
  readonly elsewhere?: (copy: Standby) => string | undefined
}

/** Words that wait for those before them: all that is said about moves is said again. */
const queuedMax = 256
/** Phases of moves that have brought an agent here for good. */
const brought: ReadonlySet<string | undefined> = new Set(['begun', 'seized', 'closed'])
/** Phases of those that both devices are told of by the broker. */
const retained: ReadonlySet<string | undefined> = new Set(['seized', 'reclaimed'])
/** Words whose answer another device builds on. */
const forGood: ReadonlySet<MoveBody['kind']> = new Set(['begin', 'drop', 'seized'])
const urgeDelays = { firstMs: 2_000, maxMs: 60_000 }
/** A device that is started again asks the other before it goes on with an agent that was on its way. */
const restartMsMax = 10_000

export class Mover implements AsyncDisposable {
  readonly #deps: MoverDeps
  readonly #stop = new AbortController()
  readonly #cancels: Cancel[] = []
  readonly #answers: Answers
  readonly #giving: Giving
  readonly #taking: Taking
  readonly #retained: Retained
  /** Moves that this device carries out now. */
  readonly #carrying = new Set<string>()
  /** Copies of which the other device said that it has not begun them, and since when this one was never away. */
  readonly #unbegun = new Set<string>()
  /** How often this device lost its broker, or found it. */
  #times = 0
  #tail: Promise<void> = Promise.resolve()
  #queued = 0
  #urging: Cancel | undefined
  #urged = 0
  /** Since when what was on its way when this device started is asked about. */
  #openedMs = 0

  /** What was on its way when the device ended is taken up again. */
  static async open(deps: MoverDeps, signal: AbortSignal): Promise<Mover> {
    signal.throwIfAborted()
    const mover = new Mover(deps)
    const { bus, signer, clock } = deps
    mover.#openedMs = clock.monotonicMs()
    mover.#cancels.push(
      bus.subscribe(bus.topics.move(signer.device, '+'), ({ topic, payload }) => mover.#take(topic, payload)),
      bus.subscribe(bus.topics.move('+', '+', '+'), ({ topic, payload }) => mover.#take(topic, payload)),
      bus.onChange((connected) => {
        mover.#times += 1
        mover.#unbegun.clear()
        if (connected) mover.#soon()
      }),
    )
    mover.#soon()
    return mover
  }

  private constructor(deps: MoverDeps) {
    this.#deps = { ...deps, log: deps.log.named('moves') }
    this.#answers = new Answers(deps.clock)
    this.#retained = new Retained(deps.bus, deps.signer)
    this.#giving = new Giving({
      ...{ clock: deps.clock, bus: deps.bus, signer: deps.signer, answers: this.#answers },
      ...{ carrying: this.#carrying, mayHold: this.#mayHold, signal: this.#stop.signal },
      carried: deps.carried,
      say: (to, word) => this.#say(to, word),
    })
    this.#taking = new Taking({
      ...this.#deps,
      say: (to, word) => this.#say(to, word),
      later: (work) => this.#later(work),
      kept: () => this.#soon(),
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error('the device is stopping'))
    for (const cancel of this.#cancels) cancel()
    this.#urging?.()
    this.#taking[Symbol.dispose]()
    await this.#tail
  }

  /** Throws MoveError: then the agent is where it was. */
  async move(agent: string, device: string, by?: Asker): Promise<Moved> {
    try {
      return await this.#giving.move(this.#deps.open, agent, device, by)
    } finally {
      this.#soon()
    }
  }

  /** Throws MoveError: then the other device has the copy that it had. */
  async copy(agent: string, device: string): Promise<void> {
    const { bus, known, copies } = this.#deps
    const moves = await known()
    if (!moves || !bus.connected) throw new MoveError('failed', 'this device has no connection to its broker')
    const times = this.#times
    const id = await this.#giving.copy(moves, agent, device, copies?.to ?? [])
    for (const old of this.#unbegun) if (moves.move(old)?.phase !== 'copied') this.#unbegun.delete(old)
    if (times === this.#times) this.#unbegun.add(id)
  }

  /** Whether that device says that it is there. */
  isThere(device: string): Promise<boolean> {
    return this.#giving.isThere(device)
  }

  /** Says to who has copies of what is here no more that they go, once. */
  drop(copies: readonly { readonly id: string; readonly peer: string }[]): void {
    for (const { id, peer } of copies) this.#say(peer, { kind: 'drop', id })
  }

  /**
   * Begins an agent that is kept here: since a person says so, or a copy under the lease that the others granted. Throws MoveError,
   * StoreError.
   */
  async begin(agent: string, lease?: ShownLease): Promise<void> {
    const moves = await this.#deps.open()
    const copy = moves.copies.standbys().find(({ name }) => name === agent)
    const at = copy && this.#deps.elsewhere?.(copy)
    if (at !== undefined)
      throw new MoveError(
        'refused',
        `${agent} went from ${copy?.peer} to ${at}, and runs there: "ganglion agent remove ${agent}" forgets the copy that is here`,
      )
    if (copy && !lease && (await this.#giving.isThere(copy.peer, hereMsMax)))
      throw new MoveError(
        'refused',
        `${copy.peer} is there and has it: "ganglion agent move ${agent} ${this.#deps.signer.device}" brings it here`,
      )
    if (copy && lease) await this.#deps.record({ kind: 'copy-begins', agent, from: copy.peer })
    await moves.seize(agent, lease)
    this.#soon()
  }

  #say(to: string, word: Word): void {
    const { bus, signer, log } = this.#deps
    if (!bus.connected) return
    bus
      .publish(bus.topics.move(to, signer.device), seal(signer, 'move', { ...word, to }))
      .catch((error) => log.debug('a word about a move was not sent', { reason: moveReason(error) }))
  }

  #take(topic: string, payload: Uint8Array): string | undefined {
    const { bus, signer } = this.#deps
    const [, , , from = '', at] = bus.topics.levels(topic) ?? []
    if (payload.byteLength === 0) return undefined
    const said = unseal(signer, 'move', moveBody, payload, moveLimits.bytesMax, { on: from })
    if (!said.ok) return said.reason
    if (this.#stop.signal.aborted) return undefined
    if (at !== undefined) return this.#takeKept(topic, at, said.from, said.body)
    if (said.body.to !== signer.device) return `it was said to ${said.body.to}`
    this.#hear(said.from, said.body)
    return undefined
  }

  /** What the broker keeps: that an agent goes on elsewhere. */
  #takeKept(topic: string, id: string, from: string, body: MoveBody): string | undefined {
    const { bus, signer } = this.#deps
    const [, , to] = bus.topics.levels(topic) ?? []
    if (body.kind !== 'seized' || body.id !== id || body.to !== to) return 'it was said elsewhere'
    const { lineage, token } = body
    const isShown: IsShown = (owner, agent) => this.#isShown(owner, agent, from, body)
    if (from === signer.device) {
      if (!this.#retained.has(id)) this.#soonOrNever(() => this.#clearOver(topic, id))
    } else if (to === signer.device) this.#hear(from, body)
    else if (lineage !== undefined)
      this.#soonOrNever(async () =>
        (await this.#deps.known())?.elsewhere(to, from, { lineage, token }, isShown),
      )
    return undefined
  }

  /** It was said before this device started. */
  async #clearOver(topic: string, id: string): Promise<void> {
    const phase = (await this.#deps.known())?.move(id)?.phase
    if (!retained.has(phase) && !this.#stop.signal.aborted) this.#deps.bus.clearRetained(topic)
  }

  #hear(from: string, body: MoveBody): void {
    if (this.#answers.take(from, body)) return
    if (body.kind === 'ask' && !this.#taking.accepts(from, body)) return
    if (body.kind === 'chunk' && this.#taking.piece(from, body)) return
    this.#soonOrNever(() => this.#do(from, body))
  }

  /** What others say, as long as few of it wait. */
  #soonOrNever(work: () => Promise<void>): void {
    if (this.#queued < queuedMax) this.#later(work)
  }

  /** One word after the other. */
  #later(work: () => Promise<void>): void {
    const { log } = this.#deps
    this.#queued += 1
    const over = (error?: unknown) => {
      this.#queued -= 1
      if (error !== undefined && !this.#stop.signal.aborted)
        log.warn('a move was not taken further', { reason: moveReason(error) })
    }
    this.#tail = this.#tail.then(work).then(() => over(), over)
  }

  async #do(from: string, body: MoveBody): Promise<void> {
    if (body.kind === 'ask') return await this.#taking.consider(from, body)
    if (body.kind === 'there') return this.#say(from, { kind: 'here', n: body.n })
    if (!('id' in body)) return
    const { id } = body
    // What others build on must be so for good: of agents that cannot be read nobody knows.
    const moves = forGood.has(body.kind) ? await this.#deps.open() : await this.#deps.known()
    const move = moves?.move(id)
    // Ids of others' moves can be read in the topics of what the broker keeps.
    if (move && move.peer !== from) return
    const phase = move?.phase
    // Whatever is said is said of what is so after it was done: a person may have been quicker.
    const now = () => (phase === undefined ? undefined : moves?.move(id))
    const say = async (word: Word) => {
      await moves?.durable()
      this.#say(from, word)
    }
    if (body.kind === 'chunk') {
      if (phase === 'arriving' || phase === 'kept') this.#say(from, { kind: 'kept', id })
      else if (!brought.has(phase))
        this.#say(from, { kind: 'refused', id, reason: 'it does not know of this move any more' })
    } else if (body.kind === 'begin') {
      if (phase === 'arriving') await moves?.begin(id, body.token)
      const recorded = moves?.isRecorded(id) ?? false
      await say(
        brought.has(now()?.phase)
          ? { kind: 'begun', id, n: body.n, recorded }
          : { kind: 'lost', id, n: body.n },
      )
    } else if (body.kind === 'drop') {
      this.#taking.forget(id)
      if (phase === 'arriving' || phase === 'kept') await moves?.drop(id)
      const after = now()
      await say(after?.phase === 'seized' ? seizedWord(moves, after) : { kind: 'dropped', id })
    } else if (body.kind === 'how') {
      if (phase === 'stayed') await say({ kind: 'drop', id })
      else if (move && phase === 'seized') await say(seizedWord(moves, move))
      else if (phase === 'given') this.#soon()
      else if (phase === 'kept') await say({ kind: 'kept', id })
      else if (phase === 'gone') await say({ kind: 'let-go', id })
      // What was given away is never forgotten before the other has it: here is nothing of this, and will not be.
      else if (moves && (phase === 'dropped' || phase === 'closed')) await say({ kind: 'dropped', id })
      // Or all of it is lost: what comes may be all that is left.
      else if (moves && phase === undefined)
        await say({ kind: 'dropped', id, unknown: !moves.isHere(body.lineage) })
    } else if (body.kind === 'seized') await this.#seized(moves, from, body)
    else if (body.kind === 'kept') {
      if (phase === 'copied') this.#unbegun.add(id)
      await moves?.copies.notBegun(id)
    } else if (body.kind === 'let-go') {
      await moves?.closed(id)
      this.#retained.retire(id)
    } else if (body.kind === 'dropped') {
      if (phase === 'arriving' && body.unknown) await moves?.orphaned(id)
      else await this.#dropped(moves, id, phase)
    }
  }

  /** The other device says that it has begun what this one has too. */
  async #seized(moves: AgentMoves | undefined, from: string, word: Said<'seized'>): Promise<void> {
    const { id, token } = word
    const mine = () => {
      const move = moves?.move(id)
      return move?.peer === from ? move : undefined
    }
    const before = mine()
    if (before?.phase === 'kept') await moves?.drop(id)
    else if (before) {
      const { device, trusted } = this.#deps.signer
      // Of two devices there is no other that could say that this one was away.
      const mayBegin: MayBegin = ({ agent }, stored) =>
        this.#mayHold(from, agent) &&
        (!this.#unbegun.has(id) || trusted.length <= 2 || this.#isShown(device, stored, from, word))
      await moves?.overtaken(id, token, mayBegin)
    }
    await moves?.durable()
    const after = mine()
    if (after?.phase === 'closed')
      this.#deps.log.warn('a device says that it has an agent again which it gave away', { device: from })
    else if (!after || !moves?.goesOn(after)) this.#say(from, { kind: 'let-go', id })
    // Else it is said again and again already.
    else if (after.phase !== before?.phase) this.#soon()
  }

  /** The other device has nothing under this id. */
  async #dropped(moves: AgentMoves | undefined, id: string, phase: string | undefined): Promise<void> {
    if (phase === 'copied') await moves?.copies.uncopied(id)
    if (phase === 'arriving') await moves?.drop(id)
    if (phase === 'leaving' && !this.#carrying.has(id))
      await moves?.stay(id, 'the device was started again while it was on its way')
    if (phase === 'begun' || moves?.move(id)?.phase === 'stayed') await moves?.closed(id)
  }

  /** One that was granted for what it had before it came to where it is now is of another time. */
  #isShown(
    owner: string,
    { name, token }: Parameters<IsShown>[1],
    from: string,
    { lease }: Said<'seized'>,
  ): boolean {
    if (!lease || lease.token <= token) return false
    return unshown(this.#deps.signer, ownerLease(owner, name), from, lease) === undefined
  }

  readonly #mayHold: MayHold = (device, agent) => {
    const { to = [], agents } = this.#deps.copies ?? {}
    return to.includes(device) && (agents?.includes(agent) ?? true)
  }

  /** Asks about all that is unfinished, at once and again until nothing is. */
  #soon(): void {
    if (this.#stop.signal.aborted) return
    this.#urging?.()
    this.#urged = 0
    this.#urging = this.#deps.clock.after(0, () => this.#later(() => this.#urge()))
  }

  async #urge(): Promise<void> {
    // Also where the disk is full at this moment.
    let left = 1
    try {
      left = await this.#sayAgain()
    } finally {
      if (left > 0 && !this.#stop.signal.aborted) {
        const delayMs = backoffMs(this.#urged, urgeDelays, this.#deps.clock.random())
        this.#urging = this.#deps.clock.after(delayMs, () => this.#later(() => this.#urge()))
        this.#urged += 1
      }
    }
  }

  /** How many are unfinished. */
  async #sayAgain(): Promise<number> {
    const { clock, known } = this.#deps
    const moves = await known()
    if (this.#stop.signal.aborted) return 0
    const open = moves?.unfinished(this.#mayHold).filter(({ id }) => !this.#carrying.has(id)) ?? []
    for (const id of this.#retained.ids)
      if (!open.some((move) => move.id === id && retained.has(move.phase))) this.#retained.retire(id)
    for (const move of open) {
      const { id, peer, phase, token, agent } = move
      if (phase === 'stayed' || (phase === 'copied' && !this.#mayHold(peer, agent)))
        this.#say(peer, { kind: 'drop', id })
      else if (phase === 'arriving' || phase === 'copied' || phase === 'begun')
        this.#say(peer, { kind: 'how', id, lineage: moves?.lineage(agent) })
      else if (retained.has(phase)) {
        const word = seizedWord(moves, move)
        this.#say(peer, word)
        this.#retained.keep(peer, word)
      } else if (phase === 'leaving') {
        if (clock.monotonicMs() - this.#openedMs < restartMsMax) this.#say(peer, { kind: 'drop', id })
        else await moves?.stay(id, 'the device was started again while it was on its way')
      } else void this.#begun(moves, peer, id, token)
    }
    return open.length
  }

  /** Beside what is said one after the other: it waits for such a word. */
  async #begun(moves: AgentMoves | undefined, peer: string, id: string, token: number): Promise<void> {
    if (!moves) return
    this.#carrying.add(id)
    try {
      await this.#giving.told(moves, peer, id, token, againMs)
    } catch (error) {
      if (!this.#stop.signal.aborted)
        this.#deps.log.warn('a move was not taken further', { agent: id, reason: moveReason(error) })
    } finally {
      this.#carrying.delete(id)
    }
  }
}

/** That an agent goes on here, as its own device and the others of the site are to hear it. */
function seizedWord(moves: AgentMoves | undefined, { id, agent, token }: StoredMove) {
  const lease = moves?.lease(id)
  return { kind: 'seized', id, token, lineage: moves?.lineage(agent), ...(lease && { lease }) } as const
}
