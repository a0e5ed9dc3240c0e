/**
 * Copies of agents: those of this device's that others have, and those of others' that are kept here. What a copy is, and how it is
 * begun: `agent-moves.ts`, for which a copy that was begun is one more way for an agent to come.
 *
 * [move-7] A copy is never run while the device that it came from is known to have the agent, and that device lets go of the agent when
 * it hears that the copy was begun.
 */
import type { Cancel } from '../../base/clock.ts'
import type { StoredMove } from '../store/move-store.ts'
import { goOn, higher, leavable, type MayHold, type MovesDeps, recordOn, wholeOf } from './leaving.ts'
import { moveReason, packed } from './package.ts'

/** An agent of which another device is to have a copy. */
export interface Copyable {
  readonly name: string
  /** Another one: there is something new to be copied. */
  readonly mark: string
  /** Another one: it is to be copied soon, for a person said so. */
  readonly urgent: string
}

/** A copy that is kept here. */
export interface Standby {
  readonly name: string
  /** Whose it is. */
  readonly peer: string
  readonly was: StoredMove['was']
  readonly startedMs: number
}

/** What the device that is to have a copy has of the agent, and how much of what was recorded of it may come along. */
interface Has {
  readonly holds?: string | undefined
  readonly recording?: number | undefined
}

interface Held {
  /** Ends the waiting. */
  readonly over: Cancel
  /** Copies of it of which it was said that they were not begun. */
  readonly unbegun: Set<string>
}

/** What was recorded goes along again with each copy: more would be most of it. */
const recordedMax = 4 * 1024 * 1024
/** Far above any clock. What says more is a lie: it is not to drive the tokens of this device to where numbers end. */
const tokenMax = 2 ** 50
/** How long an agent waits after a restart for those who have copies of it. */
const copiesAskedMs = 3_000

export class AgentCopies {
  readonly #deps: MovesDeps
  /** Agents that wait for a word of those who have copies of them, before they go on. */
  readonly #held = new Map<string, Held>()
  /** How often somebody was forgotten: other devices are to have what is left. */
  #forgets = 0
  #forgetting = 0
  #epoch = 0

  constructor(deps: MovesDeps) {
    this.#deps = deps
  }

  /** What may be copied: agents that run, and those that a person stopped, which a copy is not to begin again. */
  copyable(): Copyable[] {
    return this.#deps.store.agents().flatMap(({ name, state, token, turn, grants }) => {
      if ((state !== 'running' && state !== 'stopped') || this.#held.has(name)) return []
      const urgent = `${state} ${grants} ${this.#forgets}`
      return [{ name, mark: `${urgent} ${token} ${turn}`, urgent }]
    })
  }

  /** Copies that others may have, of what is here or was. */
  all(): StoredMove[] {
    return this.#deps.store.moves.all().filter(({ phase }) => phase === 'copied')
  }

  /** Those of an agent that others may begin than `peer`, to which it goes. */
  elsewhere(agent: string, peer: string, mayHold: MayHold): StoredMove[] {
    return this.all().filter(
      (copy) => copy.agent === agent && copy.peer !== peer && mayHold(copy.peer, agent),
    )
  }

  /** Whether there is still something here that a copy may be of. */
  has(name: string): boolean {
    const state = this.#deps.store.agent(name)?.state
    return state === 'running' || state === 'stopped' || state === 'moving'
  }

  /** It, as it is now; it goes on. From now on the other device may have a copy. Throws MoveError, StoreError. */
  copy(name: string, id: string, peer: string, { holds, recording }: Has): Promise<Uint8Array> {
    const { store, clock } = this.#deps
    return this.#deps.next(name, async () => {
      leavable(this.#deps, name)
      const whole = await wholeOf(this.#deps, name, recording && Math.min(recording, recordedMax))
      const bytes = packed(whole, clock.nowMs())
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
    return kept.map(({ agent: name, peer, was }) => {
      return { name, peer, was, startedMs: this.#deps.store.agent(name)?.startedMs ?? 0 }
    })
  }

  /**
   * Erases what is about a person from what agents took along that are kept here, then what this device's own remember (`own`), of which
   * copies are to be made anew. How much went. Throws StoreError, what `own` throws, and where what is kept cannot be read.
   */
  async forget(person: string, own: () => Promise<number>): Promise<number> {
    this.#forgetting += 1
    try {
      return await this.#forget(person, own)
    } finally {
      this.#forgetting -= 1
      this.#epoch += 1
    }
  }

  /** Another one since somebody was forgotten: what was read before may name them. Undefined while somebody is being forgotten. */
  get epoch(): number | undefined {
    return this.#forgetting > 0 ? undefined : this.#epoch
  }

  async #forget(person: string, own: () => Promise<number>): Promise<number> {
    const { store, belongings, next } = this.#deps
    let all = 0
    for (const agent of store.moves.packed())
      await next(agent, async () => {
        const luggage = store.moves.luggage(agent)
        if (!luggage) return
        const { bytes, erased } = belongings.without(agent, luggage, person)
        if (Buffer.compare(bytes, luggage) === 0) return
        store.moves.repack(agent, bytes)
        all += erased
      })
    store.moves.clearAway()
    await store.durable()
    // What is unpacked meanwhile was looked at; a copy that is made before this is over is made once more.
    all += await own()
    this.#forgets += 1
    return all
  }

  /** Whether it goes on only when those answered who have copies of it and may have begun them; or nobody did for some seconds. */
  waits(name: string): boolean {
    const { clock, log } = this.#deps
    if (!this.all().some(({ agent }) => agent === name)) return false
    const letGo = () =>
      this.letGo(name).catch((error) =>
        log.warn('an agent does not go on', { agent: name, reason: moveReason(error) }),
      )
    this.#held.set(name, { over: clock.after(copiesAskedMs, letGo), unbegun: new Set() })
    return true
  }

  isHeld(name: string): boolean {
    return this.#held.has(name)
  }

  /** The other device has its copy of this agent and has not begun it, or nobody says anything. */
  letGo(name: string): Promise<void> {
    if (!this.#unhold(name)) return Promise.resolve()
    return this.#deps.next(name, async () => goOn(this.#deps, name))
  }

  /** A device with a copy of this has not begun it. */
  async notBegun(id: string): Promise<void> {
    const move = this.#deps.store.moves.move(id)
    const held = move?.phase === 'copied' ? this.#held.get(move.agent) : undefined
    if (!move || !held) return
    held.unbegun.add(id)
    const left = this.all().some((copy) => copy.agent === move.agent && !held.unbegun.has(copy.id))
    if (!left) await this.letGo(move.agent)
  }

  /** Whether it waited. */
  #unhold(agent: string): boolean {
    this.#held.get(agent)?.over()
    return this.#held.delete(agent)
  }

  async giveWay(move: StoredMove, token: number, at = move.peer): Promise<void> {
    const { clock, store, log, removed, halt } = this.#deps
    const { agent } = move
    this.#unhold(agent)
    if (!this.has(agent) && store.agent(agent)?.state !== 'failed') return
    await halt(agent)
    const reason = `it went on on ${at} while this device was away: what it did here after its last copy is not known there`
    store.moves.wentOn(move, token, clock.nowMs(), reason)
    await store.durable()
    await removed(agent)
    log.warn('an agent went on elsewhere while this device was away: it gives way', { agent, device: at })
  }

  /** Goes on with it under a token above that of a copy that was not to be begun; the other device lets go of that. */
  async reclaim(move: StoredMove, token: number): Promise<void> {
    const { store, log, halt } = this.#deps
    const { agent, peer } = move
    const stored = store.agent(agent)
    if ((stored?.state !== 'running' && stored?.state !== 'stopped') || token > tokenMax) return
    const what = { agent, device: peer }
    log.warn('a device began a copy of an agent that it was not to begin: it goes on here', what)
    this.#unhold(agent)
    await halt(agent)
    const next = higher(this.#deps.clock, Math.max(token, stored.token))
    await recordOn(this.#deps, agent, next)
    store.moves.begun({ ...move, was: stored.state }, next, 'reclaimed')
    await store.durable()
    goOn(this.#deps, agent)
  }
}
