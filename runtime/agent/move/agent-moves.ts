/**
 * What a device does with its agents that leave and come: each step on the disk when it resolves, under the agent's own order of things
 * (`Agents`). Who says what to whom is `mover.ts`.
 *
 * Invariants: [move-1] an agent that was given away is not run here again, unless nobody has it or a person says so; one that comes is
 * not run before the other device has given it away, unless a person says so; [move-2] a copy that was overtaken, by a person's word
 * on the other device, is stopped and goes; [move-7] a copy is never run while the device that it came from is known to have the
 * agent, and that device lets go of the agent when it hears that the copy was begun.
 */
import type { Clock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import type { ImageSeal } from '../life/image-seal.ts'
import { lineageOf } from '../life/lineage.ts'
import type { AgentStore, StoredAgent } from '../store/agent-store.ts'
import type { Arrival, StoredMove } from '../store/move-store.ts'
import { MoveError, moveReason, packed, packedLogLines, unpacked } from './package.ts'

/** What agents that come and go take along, besides what the store has of them. */
export interface Belongings {
  /** The bundle with this device's word instead of the other's. Throws where it was not signed by somebody believed. */
  adopt(bundle: Uint8Array): { readonly name: string; readonly hash: string; readonly bytes: Uint8Array }
  pack(agent: string): Uint8Array
  /** In place of what is there; it is on the disk when this resolves. */
  unpack(agent: string, bytes: Uint8Array): Promise<void>
}

export interface AgentMovesDeps {
  readonly clock: Clock
  readonly log: Log
  readonly store: AgentStore
  readonly seal: ImageSeal
  readonly belongings: Belongings
  /** SHA-256 of the engine: images run on no other. */
  readonly engine: string
  readonly agentsMax: number
  /** Of copies that are kept for other devices, all together. */
  readonly copyBytesMax: number
  /** One thing after the other for each agent. */
  next<T>(name: string, work: () => Promise<T>): Promise<T>
  /** Stops its life, if it has one, with an image. */
  halt(name: string): Promise<void>
  live(stored: StoredAgent): void
  /** Told when an agent is here no more. */
  removed(name: string): void
}

/** What another device is asked whether it would take. */
export interface Leaving {
  readonly agent: string
  /** A copy is asked for: the agent stays where it is. */
  readonly copy?: boolean | undefined
  readonly engine: string
  readonly bytes: number
  readonly grants: string
  /** Who asked for it on the device that it leaves. */
  readonly by?: string | undefined
  /** Of a copy: all devices that may have one. */
  readonly holders?: string[] | undefined
}

/** An agent of which another device is to have a copy. */
export interface Copyable {
  readonly name: string
  readonly state: 'running' | 'stopped'
  /** Another one: there is something new to be copied. */
  readonly mark: string
}

/** A copy that is kept here. */
export interface Standby {
  readonly name: string
  /** Whose it is. */
  readonly peer: string
  readonly was: StoredMove['was']
}

/** Whether that device is to have copies of that agent, as the configuration of this one says now. */
export type MayHold = (device: string, agent: string) => boolean

/** Moves of which the other device has not heard how they ended: more would mean that it plays with this one. */
const unclosedMax = 256
/** Far above any clock. What says more is a lie: it is not to drive the tokens of this device to where numbers end. */
const tokenMax = 2 ** 50
/** How long an agent waits after a restart for those who have copies of it. */
const copiesAskedMs = 3_000

export class AgentMoves {
  readonly #deps: AgentMovesDeps
  /** Agents that wait for a word of those who have copies of them, before they go on; what ends the waiting. */
  readonly #held = new Map<string, () => void>()
  /** Copies of which it was said that they were not begun. */
  readonly #unbegun = new Set<string>()

  constructor(deps: AgentMovesDeps) {
    this.#deps = deps
  }

  move(id: string): StoredMove | undefined {
    return this.#deps.store.moves.move(id)
  }

  /** Moves of which the other device is still to hear; also copies that it is not to have any more, and those that are waited for. */
  unfinished(mayHold: MayHold): StoredMove[] {
    const over: readonly StoredMove['phase'][] = ['gone', 'dropped', 'kept', 'closed']
    const isOpen = ({ phase, agent, peer }: StoredMove) =>
      phase === 'copied' ? this.#held.has(agent) || !mayHold(peer, agent) : !over.includes(phase)
    return this.#deps.store.moves.all().filter(isOpen)
  }

  /** Throws MoveError `refused` where it is none that can move. */
  leavable(name: string): Leaving {
    const { store, engine } = this.#deps
    const stored = store.agent(name)
    if (!stored) throw new MoveError('refused', `there is no agent called ${name}`)
    if (stored.state !== 'running' && stored.state !== 'stopped')
      throw new MoveError('refused', `${name} cannot move: it is ${stored.state}`)
    const sealed = store.image(name)?.byteLength ?? 0
    const bundle = store.program(stored.program)?.byteLength ?? 0
    return { agent: name, engine, bytes: sealed + bundle, grants: stored.grants }
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
  leave(name: string, id: string, peer: string): Promise<Uint8Array> {
    const { store, clock } = this.#deps
    return this.#deps.next(name, async () => {
      this.leavable(name)
      await this.#deps.halt(name)
      // It may have come to its end meanwhile.
      this.leavable(name)
      const { state, token } = store.agent(name) as StoredAgent
      const was = state === 'running' ? 'running' : 'stopped'
      try {
        const bytes = packed(await this.#whole(name))
        store.moves.leaving({ id, agent: name, peer, was, token, atMs: clock.nowMs() })
        await store.durable()
        return bytes
      } catch (error) {
        if (was === 'running' && store.agent(name)?.state === 'running') this.#live(name)
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
      if (move.was === 'running') this.#live(move.agent)
    })
  }

  /** The commit of the move: from here on it is the other's. Gives the token under which it goes on. */
  async give(id: string): Promise<number> {
    let given = 0
    await this.#with(id, ['leaving'], async (move) => {
      given = this.#higher(move.token)
      this.#deps.store.moves.given(move, given)
      await this.#deps.store.durable()
    })
    if (given === 0) throw new MoveError('failed', 'it is no longer on its way')
    return given
  }

  /** The other device has it. */
  gone(id: string): Promise<void> {
    return this.#with(id, ['given'], (move) => this.#forget(move, 'gone'))
  }

  /** The other device has lost it, and can never begin it: it goes on here. */
  takeBack(id: string): Promise<void> {
    return this.#with(id, ['given'], async (move) => {
      const { store, clock } = this.#deps
      const reason = `${move.peer} has lost it: it goes on here`
      store.moves.stayed(move, this.#higher(move.token), { atMs: clock.nowMs(), reason })
      await store.durable()
      if (move.was === 'running') this.#live(move.agent)
    })
  }

  /** Keeps it, and does not run it. Throws MoveError, BundleError, SealError, StoreError. */
  arrive(id: string, peer: string, whole: Uint8Array, expected: Leaving): Promise<void> {
    const { store, clock, belongings } = this.#deps
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
      const { image } = arrival
      const own: Arrival = {
        ...{ ...arrival, bundle: bytes },
        image: image && { turn: image.turn, sealed: await this.#resealed(image.sealed, hash) },
      }
      await this.#deps.halt(name)
      const {
        was,
        agent: { token },
      } = arrival
      const move = { id, agent: name, peer, was, token, atMs: clock.nowMs() }
      if (expected.copy) store.moves.keeping(move, own, expected.holders)
      else store.moves.arriving(move, own)
      await store.durable()
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

  /** What may be copied: agents that run, and those that a person stopped, which a copy is not to begin again. */
  copyable(): Copyable[] {
    return this.#deps.store.agents().flatMap(({ name, state, token, turn, grants }) => {
      if ((state !== 'running' && state !== 'stopped') || this.#held.has(name)) return []
      return [{ name, state, mark: `${state} ${token} ${turn} ${grants}` }]
    })
  }

  /** Copies that others may have, of what is here or was. */
  copies(): StoredMove[] {
    return this.#deps.store.moves.all().filter(({ phase }) => phase === 'copied')
  }

  /** Whether there is still something here that a copy may be of. */
  has(name: string): boolean {
    const state = this.#deps.store.agent(name)?.state
    return state === 'running' || state === 'stopped' || state === 'moving'
  }

  /** It, as it is now; it goes on. From now on the other device may have a copy. Throws MoveError, StoreError. */
  copy(name: string, id: string, peer: string, holds: string | undefined): Promise<Uint8Array> {
    const { store, clock } = this.#deps
    return this.#deps.next(name, async () => {
      this.leavable(name)
      const whole = await this.#whole(name)
      const bytes = packed(whole)
      const { token } = whole.agent
      store.moves.copied({ id, agent: name, peer, was: whole.was, token, atMs: clock.nowMs() }, holds)
      await store.durable()
      return bytes
    })
  }

  /** The other device has no copy under this id. */
  async uncopied(id: string): Promise<void> {
    await this.notBegun(id)
    this.#deps.store.moves.uncopied(id)
    await this.#deps.store.durable()
  }

  /** The copy of an agent of `peer` that is kept here. */
  holds(peer: string, agent: string): string | undefined {
    const move = this.#deps.store.moves.of(agent)
    return move?.phase === 'kept' && move.peer === peer ? move.id : undefined
  }

  standbys(): Standby[] {
    const kept = this.#deps.store.moves.all().filter(({ phase }) => phase === 'kept')
    return kept.map(({ agent: name, peer, was }) => ({ name, peer, was }))
  }

  /** Whether it goes on only when those answered who have copies of it and may have begun them; or nobody did for some seconds. */
  waits(name: string): boolean {
    const { clock, log } = this.#deps
    if (!this.copies().some(({ agent }) => agent === name)) return false
    const letGo = () =>
      this.letGo(name).catch((error) =>
        log.warn('an agent does not go on', { agent: name, reason: moveReason(error) }),
      )
    this.#held.set(name, clock.after(copiesAskedMs, letGo))
    return true
  }

  isHeld(name: string): boolean {
    return this.#held.has(name)
  }

  /** The other device has its copy of this agent and has not begun it, or nobody says anything. */
  letGo(name: string): Promise<void> {
    const over = this.#held.get(name)
    if (!over) return Promise.resolve()
    over()
    this.#held.delete(name)
    return this.#deps.next(name, async () => this.#live(name))
  }

  /** A device with a copy of this has not begun it. */
  async notBegun(id: string): Promise<void> {
    const move = this.move(id)
    if (move?.phase !== 'copied') return
    this.#unbegun.add(id)
    const left = this.copies().some((copy) => copy.agent === move.agent && !this.#unbegun.has(copy.id))
    if (!left) await this.letGo(move.agent)
  }

  /**
   * Another that had a copy of the same agent of `owner` has begun it: what is here of that goes. A copy at the word of anybody who is
   * believed, since two must not be begun; what runs only at that of a device to which `owner` sent copies.
   */
  async elsewhere(owner: string, from: string, lineage: string, token: number): Promise<void> {
    const { store } = this.#deps
    for (const move of store.moves.all()) {
      const stored = store.agent(move.agent)
      const copy = move.phase === 'kept' || move.phase === 'seized'
      if (!copy || move.peer !== owner || !stored || lineageOf(stored) !== lineage) continue
      if (move.phase === 'kept') await this.drop(move.id)
      else if (store.moves.mayHold(move.agent, from)) await this.overtaken(move.id, token, () => true, from)
    }
  }

  lineage(name: string): string | undefined {
    const stored = this.#deps.store.agent(name)
    return stored && lineageOf(stored)
  }

  /** The other device has given it away: from now on it is this one's. */
  begin(id: string, token: number): Promise<void> {
    return this.#with(id, ['arriving'], (move) => this.#begin(move, token, 'begun'))
  }

  /** It stayed with the other device. */
  drop(id: string): Promise<void> {
    return this.#with(id, ['arriving', 'kept'], (move) => this.#forget(move, 'dropped'))
  }

  /** A person says that it runs here, since the other device is not to be reached. Throws MoveError `refused`. */
  seize(name: string): Promise<void> {
    const { store } = this.#deps
    const move = store.moves.of(name)
    const state = store.agent(name)?.state
    if (!move || (state !== 'arriving' && state !== 'moved' && state !== 'standby'))
      throw new MoveError('refused', `${name} is not on its way: there is nothing to begin by hand`)
    return this.#with(move.id, ['arriving', 'given', 'kept'], async () => {
      const was = { ...move, was: 'running' } as const
      if (state !== 'moved') return await this.#begin(was, this.#higher(move.token), 'seized')
      store.moves.begun(was, this.#higher(move.token), 'seized')
      await store.durable()
      this.#live(name)
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
  overtaken(id: string, token: number, mayHold: MayHold, at?: string): Promise<void> {
    const phases = ['leaving', 'stayed', 'given', 'arriving', 'begun', 'seized', 'copied'] as const
    return this.#with(id, phases, async (move) => {
      const stored = this.#deps.store.agent(move.agent)
      if (!stored) return
      if (move.phase === 'copied' && (token <= stored.token || !mayHold(move.peer, move.agent)))
        return await this.#reclaim(move, token)
      if (token <= stored.token) return
      if (move.phase === 'copied' || at !== undefined) return await this.#giveWay(move, token, at)
      // One that has begun anew since is another.
      if (token <= move.token || stored.token > move.token) return
      await this.#deps.halt(move.agent)
      await this.#forget(move, 'gone')
    })
  }

  /** Whether the agent goes on here although the other device of that move says that it has begun it. */
  goesOn({ agent, phase, token }: StoredMove): boolean {
    if (phase === 'seized') return this.#deps.store.agent(agent)?.token === token
    return phase === 'reclaimed' || (phase === 'copied' && this.has(agent))
  }

  async #giveWay(move: StoredMove, token: number, at = move.peer): Promise<void> {
    const { clock, store, log, removed, halt } = this.#deps
    const { agent } = move
    this.#held.get(agent)?.()
    this.#held.delete(agent)
    if (!this.has(agent) && store.agent(agent)?.state !== 'failed') return
    await halt(agent)
    const reason = `it went on on ${at} while this device was away: what it did here after its last copy is not known there`
    store.moves.wentOn(move, token, clock.nowMs(), reason)
    await store.durable()
    removed(agent)
    log.warn('an agent went on elsewhere while this device was away: it gives way', { agent, device: at })
  }

  /** Goes on with it under a token above that of a copy that was not to be begun; the other device lets go of that. */
  async #reclaim(move: StoredMove, token: number): Promise<void> {
    const { store, log, halt } = this.#deps
    const { agent, peer } = move
    const stored = store.agent(agent)
    if ((stored?.state !== 'running' && stored?.state !== 'stopped') || token > tokenMax) return
    const what = { agent, device: peer }
    log.warn('a device began a copy of an agent that it was not to begin: it goes on here', what)
    this.#held.get(agent)?.()
    this.#held.delete(agent)
    await halt(agent)
    store.moves.begun(
      { ...move, was: stored.state },
      this.#higher(Math.max(token, stored.token)),
      'reclaimed',
    )
    await store.durable()
    this.#live(agent)
  }

  async #begin(move: StoredMove, token: number, phase: 'begun' | 'seized'): Promise<void> {
    const { store, belongings } = this.#deps
    const luggage = store.moves.luggage(move.agent)
    if (luggage) await belongings.unpack(move.agent, luggage)
    store.moves.begun(move, token, phase)
    await store.durable()
    if (move.was === 'running') this.#live(move.agent)
  }

  async #forget(move: StoredMove, phase: 'gone' | 'dropped'): Promise<void> {
    const { store, removed } = this.#deps
    store.moves.over(move, phase)
    // What comes was never unpacked here.
    if (move.phase !== 'arriving' && move.phase !== 'kept') removed(move.agent)
    await store.durable()
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

  #live(name: string): void {
    const { store, live } = this.#deps
    const stored = store.agent(name)
    if (stored?.state === 'running') live(stored)
  }

  #higher(token: number): number {
    return Math.max(token + 1, Math.floor(this.#deps.clock.nowMs()))
  }

  /** All of it is read in one go: the agent may take a turn meanwhile. */
  async #whole(name: string): Promise<Arrival> {
    const { store, belongings } = this.#deps
    const { guest, ...agent } = store.agent(name) as StoredAgent
    const bundle = store.program(agent.program)
    const text = store.guest(guest)
    if (!bundle || text === undefined) throw new MoveError('refused', `${name} is not whole on this disk`)
    const sealed = store.image(name)
    const turn = store.imageTurn(name)
    const was: Arrival['was'] = agent.state === 'running' ? 'running' : 'stopped'
    const [turns, calls, log] = [store.turns(name), store.calls(name), store.log(name, packedLogLines)]
    const rest = { agent, was, bundle, guest: text, turns, calls, log, luggage: belongings.pack(name) }
    // An image may have been made on a third device, of which the other has never heard.
    return { ...rest, image: sealed && { turn, sealed: await this.#resealed(sealed, agent.program) } }
  }

  async #resealed(sealed: Uint8Array, program: string): Promise<Uint8Array> {
    const { seal } = this.#deps
    return seal.close(await seal.open(sealed, program), program)
  }
}
