/**
 * One agent's life: inputs gather, a turn takes them, the turn goes to the disk, and only then what it asks for is done.
 *
 * Invariants: [agent-2] and [agent-3] of `turn.ts`; [life-1] after a kill at any instant the agent goes on after its last turn on
 * the disk, with every call that waited then still waiting; [life-2] a call that may have been begun before is performed as
 * `resumed`; [life-3] the agent's clock never goes back; [life-4] inputs are bounded: a stream loses its oldest item and the
 * agent's log says so, answers are never lost; [life-5] what is no fault of the agent (a thread that died, a disk that is full)
 * does not end it: the turn is taken again; [life-6] when `stop()` has settled nothing of it is under way any more; [life-8] a call's id is
 * used once.
 */
import { type Cancel, type Clock, sleep } from '../../base/clock.ts'
import { withDeadline } from '../../base/deadline.ts'
import { messageOf } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import { backoffMs } from '../../base/retry.ts'
import type { Json } from '../contract.ts'
import type { Recorder } from '../replay/recorder.ts'
import { answerWanted, type Wanted } from '../scheduler/urgency.ts'
import { type Caller, failed, type Outcome, type Performing } from '../service.ts'
import { type AgentStore, type StoredAgent, type StoredCall, StoreError } from '../store/agent-store.ts'
import { type TurnCost, type TurnInput, type TurnOutput, turnLimits } from '../turn.ts'
import { MachineLost, type MachinePool, PoolFull, type Program } from '../vm/machine-pool.ts'
import { AgentClock } from './agent-clock.ts'
import type { ImageSeal } from './image-seal.ts'
import { Inbox } from './inbox.ts'
import { lineageOf } from './lineage.ts'
import { digestOf, LivingMachine } from './living-machine.ts'

/** Who takes a turn next. */
export interface Turns {
  /**
   * Settles when the agent may take a turn; what it gives is called when the turn is over, with what it cost. `brings`: how urgent what
   * waits for the turn is, when that is asked. Throws when `signal` aborts.
   */
  turn(agent: string, signal: AbortSignal, brings: () => readonly Wanted[]): Promise<(cost: TurnCost) => void>
  /** One thing more waits for the turn that the agent may be waiting for. */
  hasten(agent: string, wanted: Wanted): void
}

export interface LifeDeps {
  readonly clock: Clock
  readonly log: Log
  readonly store: AgentStore
  readonly pool: MachinePool
  readonly seal: ImageSeal
  readonly turns: Turns
  /** Decides and performs a call. Never throws. */
  readonly perform: (
    caller: Caller,
    call: StoredCall,
    resumed: boolean,
    emit: Performing['emit'],
    signal: AbortSignal,
  ) => Promise<Outcome>
  /** Told once when the agent has come to its end; not when it was stopped, or when the disk failed. */
  readonly onEnd: (agent: string, state: 'ended' | 'failed', reason: string) => void
}

export interface Life {
  readonly stored: StoredAgent
  readonly program: Program
  /** Where it runs. */
  readonly device: string
  /** Where what happens to it is kept, if anywhere. */
  readonly recorder?: Recorder | undefined
}

/** An image is taken after so many turns, or bytes of inputs: running those again takes well under a second on the slowest board. */
const turnsPerImage = 64
/** The first comes up to so many turns sooner. */
const imagePhases = 48
const bytesPerImage = 1024 * 1024
/** A machine that nothing has happened to for this long is imaged and its memory given back. */
const idleMsMax = 120_000
/** Services end what is aborted at once; one that does not holds up a stop no longer than this. */
const stopMsMax = 5_000
/** Machines lost one after the other: more is no accident. */
const lostMax = 5
const retryDelays = { firstMs: 250, maxMs: 60_000 }
const noCost: TurnCost = { ticks: 0, cpuMs: 0, memoryBytes: 0 }

interface OpenCall {
  readonly call: StoredCall
  readonly controller: AbortController
}

export class AgentLife {
  readonly name: string
  readonly #deps: LifeDeps
  readonly #caller: Caller
  readonly #device: string
  /** Where its program believes that it runs. */
  readonly #believes: string
  readonly #machine: LivingMachine
  readonly #recorder: Recorder | undefined
  readonly #clock: AgentClock
  readonly #inbox = new Inbox()
  readonly #open = new Map<number, OpenCall>()
  /** Also calls that were given up, until their service has ended them. */
  readonly #performing = new Set<Promise<void>>()
  readonly #stop = new AbortController()
  #turn: number
  #lastCall: number
  #imageDue: number
  #bytesSinceImage = 0
  #failures = 0
  #problem: string | undefined
  #running: Promise<void> | undefined
  #stopped: Promise<void> | undefined
  #cancelIdle: Cancel = () => {}

  constructor(deps: LifeDeps, { stored, program, device, recorder }: Life) {
    this.name = stored.name
    this.#deps = deps
    this.#caller = { agent: stored.name, token: stored.token, lineage: lineageOf(stored) }
    this.#device = device
    this.#believes = stored.device
    this.#lastCall = stored.lastCall
    this.#recorder = recorder
    this.#machine = new LivingMachine({ ...deps, recorder }, stored, program)
    this.#clock = new AgentClock(deps.clock, stored.nowMs)
    this.#turn = stored.turn
    // Agents that hear the same each second are not all imaged in the same second: their tokens differ.
    this.#imageDue = this.#machine.imageTurn + turnsPerImage - (stored.token % imagePhases)
  }

  /** Begins, or goes on from what the disk holds. */
  start(): void {
    this.#work(() => this.#begin())
  }

  get turns(): number {
    return this.#turn
  }
  get inMemory(): boolean {
    return this.#machine.inMemory
  }
  /** What keeps it from going on, and will be tried again. */
  get problem(): string | undefined {
    return this.#problem
  }

  /** Stops at the next instant between two turns, keeps an image. What it waited for is waited for again when it goes on. */
  stop(): Promise<void> {
    this.#stopped ??= this.#halt()
    return this.#stopped
  }

  /** Ends every open call for which `verdict` has an outcome: what was granted has changed. */
  reconsider(verdict: (call: StoredCall) => Outcome | undefined): void {
    for (const { call, controller } of [...this.#open.values()]) {
      const outcome = verdict(call)
      if (!outcome) continue
      controller.abort(new Error('it is no longer granted'))
      this.#settle(call.id, outcome)
    }
  }

  async #halt(): Promise<void> {
    this.#giveUp(new Error('the agent is stopped'))
    await this.#running
    const { clock, log } = this.#deps
    await withDeadline(clock, 'ending its calls', stopMsMax, () => Promise.all(this.#performing)).catch(
      (error) =>
        log.warn('a call goes on although its agent was stopped', {
          agent: this.name,
          reason: messageOf(error),
        }),
    )
    await this.#putAway()
  }

  #giveUp(reason: Error): void {
    this.#stop.abort(reason)
    this.#cancelIdle()
    for (const { controller } of this.#open.values()) controller.abort(reason)
    this.#open.clear()
  }

  async #begin(): Promise<void> {
    const { store } = this.#deps
    const calls = store.calls(this.name)
    if (this.#turn === 0) this.#inbox.give({ kind: 'start', device: this.#device })
    else if (this.#believes !== this.#device) this.#inbox.give({ kind: 'moved', device: this.#device })
    if (calls.some(({ begun }) => !begun)) {
      store.begun(this.name)
      await store.durable()
    }
    if (this.#stop.signal.aborted) return
    for (const { call, begun } of calls) this.#perform(call, begun)
  }

  /** One thing at a time is done with the machine; what came meanwhile is taken up behind it. Never rejects. */
  #work(work: () => Promise<void>): void {
    this.#running = this.#guarded(work).then(() => {
      this.#running = undefined
      if (this.#inbox.size > 0) this.#wake()
      else this.#idleLater()
    })
  }

  #wake(): void {
    if (this.#running || this.#stop.signal.aborted) return
    this.#cancelIdle()
    this.#work(() => this.#takeTurns())
  }

  async #takeTurns(): Promise<void> {
    // Everything that happens at one instant is one turn.
    await Promise.resolve()
    while (this.#inbox.size > 0 && !this.#stop.signal.aborted) {
      await this.#takeTurn()
      this.#failures = 0
      this.#problem = undefined
    }
  }

  async #guarded(work: () => Promise<void>): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        await work()
        return
      } catch (error) {
        this.#inbox.back()
        if (!this.#stop.signal.aborted) await this.#failed(error)
      }
    }
  }

  /** Ends the agent, or waits until it is worth another try. */
  async #failed(error: unknown): Promise<void> {
    const reason = messageOf(error)
    if (error instanceof StoreError && !error.retryable) return this.#giveUp(error)
    if (!this.#mayPass(error)) return this.#fail(reason)
    this.#deps.log.warn('an agent waits and tries again', { agent: this.name, reason })
    this.#problem = reason
    const delayMs = backoffMs(this.#failures, retryDelays, this.#deps.clock.random())
    this.#failures += 1
    await sleep(this.#deps.clock, delayMs, this.#stop.signal).catch(() => {})
  }

  #mayPass(error: unknown): boolean {
    if (error instanceof MachineLost) return this.#failures < lostMax
    return error instanceof PoolFull || error instanceof StoreError
  }

  async #takeTurn(): Promise<void> {
    const release = await this.#deps.turns.turn(this.name, this.#stop.signal, () => this.#inbox.wanted)
    let cost = noCost
    try {
      const inputs = this.#inbox.take()
      const nowMs = this.#clock.now()
      const result = await this.#machine.turn(nowMs, inputs)
      cost = result.cost
      // Others compute while this turn goes to the disk.
      release(cost)
      if (!result.ok) return this.#fail(`${result.fault}: ${result.reason}`)
      const [first] = result.output.calls
      // The table of promises is the machine's, and it may lie about what it has asked before.
      if (first && first.id <= this.#lastCall)
        return this.#fail(`output: call ${first.id} was asked before: ids are used once`)
      await this.#commit(nowMs, inputs, result.output)
    } finally {
      release(cost)
    }
  }

  async #commit(nowMs: number, inputs: readonly TurnInput[], output: TurnOutput): Promise<void> {
    const { store } = this.#deps
    const settled = inputs.flatMap((input) => (input.kind === 'settle' ? [input.id] : []))
    const end = output.end && endOf(output.end)
    try {
      store.commit({
        ...{ agent: this.name, turn: this.#turn + 1, nowMs, inputs, digest: digestOf(output) },
        ...{ asked: output.calls, over: [...settled, ...output.cancels], log: this.#logOf(output) },
        ...(end ? { end } : {}),
        held: this.#stop.signal.aborted,
      })
    } catch (error) {
      this.#machine.forget()
      throw error
    }
    this.#turn += 1
    this.#lastCall = output.calls.at(-1)?.id ?? this.#lastCall
    this.#recorder?.turn(this.#turn, { nowMs, inputs, output })
    this.#inbox.kept()
    this.#bytesSinceImage += Buffer.byteLength(JSON.stringify(inputs))
    await store.durable()
    for (const id of output.cancels) this.#leave(id)
    if (end) return this.#over(end.state, end.reason)
    if (this.#stop.signal.aborted) return
    for (const call of output.calls) this.#perform({ ...call, askedMs: nowMs }, false)
    if (this.#turn >= this.#imageDue || this.#bytesSinceImage >= bytesPerImage) await this.#keepImage()
  }

  #logOf({ log, end }: TurnOutput): TurnOutput['log'] {
    const { dropped } = this.#inbox
    const lost = dropped > 0 ? [`${dropped} reports came too fast and were dropped`] : []
    const error = end?.ok === false && !log.some(({ text }) => text === end.error) ? [end.error] : []
    return [...log, ...[...lost, ...error].map((text) => ({ level: 'error' as const, text }))]
  }

  #fail(reason: string): void {
    const { store, log } = this.#deps
    try {
      store.setState(this.name, 'failed', reason)
      store.durable().catch(() => {})
    } catch (error) {
      log.error('that an agent failed is not kept', { agent: this.name, reason: messageOf(error) })
    }
    this.#over('failed', reason)
  }

  #over(state: 'ended' | 'failed', reason: string): void {
    this.#giveUp(new Error(`the agent has ${state}`))
    this.#machine.forget()
    this.#deps.onEnd(this.name, state, reason)
  }

  #perform(call: StoredCall, resumed: boolean): void {
    if (this.#open.size >= turnLimits.openCallsMax) {
      const most = `${turnLimits.openCallsMax} calls wait for an answer already`
      this.#inbox.settle(call.id, failed('limit', most))
      this.#wake()
      return
    }
    const controller = new AbortController()
    this.#open.set(call.id, { call, controller })
    const emit = (value: Json, latest?: string) => this.#emit(call.id, value, latest)
    const over = this.#deps
      .perform(this.#caller, call, resumed, emit, controller.signal)
      .then((outcome) => this.#settle(call.id, outcome))
      .finally(() => this.#performing.delete(over))
    this.#performing.add(over)
  }

  #settle(id: number, outcome: Outcome): void {
    const open = this.#open.get(id)
    if (!open) {
      if (outcome.ok) outcome.unheard?.()
      return
    }
    this.#open.delete(id)
    const wanted = answerWanted(this.#deps.clock, open.call)
    this.#inbox.settle(id, outcome, wanted)
    this.#came(wanted)
  }

  #emit(id: number, value: Json, latest: string | undefined): boolean {
    const open = this.#open.get(id)
    if (!open) return false
    const wanted = answerWanted(this.#deps.clock, open.call)
    const kept = this.#inbox.item(id, value, latest, wanted)
    this.#came(wanted)
    return kept
  }

  #came(wanted: Wanted): void {
    if (this.#running) this.#deps.turns.hasten(this.name, wanted)
    else this.#wake()
  }

  #leave(id: number): void {
    this.#open.get(id)?.controller.abort(new Error('the agent no longer waits'))
    this.#open.delete(id)
    this.#inbox.leave(id)
  }

  async #keepImage(): Promise<void> {
    this.#imageDue = this.#turn + turnsPerImage
    this.#bytesSinceImage = 0
    try {
      await this.#machine.keepImage(this.#turn)
    } catch (error) {
      if (error instanceof MachineLost) this.#machine.forget()
      this.#noImage(error)
    }
  }

  #idleLater(): void {
    this.#cancelIdle()
    if (this.#stop.signal.aborted || !this.#machine.inMemory) return
    this.#cancelIdle = this.#deps.clock.after(idleMsMax, () => {
      if (!this.#running && !this.#stop.signal.aborted) this.#work(() => this.#putAway())
    })
  }

  async #putAway(): Promise<void> {
    if (!this.#machine.inMemory) return
    this.#imageDue = this.#turn + turnsPerImage
    this.#bytesSinceImage = 0
    await this.#machine.putAway(this.#turn).catch((error) => this.#noImage(error))
  }

  /** Its turns are on the disk all the same. */
  #noImage(error: unknown): void {
    this.#deps.log.warn('no image of an agent was kept', { agent: this.name, reason: messageOf(error) })
  }
}

function endOf(end: NonNullable<TurnOutput['end']>): {
  readonly state: 'ended' | 'failed'
  readonly reason: string
} {
  if (!end.ok) return { state: 'failed', reason: end.error }
  return { state: 'ended', reason: end.value === undefined ? '' : JSON.stringify(end.value) }
}
