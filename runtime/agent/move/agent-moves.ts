/**
 * What a device does with its agents that leave and come: each step on the disk when it resolves, under the agent's own order of things
 * (`Agents`). Who says what to whom is `mover.ts`.
 *
 * Invariants: [move-1] an agent that was given away is not run here again, unless nobody has it or a person says so; one that comes is
 * not run before the other device has given it away, unless a person says so; [move-2] a copy that was overtaken, by a person's word
 * on the other device, is stopped and goes; [move-7] a copy is never run while the device that it came from is known to have the
 * agent, and that device lets go of the agent when it hears that the copy was begun.
 */
import type { ShownLease } from '../../wire/lease.ts'
import { lineageOf } from '../life/lineage.ts'
import type { StoredAgent } from '../store/agent-store.ts'
import type { Arrival, StoredMove } from '../store/move-store.ts'
import { AgentCopies } from './agent-copies.ts'
import {
  goOn,
  higher,
  type Leaving,
  leavable,
  type MayHold,
  type MovesDeps,
  recordOn,
  resealed,
  wholeOf,
} from './leaving.ts'
import { forgetting, forgotten, MoveError, moveReason, packed, unpacked } from './package.ts'

/** Whether the other device of a copy may have begun it, of an agent that is here. */
export type MayBegin = (copy: StoredMove, stored: StoredAgent) => boolean
/** Whether more than half of the site's devices let some device begin its copy of what `owner` has or had. */
export type IsShown = (owner: string, agent: Pick<StoredAgent, 'name' | 'token'>) => boolean

/** An agent that is on its way. */
interface Left {
  readonly bytes: Uint8Array
  /** Of what was read: `AgentCopies.epoch`. */
  readonly epoch: number
}

/** Moves of which the other device has not heard how they ended: more would mean that it plays with this one. */
const unclosedMax = 256

export class AgentMoves {
  /** Those of agents that stay where they are. */
  readonly copies: AgentCopies
  readonly #deps: MovesDeps

  constructor(deps: MovesDeps) {
    this.#deps = deps
    this.copies = new AgentCopies(deps)
  }

  move(id: string): StoredMove | undefined {
    return this.#deps.store.moves.move(id)
  }

  /** Moves of which the other device is still to hear; also copies that it is not to have any more, and those that are waited for. */
  unfinished(mayHold: MayHold): StoredMove[] {
    const over: readonly StoredMove['phase'][] = ['gone', 'dropped', 'kept', 'closed']
    const isOpen = ({ phase, agent, peer }: StoredMove) =>
      phase === 'copied' ? this.copies.isHeld(agent) || !mayHold(peer, agent) : !over.includes(phase)
    return this.#deps.store.moves.all().filter(isOpen)
  }

  /** Throws MoveError `refused` where it is none that can move. */
  leavable(name: string): Leaving {
    return leavable(this.#deps, name)
  }

  /** Why an agent is not taken, in a line; undefined where it is. */
  refusal({ agent, engine, copy = false, bytes }: Leaving, from: string): string | undefined {
    const { store, agentsMax, copyBytesMax } = this.#deps
    const other = store.agent(agent)
    const kept = other?.state === 'standby' && store.moves.of(agent)?.peer === from
    if (copy && store.moves.bytesKept(agent) + bytes > copyBytesMax)
      return `its copies have ${copyBytesMax} bytes already, which is as much as it keeps`
    if (!copy && store.moves.unclosed >= unclosedMax)
      return `${unclosedMax} moves are not at their end: devices are to hear of them first`
    if (other && other.state !== 'ended' && !kept)
      return `there is an agent called ${agent} here already, and it is ${other.state}`
    if (!other && store.agents().length >= agentsMax) return `${agentsMax} agents are installed here already`
    if (engine !== this.#deps.engine)
      return 'it has another version of the machine that agents run in: update both'
    return undefined
  }

  /** Stops it between two turns; from now on it is on its way. Throws MoveError, StoreError: then it goes on. */
  leave(
    name: string,
    {
      id,
      peer,
      recording,
    }: { readonly id: string; readonly peer: string; readonly recording?: number | undefined },
    mayHold: MayHold,
  ): Promise<Left> {
    const { store, clock } = this.#deps
    return this.#deps.next(name, async () => {
      leavable(this.#deps, name)
      await this.#deps.halt(name)
      try {
        // It may have come to its end meanwhile.
        leavable(this.#deps, name)
        if (this.copies.elsewhere(name, peer, mayHold).length > 0)
          throw new MoveError('failed', 'a copy of it is made just now: try again in a moment')
        const { epoch } = this.copies
        if (epoch === undefined) throw new MoveError('failed', `${forgetting}: try again in a moment`)
        const { state, token } = store.agent(name) as StoredAgent
        const was = state === 'running' ? 'running' : 'stopped'
        const bytes = packed(await wholeOf(this.#deps, name, recording), clock.nowMs())
        store.moves.leaving({ id, agent: name, peer, was, token, atMs: clock.nowMs() })
        await store.durable()
        return { bytes, epoch }
      } catch (error) {
        if (store.agent(name)?.state === 'running') goOn(this.#deps, name)
        throw error
      }
    })
  }

  /** It goes on as before. */
  stay(id: string, reason: string): Promise<void> {
    return this.#with(id, ['leaving'], async (move) => {
      const { store, clock } = this.#deps
      store.moves.stayed(move, move.token, { atMs: clock.nowMs(), reason: `it stayed here: ${reason}` })
      await store.durable()
      if (move.was === 'running') goOn(this.#deps, move.agent)
    })
  }

  /** The commit of the move: from here on it is the other's, where nobody was forgotten since it left. Gives the token under which it goes on. */
  async give(id: string, epoch: number): Promise<number> {
    let given = 0
    await this.#with(id, ['leaving'], async (move) => {
      if (epoch !== this.copies.epoch) throw new MoveError('failed', forgotten)
      given = higher(this.#deps.clock, move.token)
      this.#deps.store.moves.given(move, given)
      await this.#deps.store.durable()
    })
    if (given === 0) throw new MoveError('failed', 'it is no longer on its way')
    return given
  }

  /** The other device has it, and what was recorded of it: or that stays here. */
  gone(id: string, isRecorded: boolean): Promise<void> {
    const { store, log, recordings } = this.#deps
    return this.#with(id, ['given'], async (move) => {
      const { agent } = move
      const { token } = store.agent(agent) ?? {}
      // Before it is gone: nobody would come back to it after a power cut.
      if (isRecorded && token !== undefined)
        await recordings
          ?.drop({ agent, token })
          .catch((error) => log.warn('what was recorded is here too', { agent, reason: moveReason(error) }))
      await this.#forget(move, 'gone')
    })
  }

  /** Bytes of what was recorded of an agent that may come along with it. */
  get recordingBytesMax(): number | undefined {
    return this.#deps.recordings?.takes
  }

  /** Whether what is recorded of what came is here. */
  isRecorded(id: string): boolean {
    const move = this.move(id)
    return move !== undefined && this.#deps.recordings?.has(move) === true
  }

  /** The other device has lost it, and can never begin it: it goes on here. */
  takeBack(id: string): Promise<void> {
    return this.#with(id, ['given'], async (move) => {
      const { store, clock } = this.#deps
      const reason = `${move.peer} has lost it: it goes on here`
      const token = higher(this.#deps.clock, move.token)
      await recordOn(this.#deps, move.agent, token)
      store.moves.stayed(move, token, { atMs: clock.nowMs(), reason })
      await store.durable()
      if (move.was === 'running') goOn(this.#deps, move.agent)
    })
  }

  /** Keeps it, and does not run it. Throws MoveError, BundleError, SealError, StoreError. */
  arrive(id: string, peer: string, whole: Uint8Array, expected: Leaving): Promise<void> {
    const { store, clock, belongings, recordings } = this.#deps
    const arrival = unpacked(whole)
    const { agent } = arrival
    if (agent.name !== expected.agent || agent.grants !== expected.grants)
      throw new MoveError('malformed', 'what came is another agent than was asked for')
    return this.#deps.next(agent.name, async () => {
      const refusal =
        this.refusal({ ...expected, bytes: whole.byteLength }, peer) ?? this.#older(agent, expected)
      if (refusal !== undefined) throw new MoveError('refused', refusal)
      const { name, hash, bytes } = belongings.adopt(arrival.bundle)
      if (name !== agent.name || hash !== agent.program)
        throw new MoveError('malformed', 'what came is of another program than it says')
      belongings.check(name, arrival.luggage)
      const { image } = arrival
      const own: Arrival = {
        ...{ ...arrival, bundle: bytes },
        image: image && { turn: image.turn, sealed: await resealed(this.#deps.seal, image.sealed, hash) },
      }
      const isEnded = store.agent(name)?.state === 'ended'
      await this.#deps.halt(name)
      const {
        was,
        agent: { token },
      } = arrival
      const move = { id, agent: name, peer, was, token, atMs: clock.nowMs() }
      await recordings?.keep(name, arrival.recording)
      if (expected.epoch !== this.copies.epoch) {
        await recordings?.keep(name)
        throw new MoveError('refused', forgotten)
      }
      try {
        if (expected.copy) store.moves.keeping(move, own, expected.holders)
        else store.moves.arriving(move, own)
        await store.durable()
      } catch (error) {
        // An earlier copy that stays keeps it: of what was recorded later nothing counts.
        if (store.agent(name)?.state !== 'standby') await recordings?.keep(name)
        throw error
      }
      // In whose place it is here left a memory, which nobody could have removed any more.
      if (isEnded) await this.#deps.removed(name)
    })
  }

  /** Why a copy is not kept: a newer one is. */
  #older(agent: Arrival['agent'], { copy }: Leaving): string | undefined {
    const kept = this.#deps.store.agent(agent.name)
    if (!copy || kept?.state !== 'standby') return undefined
    const newer =
      kept.token > agent.token ||
      (kept.token === agent.token && (kept.turn > agent.turn || lineageOf(kept) !== lineageOf(agent)))
    return newer ? 'a newer copy of it is there' : undefined
  }

  /**
   * Another that had a copy of the same agent of `owner` has begun it: what is here of that goes. A copy at the word of anybody who is
   * believed, since two must not be begun; what runs only at that of a device to which `owner` sent copies, and what the others let
   * this device begin only where they let that one too.
   */
  async elsewhere(
    owner: string,
    from: string,
    { lineage, token }: { readonly lineage: string; readonly token: number },
    isShown: IsShown,
  ): Promise<void> {
    const { store } = this.#deps
    for (const move of store.moves.all()) {
      const stored = store.agent(move.agent)
      const copy = move.phase === 'kept' || move.phase === 'seized'
      if (!copy || move.peer !== owner || !stored || lineageOf(stored) !== lineage) continue
      if (move.phase === 'kept') await this.drop(move.id)
      else if (
        store.moves.mayHold(move.agent, from) &&
        (!store.moves.lease(move.id) || isShown(owner, stored))
      )
        await this.overtaken(move.id, token, () => true, from)
    }
  }

  /** Resolves when all that was done so far is on the disk. */
  durable(): Promise<void> {
    return this.#deps.store.durable()
  }

  /** Under which a copy was begun here; undefined: a person did. */
  lease(id: string): ShownLease | undefined {
    return this.#deps.store.moves.lease(id)
  }

  lineage(name: string): string | undefined {
    const stored = this.#deps.store.agent(name)
    return stored && lineageOf(stored)
  }

  /** Whether the agent of that beginning is here, wherever it goes on. */
  isHere(lineage: string | undefined): boolean {
    return this.#deps.store.agents().some((stored) => lineageOf(stored) === lineage)
  }

  /** The other device has lost what it knew of this: what came may be all that is left. A person says what becomes of it. */
  orphaned(id: string): Promise<void> {
    return this.#with(id, ['arriving'], async ({ agent, peer }) => {
      const { store, log } = this.#deps
      const reason = `it comes from ${peer}, which has lost what it knew of it`
      if (store.agent(agent)?.reason === reason) return
      store.setState(agent, 'arriving', reason)
      await store.durable()
      log.error('an agent that comes is not begun by itself', { agent, reason })
    })
  }

  /** The other device has given it away: from now on it is this one's. */
  begin(id: string, token: number): Promise<void> {
    return this.#with(id, ['arriving'], (move) => this.#begin(move, token, 'begun'))
  }

  /** It stayed with the other device. */
  drop(id: string): Promise<void> {
    return this.#with(id, ['arriving', 'kept'], (move) => this.#forget(move, 'dropped'))
  }

  /** A person says that it runs here, since the other device is not to be reached, or the others with `lease`. Throws MoveError `refused`. */
  seize(name: string, lease?: ShownLease): Promise<void> {
    const { store } = this.#deps
    const move = store.moves.of(name)
    const state = store.agent(name)?.state
    if (!move || (state !== 'arriving' && state !== 'moved' && state !== 'standby'))
      throw new MoveError('refused', `${name} is not on its way: there is nothing to begin by hand`)
    return this.#with(move.id, ['arriving', 'given', 'kept'], async () => {
      const was = { ...move, was: 'running' } as const
      if (state !== 'moved')
        return await this.#begin(was, higher(this.#deps.clock, move.token), 'seized', lease)
      const token = higher(this.#deps.clock, move.token)
      await recordOn(this.#deps, name, token)
      store.moves.begun(was, token, 'seized')
      await store.durable()
      goOn(this.#deps, name)
    })
  }

  /** The other device has nothing of it, and never will: from now on it has no say in it. */
  closed(id: string): Promise<void> {
    return this.#with(id, ['seized', 'begun', 'stayed', 'reclaimed'], async (move) => {
      const { store } = this.#deps
      store.moves.closed(move)
      await store.durable()
    })
  }

  /** It was begun on the other device, or on `at`, under this token: what is here of it goes, where that device may. */
  overtaken(id: string, token: number, mayBegin: MayBegin, at?: string): Promise<void> {
    const phases = ['leaving', 'stayed', 'given', 'arriving', 'begun', 'seized', 'copied'] as const
    return this.#with(id, phases, async (move) => {
      const stored = this.#deps.store.agent(move.agent)
      if (!stored) return
      if (move.phase === 'copied' && (token <= stored.token || !mayBegin(move, stored)))
        return await this.copies.reclaim(move, token)
      if (token <= stored.token) return
      if (move.phase === 'copied' || at !== undefined) return await this.copies.giveWay(move, token, at)
      // One that has begun anew since is another.
      if (token <= move.token || stored.token > move.token) return
      await this.#deps.halt(move.agent)
      await this.#forget(move, 'gone')
    })
  }

  /** Whether the agent goes on here although the other device of that move says that it has begun it. */
  goesOn({ agent, phase, token }: StoredMove): boolean {
    if (phase === 'seized') return this.#deps.store.agent(agent)?.token === token
    return phase === 'reclaimed' || (phase === 'copied' && this.copies.has(agent))
  }

  async #begin(
    move: StoredMove,
    token: number,
    phase: 'begun' | 'seized',
    lease?: ShownLease,
  ): Promise<void> {
    const { store, belongings } = this.#deps
    const luggage = store.moves.luggage(move.agent)
    if (luggage) await belongings.unpack(move.agent, luggage)
    await recordOn(this.#deps, move.agent, token, true)
    store.moves.begun(move, token, phase, lease)
    await store.durable()
    if (move.was === 'running') goOn(this.#deps, move.agent)
  }

  async #forget(move: StoredMove, phase: 'gone' | 'dropped'): Promise<void> {
    const { store, log, recordings, carryOff } = this.#deps
    store.moves.over(move, phase)
    // What comes was never unpacked here.
    if (move.phase === 'arriving' || move.phase === 'kept') await recordings?.keep(move.agent)
    await store.durable()
    await carryOff(move.agent).catch((error) =>
      log.warn('not all that an agent left is gone', { agent: move.agent, reason: moveReason(error) }),
    )
  }

  /** Nothing where the move is in another phase by now: it was said twice, or too late. */
  #with(
    id: string,
    phases: readonly StoredMove['phase'][],
    work: (move: StoredMove) => Promise<void>,
  ): Promise<void> {
    const { store, next } = this.#deps
    const { agent } = store.moves.move(id) ?? {}
    if (agent === undefined) return Promise.resolve()
    return next(agent, async () => {
      const move = store.moves.move(id)
      if (move && phases.includes(move.phase)) await work(move)
    })
  }
}
