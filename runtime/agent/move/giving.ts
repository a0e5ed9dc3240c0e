/**
 * The device that an agent leaves, or sends a copy of: whether the other would take it, its pieces, and that it is the other's from then on.
 * What is unfinished when it fails is asked about until it is finished (`mover.ts`).
 */
import type { Clock } from '../../base/clock.ts'
import type { Bus } from '../../link/bus.ts'
import { byCharsMax, type MoveBody } from '../../wire/move.ts'
import type { Person } from '../permissions/people.ts'
import type { StoredMove } from '../store/move-store.ts'
import type { Signer } from '../together/envelope.ts'
import type { AgentMoves } from './agent-moves.ts'
import type { Answers } from './answers.ts'
import type { MayHold } from './leaving.ts'
import { MoveError, moveReason } from './package.ts'
import { send } from './sending.ts'
import type { Said, Word } from './words.ts'

export interface GivingDeps {
  readonly clock: Clock
  readonly bus: Pick<Bus, 'connected'>
  readonly signer: Signer
  readonly answers: Answers
  readonly say: (to: string, word: Word) => void
  /** Moves that are carried out now. */
  readonly carrying: Set<string>
  readonly mayHold: MayHold
  /** Told how much of an agent goes over the network. */
  readonly carried?: ((agent: string, bytes: number) => void) | undefined
  /** When the device stops. */
  readonly signal: AbortSignal
}

/** Who asked for a move, as far as this device knows. */
export type Asker = Pick<Person, 'shown' | 'proven'>
const nobody: Asker = { shown: 'claimed:nobody', proven: false }

/** What became of a move. `pending`: the other device has it, and has not said yet that it goes on there. */
export interface Moved {
  readonly agent: string
  readonly device: string
  readonly bytes: number
  readonly pending: boolean
}

interface Going {
  readonly id: string
  readonly agent: string
  readonly whole: Uint8Array
}

/** A question is given up after so long. */
const answerMsMax = 8_000
/** Who is there says so within this: a person waits. */
export const hereMsMax = 3_000
/** How long whoever asked for a move waits for the other's last word. */
const begunMsMax = 10_000

export class Giving {
  readonly #deps: GivingDeps

  constructor(deps: GivingDeps) {
    this.#deps = deps
  }

  /** Throws MoveError: then the agent is where it was. */
  async move(open: () => Promise<AgentMoves>, agent: string, device: string, by = nobody): Promise<Moved> {
    const { signer, bus } = this.#deps
    if (device === signer.device) throw new MoveError('refused', `${agent} is on ${device} already`)
    if (!signer.trusted.includes(device))
      throw new MoveError('unknown-device', `no device called ${device} is known here: ${this.#others()}`)
    if (!bus.connected) throw new MoveError('failed', 'this device has no connection to its broker')
    const moves = await open()
    const leaving = moves.leavable(agent)
    const { id, recording } = await this.#asked(device, {
      ...leaving,
      by: by.shown.slice(0, byCharsMax),
      proven: by.proven,
    })
    await this.#takeBackCopies(moves, agent, device)
    this.#deps.carrying.add(id)
    try {
      const left = await moves.leave(agent, { id, peer: device, recording }, this.#deps.mayHold)
      const { bytes: whole, epoch } = left
      await this.#sent(moves, device, { id, agent, whole })
      const pending = !(await this.#given(moves, device, id, epoch))
      return { agent, device, bytes: whole.byteLength, pending }
    } finally {
      this.#deps.carrying.delete(id)
    }
  }

  /** With the id of the copy. Throws MoveError: then the other device has the one that it had. */
  async copy(moves: AgentMoves, agent: string, device: string, holders: readonly string[]): Promise<string> {
    const copy = { copy: true, holders: [...holders] }
    const said = await this.#asked(device, { ...moves.leavable(agent), ...copy })
    const { id } = said
    await this.#send(device, { id, agent, whole: await moves.copies.copy(agent, id, device, said) })
    return id
  }

  /** Whether that device says that it is there. */
  async isThere(device: string, msMax = answerMsMax): Promise<boolean> {
    const n = this.#deps.clock.newId()
    return (await this.#ask(device, { kind: 'there', n }, [`${device} here ${n}`], msMax)) !== undefined
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

  /** Nobody else can begin a copy of what goes: whoever may have one says first that it has dropped it. Throws MoveError `failed`. */
  async #takeBackCopies(moves: AgentMoves, agent: string, to: string): Promise<void> {
    const drop = async ({ id, peer }: StoredMove) => {
      const said = await this.#ask(peer, { kind: 'drop', id }, [`${peer} dropped ${id}`], answerMsMax)
      if (!said)
        throw new MoveError(
          'failed',
          `${peer} has a copy of it, and does not say that it has dropped it: is it on? Where it is gone for good, name it no more in device.agents.replicate, and restart ${this.#deps.signer.device}`,
        )
      await moves.copies.uncopied(id)
    }
    await Promise.all(moves.copies.elsewhere(agent, to, this.#deps.mayHold).map(drop))
  }

  /** Sends it whole, or leaves it where it is. */
  async #sent(moves: AgentMoves, to: string, going: Going): Promise<void> {
    const { id } = going
    try {
      await this.#send(to, going)
    } catch (error) {
      // The device stops: what becomes of it is asked when it is back.
      if (this.#deps.signal.aborted) throw error
      await moves.stay(id, moveReason(error))
      this.#deps.say(to, { kind: 'drop', id })
      if (error instanceof MoveError) throw error
      throw new MoveError('failed', `it stayed here: ${moveReason(error)}`, { cause: error })
    }
  }

  #send(to: string, { id, agent, whole }: Going): Promise<void> {
    this.#deps.carried?.(agent, Math.ceil((whole.byteLength * 4) / 3))
    const words = ['got', 'kept', 'refused'].map((kind) => `${to} ${kind} ${id}`)
    const hear = (heard: (body: MoveBody) => void) => this.#deps.answers.hear(words, heard)
    const say = (chunk: Word) => this.#deps.say(to, chunk)
    return send({ clock: this.#deps.clock, say, hear }, { id, to, whole }, this.#deps.signal)
  }

  /** Lets go of it, and tells the other device to begin. False where that has not answered yet. */
  async #given(moves: AgentMoves, to: string, id: string, epoch: number): Promise<boolean> {
    const token = await moves.give(id, epoch).catch(async (error) => {
      if (!this.#deps.signal.aborted) {
        await moves.stay(id, moveReason(error))
        this.#deps.say(to, { kind: 'drop', id })
      }
      throw error
    })
    return await this.told(moves, to, id, token, begunMsMax)
  }

  /** Tells the other device to begin. False where it has not answered. */
  async told(moves: AgentMoves, to: string, id: string, token: number, msMax: number): Promise<boolean> {
    // An answer counts only to what was said after it was given away: one that came earlier may say that it was not there yet.
    const n = this.#deps.clock.newId()
    const words = [`${to} begun ${n}`, `${to} lost ${n}`]
    const said = await this.#ask(to, { kind: 'begin', id, n, token }, words, msMax)
    if (said?.kind === 'begun') {
      await moves.gone(id, said.recorded === true)
      this.#deps.say(to, { kind: 'let-go', id })
    }
    if (said?.kind === 'lost') await moves.takeBack(id)
    return said !== undefined
  }

  #ask(to: string, word: Word, answers: readonly string[], msMax: number): Promise<MoveBody | undefined> {
    return this.#deps.answers.first(answers, () => this.#deps.say(to, word), msMax, this.#deps.signal)
  }
}
