/**
 * The agents of this device: installed, begun, stopped, listed. Each that runs has a life; after a restart those that were running
 * go on. Who may do what is decided before a service is asked, and a call that nobody serves says so.
 *
 * Invariants: [agents-1] one agent of a name; [agents-2] an agent that was running when the device ended is running when it is
 * back, without being asked; [agents-3] no service hears of a call that was not allowed; [agents-4] what an agent was granted is what
 * a person said last, at once, also for calls that wait; [agents-6] what is asked of one agent is done one after the other;
 * [agents-7] an agent that failed begins anew as often as it was allowed, later each time, and else says why it does not; [agents-8] one that
 * is resumed goes on, and where nothing is left to go on begins anew; [agents-9] one that is stopped does nothing any more, also where the
 * disk does not take that it was.
 */
import type { Clock } from '../base/clock.ts'
import { CodedError, messageOf } from '../base/errors.ts'
import type { Identity } from '../base/identity.ts'
import type { Log } from '../base/log.ts'
import { AgentLife, type Turns } from './life/agent-life.ts'
import { failureCode } from './life/failure-code.ts'
import { ImageSeal } from './life/image-seal.ts'
import { Restarts } from './life/restarts.ts'
import { AgentMoves } from './move/agent-moves.ts'
import type { Belongings } from './move/leaving.ts'
import { carryOff, carryOffAll, type RemovingDeps } from './removing.ts'
import type { Recordings } from './replay/recordings.ts'
import { type Caller, failed, type Outcome, type Performing, type Service } from './service.ts'
import { stopped, stoppedAfter } from './stopping.ts'
import { AgentStore, type StoredAgent, type StoredCall } from './store/agent-store.ts'
import type { Call, CallOp } from './turn.ts'
import { MachinePool, type Program } from './vm/machine-pool.ts'

export type AgentErrorCode = 'not-found' | 'duplicate' | 'limit' | 'state' | 'closing'
export class AgentError extends CodedError<AgentErrorCode> {
  override readonly name = 'AgentError'
}

/** A program that was checked and may be installed. */
export interface Installable {
  readonly name: string
  /** SHA-256 of `bytes`, hex. */
  readonly hash: string
  /** The bundle as it came: what is kept. */
  readonly bytes: Uint8Array
  /** How often in an hour it begins anew where it failed. Absent: never. */
  readonly restartsMax?: number
}

export interface AgentsDeps {
  readonly clock: Clock
  readonly log: Log
  readonly identity: Identity
  /** The program in a bundle that is on the disk. Throws where it is not as it was. */
  readonly programOf: (bundle: Uint8Array) => Program
  readonly services: readonly Service[]
  /** Decides whether a call may be performed; waits for people where a grant says so. */
  readonly decide: (caller: Caller, call: StoredCall, grants: string, signal: AbortSignal) => Promise<Verdict>
  /** What to answer a call that was allowed and under these grants no longer is. Asks nobody, counts nothing. */
  readonly revoked: (caller: Caller, call: StoredCall, grants: string) => Outcome | undefined
  readonly turns: Turns
  /** Where runs are recorded of which somebody wants it. */
  readonly recordings?: Recordings
  /** What agents take along that move; absent: none moves. */
  readonly belongings?: Belongings
  /** Erases all else that an agent left which was removed; on the disk when it resolves. Throws StoreError. */
  readonly removed?: RemovingDeps['removed']
  /** Told when something was done with an agent, or it has come to its end. */
  readonly changed?: () => void
}

export type Verdict = Allowed | { readonly allow: false; readonly outcome: Outcome }

interface Allowed {
  readonly allow: true
  /** Whether an item of a stream may still be handed on: a grant may be for some hours only. */
  readonly passes?: () => boolean
  /** Told how the call ended, and says what the agent hears of it. */
  readonly over?: (outcome: Outcome) => Outcome
}

export interface AgentsOptions {
  readonly directory: string
  readonly threadsMax: number
  /** Agents installed here. */
  readonly agentsMax: number
  /** What they keep on the disk, all together. */
  readonly bytesMax: number
}

export interface AgentStatus
  extends Pick<StoredAgent, 'name' | 'state' | 'reason' | 'token' | 'startedMs' | 'program' | 'grants'> {
  readonly turns: number
  /** What it waits for. */
  readonly waiting: readonly CallOp[]
  readonly inMemory: boolean
  /** What keeps one that is running from going on. */
  readonly problem: string | undefined
}

export class Agents implements AsyncDisposable {
  readonly #deps: AgentsDeps
  readonly #options: AgentsOptions
  readonly #store: AgentStore
  readonly #seal: ImageSeal
  /** Where programs are loaded: also to see what one is before it is installed. */
  readonly pool: MachinePool
  readonly #moves: AgentMoves | undefined
  readonly #services: ReadonlyMap<CallOp, Service>
  readonly #lives = new Map<string, AgentLife>()
  /** The last thing asked of each agent, until it is done. */
  readonly #tasks = new Map<string, Promise<unknown>>()
  readonly #restarts: Restarts
  #closing: Promise<void> | undefined

  /** Opens what is on the disk; agents that were running go on. Throws where the disk cannot be used. */
  static async open(deps: AgentsDeps, options: AgentsOptions, signal: AbortSignal): Promise<Agents> {
    signal.throwIfAborted()
    const { store, recoveredFrom } = await AgentStore.open(options, deps.clock.nowMs())
    if (recoveredFrom)
      deps.log.error('what agents left could not be read: it was put aside, and none runs', { recoveredFrom })
    const agents = new Agents(deps, options, store)
    await carryOffAll({ ...deps, store }, agents.#deps.log)
    for (const stored of store.agents()) {
      // Where others have copies of it they are asked first.
      if (stored.state === 'running' && !agents.#moves?.copies.waits(stored.name)) agents.#live(stored)
      if (stored.state === 'failed') agents.#restarts.later(stored)
    }
    return agents
  }

  private constructor(deps: AgentsDeps, options: AgentsOptions, store: AgentStore) {
    const { clock, log, identity, services } = deps
    this.#deps = { ...deps, log: log.named('agents') }
    this.#options = options
    this.#store = store
    this.pool = new MachinePool({ clock, log }, { threadsMax: options.threadsMax })
    this.#seal = new ImageSeal({ engine: this.pool.engine, identity })
    this.#services = new Map(services.flatMap((service) => service.ops.map((op) => [op, service] as const)))
    const anew = (name: string, recent: readonly number[]) =>
      this.#next(name, () => this.#restart(name, recent))
    this.#restarts = new Restarts({ clock, log: this.#deps.log, anew })
    const { belongings, recordings, removed } = deps
    this.#moves =
      belongings &&
      new AgentMoves({
        ...{ clock, log: this.#deps.log, store, seal: this.#seal, belongings, recordings },
        ...{ engine: this.pool.engine, agentsMax: options.agentsMax },
        copyBytesMax: Math.floor(options.bytesMax / 2),
        next: (name, work) => this.#next(name, work),
        halt: (name) => this.#gone(name),
        live: (stored) => this.#live(stored),
        removed: async (name) => removed?.(name),
        carryOff: (name) => this.#carryOff(name),
      })
  }

  /**
   * Keeps a program under its name, with what it may do, and begins it from its start. One of that name that runs is in the way:
   * AgentError `duplicate`. Throws AgentError `limit`.
   */
  run(
    bundle: Installable,
    grants: string,
    { record = this.#deps.recordings?.all ?? false }: { readonly record?: boolean | undefined } = {},
  ): Promise<void> {
    const { name, hash, restartsMax = 0 } = bundle
    return this.#next(name, async () => {
      if (this.#store.removals.of(name)) await this.#carryOff(name)
      const before = this.#store.agent(name)
      if (before) refuseOnItsWay(before)
      if (before?.state === 'running')
        throw new AgentError(
          'duplicate',
          `${name} is running already: stop it first, or run yours under another name with --as`,
        )
      if (!before && this.#store.agents().length >= this.#options.agentsMax)
        throw new AgentError(
          'limit',
          `${this.#options.agentsMax} agents are installed already: remove one first`,
        )
      await this.#gone(name)
      await this.#begin({ name, program: hash, grants, restartsMax, restarts: [] }, bundle.bytes, record)
    })
  }

  /**
   * Goes on where a stopped or failed agent was, or begins it anew where its program ended by an error; `here`: where it has been left
   * on its way between two devices. Settles with whether it began anew. Throws AgentError `not-found`, `state`; MoveError.
   */
  resume(name: string, { here = false }: { readonly here?: boolean | undefined } = {}): Promise<boolean> {
    if (here) return this.moves.seize(name).then(() => false)
    return this.#next(name, async () => {
      const stored = this.#known(name)
      refuseOnItsWay(stored)
      if (stored.state === 'running') throw new AgentError('state', `${name} is running already`)
      if (stored.state === 'ended') throw new AgentError('state', `${name} has ended: run it anew`)
      await this.#gone(name)
      if (this.#isOver(stored)) {
        await this.#anew(stored, [])
        return true
      }
      this.#store.setState(name, 'running', undefined)
      await this.#store.durable()
      this.#live({ ...stored, state: 'running', reason: undefined })
      return false
    })
  }

  /** Stops between two turns. It goes on from there when resumed. Throws AgentError `not-found`. */
  stop(name: string): Promise<void> {
    return this.#next(name, () => this.#stop(name))
  }

  /** Forgets it, and all it left. Throws AgentError `not-found`; StoreError `full`: then it is to be said again. */
  remove(name: string): Promise<void> {
    // One that comes was not this device's yet: the other keeps it when it asks.
    const state = this.#store.agent(name)?.state
    const coming = (state === 'arriving' || state === 'standby') && this.#store.moves.of(name)
    if (coming && this.#moves) return this.#moves.drop(coming.id)
    return this.#next(name, async () => {
      if (!this.#store.removals.of(name)) {
        await this.#stop(name)
        this.#store.removals.begin({ agent: name, runs: true })
        await this.#store.durable()
      }
      await this.#carryOff(name)
    })
  }

  /** What it may do from now on: a call that waits and may no longer be is ended. Throws AgentError `not-found`. */
  grant(name: string, grants: string): Promise<void> {
    return this.#next(name, async () => {
      refuseOnItsWay(this.#known(name))
      this.#store.setGrants(name, grants)
      this.reconsider(name)
      await this.#store.durable()
    })
  }

  /** Ends calls of it that wait and may no longer be. Throws AgentError `not-found`. */
  reconsider(name: string): void {
    const { token, grants } = this.#known(name)
    this.#lives.get(name)?.reconsider((call) => this.#deps.revoked({ agent: name, token }, call, grants))
  }

  /** Agents that go to other devices and come from them. */
  get moves(): AgentMoves {
    if (!this.#moves) throw new AgentError('state', 'no agent leaves this device, and none comes')
    return this.#moves
  }

  runs(name: string): boolean {
    return this.#lives.has(name)
  }

  /** Decides about and performs a call that something does for an agent, as its own. Never throws. */
  performFor(caller: Caller, call: StoredCall, resumed: boolean, signal: AbortSignal): Promise<Outcome> {
    return this.#perform(caller, call, resumed, () => true, signal)
  }

  list(): AgentStatus[] {
    this.#refuseClosing()
    return this.#store.agents().map((stored) => {
      const { name, state, reason, token, startedMs, program, grants, turn } = stored
      const life = this.#lives.get(name)
      const waiting = state === 'running' ? this.#store.calls(name).map(({ call }) => call.op) : []
      const inMemory = life?.inMemory ?? false
      const turns = life?.turns ?? turn
      const asks = state === 'running' && this.#moves?.copies.isHeld(name)
      const problem = asks ? 'it asks the devices that have copies of it' : life?.problem
      return { name, state, reason, token, startedMs, program, grants, turns, waiting, inMemory, problem }
    })
  }

  /** What it may do; nothing where there is no such agent. */
  grantsOf(name: string): string {
    return this.#store.agent(name)?.grants ?? ''
  }

  /** Its bundle, and what it may do. Throws AgentError `not-found`. */
  installed(name: string): { readonly bundle: Uint8Array; readonly grants: string } {
    this.#refuseClosing()
    const { program, grants } = this.#known(name)
    const bundle = this.#store.program(program)
    if (!bundle) throw new AgentError('state', `the program of ${name} is not on the disk`)
    return { bundle, grants }
  }

  /** The last lines of its log, oldest first. Throws AgentError `not-found`. */
  log(name: string, most: number): { atMs: number; level: string; text: string }[] {
    this.#refuseClosing()
    this.#known(name)
    return this.#store.log(name, most)
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#restarts[Symbol.dispose]()
    await Promise.allSettled(this.#tasks.values())
    await Promise.all([...this.#lives.values()].map((life) => life.stop()))
    await this.pool[Symbol.asyncDispose]()
    await this.#deps.recordings?.close()
    await this.#store[Symbol.asyncDispose]()
  }

  #refuseClosing(): void {
    if (this.#closing) throw new AgentError('closing', 'the device is stopping', { retryable: true })
  }

  /** One thing after the other for each name: a stop that is under way ends before the next beginning [agents-6]. */
  #next<T>(name: string, work: () => Promise<T>): Promise<T> {
    const before = this.#tasks.get(name) ?? Promise.resolve()
    const task = before
      .catch(() => {})
      .then(() => {
        this.#refuseClosing()
        return work()
      })
    this.#tasks.set(name, task)
    const forget = () => {
      if (this.#tasks.get(name) === task) this.#tasks.delete(name)
      this.#deps.changed?.()
    }
    task.then(forget, forget)
    return task
  }

  async #begin(
    what: Pick<StoredAgent, 'name' | 'program' | 'grants' | 'restartsMax' | 'restarts'>,
    bundle: Uint8Array,
    record: boolean,
  ): Promise<void> {
    const { clock } = this.#deps
    const nowMs = clock.nowMs()
    const begun = this.#store.begin(
      {
        ...what,
        ...{ state: 'running', reason: undefined, turn: 0, nowMs, startedMs: nowMs },
        seed: Math.floor(clock.random() * 2 ** 31),
      },
      bundle,
      this.pool.guest,
    )
    await this.#store.durable()
    if (record) this.#record(begun, bundle)
    this.#live(begun)
  }

  #record({ name: agent, token, seed, startedMs }: StoredAgent, bundle: Uint8Array): void {
    const { identity, recordings } = this.#deps
    const [content = ''] = Buffer.from(bundle).toString('utf8').split('\n')
    recordings?.begin({
      ...{ v: 1, run: `${agent}.${token}`, agent, device: identity.device, token, seed, startedMs, content },
      ...{ engine: this.pool.engine, guest: JSON.parse(this.pool.guest) },
    })
  }

  #carryOff(name: string): Promise<void> {
    return carryOff({ ...this.#deps, store: this.#store }, name)
  }

  async #stop(name: string): Promise<void> {
    const stored = this.#known(name)
    refuseOnItsWay(stored)
    const gone = (one: string) => this.#gone(one)
    await stopped({ store: this.#store, restarts: this.#restarts, gone }, stored)
  }

  /** Until nothing of its life is under way: one that has come to its end may still be about to say so. */
  async #gone(name: string): Promise<void> {
    await this.#lives.get(name)?.stop()
    this.#lives.delete(name)
    const token = this.#store.agent(name)?.token
    if (token !== undefined) await this.#deps.recordings?.rested({ agent: name, token })
  }

  #known(name: string): StoredAgent {
    const stored = this.#store.agent(name)
    const move = stored ? undefined : this.#store.moves.of(name)
    const where = move?.phase === 'gone' ? `: it went to ${move.peer}` : ''
    if (!stored) throw new AgentError('not-found', `there is no agent called ${name}${where}`)
    return stored
  }

  #live(stored: StoredAgent): void {
    if (this.#lives.has(stored.name)) return
    this.#restarts.forget(stored.name)
    const { clock, log, identity, programOf, turns } = this.#deps
    try {
      const bundle = this.#store.program(stored.program)
      if (!bundle) throw new Error('its program is not on the disk')
      const deps = {
        ...{ clock, log, turns, store: this.#store, pool: this.pool, seal: this.#seal },
        perform: this.#perform,
        onEnd: (name: string, state: 'ended' | 'failed', reason: string) => this.#ended(name, state, reason),
      }
      const recorder = this.#deps.recordings?.recorderOf({ agent: stored.name, token: stored.token })
      const life = new AgentLife(deps, {
        ...{ stored, program: programOf(bundle), device: identity.device, recorder },
      })
      this.#lives.set(stored.name, life)
      life.start()
    } catch (error) {
      log.error('an agent cannot go on', { agent: stored.name, reason: messageOf(error) })
      this.#store.setState(stored.name, 'failed', messageOf(error))
    }
  }

  readonly #perform = async (
    caller: Caller,
    call: StoredCall,
    resumed: boolean,
    emit: Performing['emit'],
    signal: AbortSignal,
  ): Promise<Outcome> => {
    try {
      const grants = this.grantsOf(caller.agent)
      const verdict = await this.#deps.decide(caller, call, grants, signal)
      if (!verdict.allow) return verdict.outcome
      // A call in a thought is none of its life's: taken back while a person was asked, nothing has ended it.
      const now = this.grantsOf(caller.agent)
      const gone = now === grants ? undefined : this.#deps.revoked(caller, call, now)
      if (gone) return gone
      const { passes = () => true, over = (outcome) => outcome } = verdict
      const passing: Performing['emit'] = (value, latest) => !passes() || emit(value, latest)
      return over(await this.#serve({ caller, call, resumed, askedMs: call.askedMs, emit: passing }, signal))
    } catch (error) {
      return this.#broke(caller, call, error, signal)
    }
  }

  /** Never throws. */
  async #serve(performing: Performing, signal: AbortSignal): Promise<Outcome> {
    const { caller, call } = performing
    const service = this.#services.get(call.op)
    if (!service) return failed('unavailable', `this device has nothing that does ${call.op}`)
    try {
      return await service.perform(performing, signal)
    } catch (error) {
      return this.#broke(caller, call, error, signal)
    }
  }

  #broke(caller: Caller, call: Call, error: unknown, signal: AbortSignal): Outcome {
    if (!signal.aborted)
      this.#deps.log.error('a call failed', { agent: caller.agent, op: call.op, reason: messageOf(error) })
    return failed(signal.aborted ? 'cancelled' : 'failed', `${call.op} failed: ${messageOf(error)}`)
  }

  #ended(name: string, state: 'ended' | 'failed', reason: string): void {
    this.#deps.changed?.()
    this.#lives.delete(name)
    const stored = this.#store.agent(name)
    if (stored) void this.#deps.recordings?.rested({ agent: name, token: stored.token })
    if (state === 'ended') return
    const run = `${name}.${stored?.token ?? ''}`
    this.#deps.log.warn('an agent has failed', { agent: name, run, code: failureCode(reason) })
    if (stored?.state !== 'failed' || this.#restarts.later(stored) || stored.restartsMax === 0) return
    const why = `it began anew ${stored.restartsMax} times within an hour, and may not more often: ${reason}`
    this.#store.setState(name, 'failed', why)
  }

  /** With the program and the grants that it had. */
  async #anew(
    { name, program, grants, restartsMax, token }: StoredAgent,
    restarts: readonly number[],
  ): Promise<void> {
    const bundle = this.#store.program(program)
    if (!bundle) throw new AgentError('state', `the program of ${name} is not on the disk`)
    const record = this.#deps.recordings?.has({ agent: name, token }) ?? false
    await this.#begin({ name, program, grants, restartsMax, restarts }, bundle, record)
  }

  async #restart(name: string, recent: readonly number[]): Promise<void> {
    const stored = this.#store.agent(name)
    // A person was quicker.
    if (stored?.state !== 'failed' || !this.#restarts.has(name)) return
    await this.#anew(stored, [...recent, this.#deps.clock.nowMs()])
  }

  /** Its program ended by an error: nothing in it waits for anything any more, and no turn will ever come. */
  #isOver({ name, state, reason, turn }: StoredAgent): boolean {
    const failed = state === 'failed' || reason?.startsWith(stoppedAfter)
    return failed === true && turn > 0 && this.#store.calls(name).length === 0
  }
}

/** Throws AgentError `state`: while it is neither here nor there, nothing is changed about it. */
function refuseOnItsWay({ name, state, reason }: StoredAgent): void {
  if (state === 'moved' || state === 'arriving' || state === 'standby')
    throw new AgentError(
      'state',
      `${name}: ${reason}; where that device is gone for good, "ganglion agent resume ${name} --here" begins it here`,
    )
  if (state === 'moving') throw new AgentError('state', `${name} is ${reason}: wait until it is there`)
}
