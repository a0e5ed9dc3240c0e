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
import { byCharsMax, type MoveBody, moveBody, moveLimits } from '../../wire/move.ts'
import type { Person } from '../permissions/people.ts'
import { type Signer, seal, unseal } from '../together/envelope.ts'
import type { AgentMoves, MayHold } from './agent-moves.ts'
import { Answers, againMs } from './answers.ts'
import { MoveError, moveReason } from './package.ts'
import { Retained } from './retained.ts'
import { send } from './sending.ts'
import { Taking, type TakingDeps } from './taking.ts'
import type { Said, Word } from './words.ts'

export interface MoverDeps extends Omit<TakingDeps, 'say' | 'later' | 'kept'> {
  readonly bus: Bus
  readonly signer: Signer
  /** Those that are here; undefined where nothing was ever kept. */
  readonly known: () => Promise<AgentMoves | undefined>
  /** To which devices copies of agents go, and of which; without `agents` of all. Absent: to none. */
  readonly copies?:
    | { readonly to: readonly string[]; readonly agents?: readonly string[] | undefined }
    | undefined
}

/** Who asked for a move, as far as this device knows. */
type Asker = Pick<Person, 'shown' | 'proven'>
const nobody: Asker = { shown: 'claimed:nobody', proven: false }

/** What became of a move. `pending`: the other device has it, and has not said yet that it goes on there. */
export interface Moved {
  readonly agent: string
  readonly device: string
  readonly bytes: number
  readonly pending: boolean
}

/** A question is given up after so long. */
const answerMsMax = 8_000
/** How long whoever asked for a move waits for the other's last word. */
const begunMsMax = 10_000
/** Words that wait for those before them: all that is said about moves is said again. */
const queuedMax = 256
/** Phases of moves that have brought an agent here for good. */
const brought: ReadonlySet<string | undefined> = new Set(['begun', 'seized', 'closed'])
/** Phases of those that both devices are told of by the broker. */
const retained: ReadonlySet<string | undefined> = new Set(['seized', 'reclaimed'])
const urgeDelays = { firstMs: 2_000, maxMs: 60_000 }
/** A device that is started again asks the other before it goes on with an agent that was on its way. */
const restartMsMax = 10_000

export class Mover implements AsyncDisposable {
  readonly #deps: MoverDeps
  readonly #stop = new AbortController()
  readonly #cancels: Cancel[] = []
  readonly #answers: Answers
  readonly #taking: Taking
  readonly #retained: Retained
  /** Moves that this device carries out now. */
  readonly #carrying = new Set<string>()
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
  async move(agent: string, device: string, by = nobody): Promise<Moved> {
    const { signer, open, bus } = this.#deps
    if (device === signer.device) throw new MoveError('refused', `${agent} is on ${device} already`)
    if (!signer.trusted.includes(device))
      throw new MoveError('unknown-device', `no device called ${device} is known here: ${this.#others()}`)
    if (!bus.connected) throw new MoveError('failed', 'this device has no connection to its broker')
    const moves = await open()
    const leaving = moves.leavable(agent)
    const { id } = await this.#asked(device, {
      ...leaving,
      by: by.shown.slice(0, byCharsMax),
      proven: by.proven,
    })
    this.#carrying.add(id)
    try {
      const whole = await moves.leave(agent, id, device)
      await this.#sent(moves, device, id, whole)
      const pending = !(await this.#given(moves, device, id))
      return { agent, device, bytes: whole.byteLength, pending }
    } finally {
      this.#carrying.delete(id)
      this.#soon()
    }
  }

  /** Throws MoveError: then the other device has the copy that it had. */
  async copy(agent: string, device: string): Promise<void> {
    const { bus, known } = this.#deps
    const moves = await known()
    if (!moves || !bus.connected) throw new MoveError('failed', 'this device has no connection to its broker')
    const copy = { copy: true, holders: [...(this.#deps.copies?.to ?? [])] }
    const { id, holds } = await this.#asked(device, { ...moves.leavable(agent), ...copy })
    await this.#send(device, id, await moves.copies.copy(agent, id, device, holds))
  }

  /** Says to who has copies of what is here no more that they go, once. */
  drop(copies: readonly { readonly id: string; readonly peer: string }[]): void {
    for (const { id, peer } of copies) this.#say(peer, { kind: 'drop', id })
  }

  /** Whether that device says that it is there. */
  async isThere(device: string): Promise<boolean> {
    const n = this.#deps.clock.newId()
    return (await this.#ask(device, { kind: 'there', n }, [`${device} here ${n}`], answerMsMax)) !== undefined
  }

  /** Begins an agent of which a copy is kept here. Throws MoveError, StoreError. */
  async begin(agent: string): Promise<void> {
    await (await this.#deps.open()).seize(agent)
    this.#soon()
  }

  #others(): string {
    const { trusted, device } = this.#deps.signer
    return trusted.filter((other) => other !== device).join(', ') || 'none is'
  }

  /** With the move's id. Throws MoveError `refused`, `failed`. */
  async #asked(to: string, leaving: Omit<Said<'ask'>, 'kind' | 'to' | 'n'>): Promise<Said<'yes'>> {
    const n = this.#deps.clock.newId()
    const said = await this.#ask(
      to,
      { kind: 'ask', n, ...leaving },
      [`${to} yes ${n}`, `${to} no ${n}`],
      answerMsMax,
    )
    if (!said) throw new MoveError('failed', `${to} does not answer: is it on, and do agents run there?`)
    if (said.kind === 'no') throw new MoveError('refused', `${to} does not take it: ${said.reason}`)
    return said as Said<'yes'>
  }

  /** Sends it whole, or leaves it where it is. */
  async #sent(moves: AgentMoves, to: string, id: string, whole: Uint8Array): Promise<void> {
    try {
      await this.#send(to, id, whole)
    } catch (error) {
      // The device stops: what becomes of it is asked when it is back.
      if (this.#stop.signal.aborted) throw error
      await moves.stay(id, moveReason(error))
      this.#say(to, { kind: 'drop', id })
      if (error instanceof MoveError) throw error
      throw new MoveError('failed', `it stayed here: ${moveReason(error)}`, { cause: error })
    }
  }

  #send(to: string, id: string, whole: Uint8Array): Promise<void> {
    const words = ['got', 'kept', 'refused'].map((kind) => `${to} ${kind} ${id}`)
    const hear = (heard: (body: MoveBody) => void) => this.#answers.hear(words, heard)
    const say = (chunk: Word) => this.#say(to, chunk)
    return send({ clock: this.#deps.clock, say, hear }, { id, to, whole }, this.#stop.signal)
  }

  /** Lets go of it, and tells the other device to begin. False where that has not answered yet. */
  async #given(moves: AgentMoves, to: string, id: string): Promise<boolean> {
    const token = await moves.give(id).catch(async (error) => {
      if (!this.#stop.signal.aborted) {
        await moves.stay(id, moveReason(error))
        this.#say(to, { kind: 'drop', id })
      }
      throw error
    })
    return await this.#told(moves, to, id, token, begunMsMax)
  }

  async #told(moves: AgentMoves, to: string, id: string, token: number, msMax: number): Promise<boolean> {
    // An answer counts only to what was said after it was given away: one that came earlier may say that it was not there yet.
    const n = this.#deps.clock.newId()
    const words = [`${to} begun ${n}`, `${to} lost ${n}`]
    const said = await this.#ask(to, { kind: 'begin', id, n, token }, words, msMax)
    if (said?.kind === 'begun') {
      await moves.gone(id)
      this.#say(to, { kind: 'let-go', id })
    }
    if (said?.kind === 'lost') await moves.takeBack(id)
    return said !== undefined
  }

  #ask(to: string, word: Word, answers: readonly string[], msMax: number): Promise<MoveBody | undefined> {
    return this.#answers.first(answers, () => this.#say(to, word), msMax, this.#stop.signal)
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
    if (from === signer.device) {
      if (!this.#retained.has(id)) this.#later(() => this.#clearOver(topic, id))
    } else if (to === signer.device) this.#hear(from, body)
    else if (lineage !== undefined)
      this.#later(async () => (await this.#deps.known())?.elsewhere(to, from, lineage, token))
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
    this.#doLater(from, body)
  }

  #doLater(from: string, body: MoveBody): void {
    if (this.#queued < queuedMax) this.#later(() => this.#do(from, body))
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
    // That it was lost must be so for good: of agents that cannot be read nobody knows.
    const moves = body.kind === 'begin' ? await this.#deps.open() : await this.#deps.known()
    const move = moves?.move(id)
    const phase = move?.peer === from ? move.phase : undefined
    // Whatever is said is said of what is so after it was done: a person may have been quicker.
    const now = () => (phase === undefined ? undefined : moves?.move(id))
    if (body.kind === 'chunk') {
      if (phase === 'arriving' || phase === 'kept') this.#say(from, { kind: 'kept', id })
      else if (!brought.has(phase))
        this.#say(from, { kind: 'refused', id, reason: 'it does not know of this move any more' })
    } else if (body.kind === 'begin') {
      if (phase === 'arriving') await moves?.begin(id, body.token)
      this.#say(from, { kind: brought.has(now()?.phase) ? 'begun' : 'lost', id, n: body.n })
    } else if (body.kind === 'drop') {
      this.#taking.forget(id)
      if (phase === 'arriving' || phase === 'kept') await moves?.drop(id)
      const { phase: after, token = 0 } = now() ?? {}
      this.#say(from, after === 'seized' ? { kind: 'seized', id, token } : { kind: 'dropped', id })
    } else if (body.kind === 'how') {
      if (phase === 'stayed') this.#say(from, { kind: 'drop', id })
      else if (phase === 'seized') this.#say(from, { kind: 'seized', id, token: move?.token ?? 0 })
      else if (phase === 'given') this.#soon()
      else if (phase === 'kept') this.#say(from, { kind: 'kept', id })
      else if (phase === 'gone') this.#say(from, { kind: 'let-go', id })
      // What was given away is never forgotten before the other has it: here is nothing of this, and will not be.
      else if (moves && (phase === undefined || phase === 'dropped' || phase === 'closed'))
        this.#say(from, { kind: 'dropped', id })
    } else if (body.kind === 'seized') await this.#seized(moves, from, body)
    else if (body.kind === 'kept') await moves?.copies.notBegun(id)
    else if (body.kind === 'let-go') {
      await moves?.closed(id)
      this.#retained.retire(id)
    } else if (body.kind === 'dropped') await this.#dropped(moves, id, phase)
  }

  /** The other device says that it has begun what this one has too. */
  async #seized(moves: AgentMoves | undefined, from: string, { id, token }: Said<'seized'>): Promise<void> {
    const mine = () => {
      const move = moves?.move(id)
      return move?.peer === from ? move : undefined
    }
    const before = mine()
    if (before?.phase === 'kept') await moves?.drop(id)
    else if (before) await moves?.overtaken(id, token, this.#mayHold)
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
    const { clock, known } = this.#deps
    const moves = await known()
    if (this.#stop.signal.aborted) return
    const open = moves?.unfinished(this.#mayHold).filter(({ id }) => !this.#carrying.has(id)) ?? []
    for (const id of this.#retained.ids)
      if (!open.some((move) => move.id === id && retained.has(move.phase))) this.#retained.retire(id)
    for (const { id, peer, phase, token, agent } of open) {
      if (phase === 'stayed' || (phase === 'copied' && !this.#mayHold(peer, agent)))
        this.#say(peer, { kind: 'drop', id })
      else if (phase === 'arriving' || phase === 'copied' || phase === 'begun')
        this.#say(peer, { kind: 'how', id })
      else if (retained.has(phase)) {
        const word = { kind: 'seized', id, token, lineage: moves?.lineage(agent) } as const
        this.#say(peer, word)
        this.#retained.keep(peer, word)
      } else if (phase === 'leaving') {
        if (clock.monotonicMs() - this.#openedMs < restartMsMax) this.#say(peer, { kind: 'drop', id })
        else await moves?.stay(id, 'the device was started again while it was on its way')
      } else void this.#begun(moves, peer, id, token)
    }
    if (open.length === 0 || this.#stop.signal.aborted) return
    this.#urging = clock.after(backoffMs(this.#urged, urgeDelays, clock.random()), () =>
      this.#later(() => this.#urge()),
    )
    this.#urged += 1
  }

  /** Beside what is said one after the other: it waits for such a word. */
  async #begun(moves: AgentMoves | undefined, peer: string, id: string, token: number): Promise<void> {
    if (!moves) return
    this.#carrying.add(id)
    try {
      await this.#told(moves, peer, id, token, againMs)
    } catch (error) {
      if (!this.#stop.signal.aborted)
        this.#deps.log.warn('a move was not taken further', { agent: id, reason: moveReason(error) })
    } finally {
      this.#carrying.delete(id)
    }
  }
}
