/**
 * One agent's life: inputs gather, a turn takes them, the turn goes to the disk, and only then what it asks for is done.
 *
 * Invariants: [agent-2] and [agent-3] of `turn.ts`; [life-1] after a kill at any instant the agent goes on after its last turn on
 * the disk, with every call that waited then still waiting; [life-2] a call that may have been begun before is performed as
 * `resumed`; [life-3] the agent's clock never goes back; [life-4] inputs are bounded: a stream loses its oldest item and the
 * agent's log says so, answers are never lost.
 */
import { createHash } from 'node:crypto'
import type { Cancel, Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import type { Json } from '../contract.ts'
import type { Caller, Outcome } from '../service.ts'
import type { AgentStore, StoredAgent, StoredCall, StoredTurn } from '../store/agent-store.ts'
import { type TurnCost, type TurnInput, type TurnOutput, turnLimits } from '../turn.ts'
import {
  MachineLost,
  type MachinePool,
  type PooledMachine,
  type Program,
  type ProgramToRun,
  type TurnResult,
} from '../vm/machine-pool.ts'
import type { ImageSeal } from './image-seal.ts'

export interface LifeDeps {
  readonly clock: Clock
  readonly log: Log
  readonly store: AgentStore
  readonly pool: MachinePool
  readonly seal: ImageSeal
  /** Waits until the agent may take a turn; what is returned is called when the turn is over, with what it cost. */
  readonly turn: (agent: string, signal: AbortSignal) => Promise<(cost: TurnCost) => void>
  /** Decides and performs a call. Never throws. */
  readonly perform: (
    caller: Caller,
    call: StoredCall,
    resumed: boolean,
    emit: (value: Json) => boolean,
    signal: AbortSignal,
  ) => Promise<Outcome>
  /** Told once when the agent has come to its end. */
  readonly onEnd: (agent: string, state: 'ended' | 'failed', reason: string) => void
}

/** An image is taken after so many turns: running that many again takes well under a second on the slowest board. */
const turnsPerImage = 64
/** A machine that nothing has happened to for this long is imaged and its memory given back. */
const idleMsMax = 120_000
/** Inputs of one turn: the rest waits for the next, so that others have theirs. */
const inputsPerTurn = 32
/** A turn from disk ended before, perhaps on a quicker board. */
const replaySlack = 10

interface OpenCall {
  readonly controller: AbortController
  readonly stream: boolean
}

export class AgentLife {
  readonly name: string
  readonly #deps: LifeDeps
  readonly #stored: StoredAgent
  readonly #program: Program
  readonly #device: string
  readonly #inputs: TurnInput[] = []
  readonly #open = new Map<number, OpenCall>()
  readonly #stop = new AbortController()
  #machine: PooledMachine | undefined
  #turn: number
  #nowMs: number
  #imageTurn: number
  #dropped = 0
  #running: Promise<void> | undefined
  #cancelIdle: Cancel = () => {}
  /** Added to the wall clock while that stands behind what the agent has seen. */
  #aheadMs = 0

  constructor(
    deps: LifeDeps,
    { stored, program, device }: { stored: StoredAgent; program: Program; device: string },
  ) {
    this.name = stored.name
    this.#deps = deps
    this.#stored = stored
    this.#program = program
    this.#device = device
    this.#turn = stored.turn
    this.#nowMs = stored.nowMs
    this.#imageTurn = deps.store.image(stored.name)?.turn ?? 0
  }

  /** Begins, or goes on from what the disk holds. */
  start(): void {
    const calls = this.#deps.store.calls(this.name)
    if (this.#turn === 0) this.#give({ kind: 'start', device: this.#device })
    for (const call of calls) this.#perform(call, true)
  }

  /** The agent's own now: the wall clock, but never earlier than before. */
  now(): number {
    const wallMs = this.#deps.clock.nowMs() + this.#aheadMs
    if (wallMs < this.#nowMs) this.#aheadMs += this.#nowMs - wallMs
    this.#nowMs = Math.max(this.#nowMs, wallMs)
    return this.#nowMs
  }

  get turns(): number {
    return this.#turn
  }
  get waiting(): readonly number[] {
    return [...this.#open.keys()]
  }
  get inMemory(): boolean {
    return this.#machine !== undefined
  }

  /** Stops at the next instant between two turns, keeps an image. What it waited for is waited for again when it goes on. */
  async stop(): Promise<void> {
    this.#stop.abort(new Error('the agent is stopped'))
    this.#cancelIdle()
    for (const { controller } of this.#open.values()) controller.abort(this.#stop.signal.reason)
    await this.#running
    await this.#putAway().catch((error) =>
      this.#deps.log.warn('no image was kept; its turns are', {
        agent: this.name,
        reason: messageOf(error),
      }),
    )
  }

  #give(input: TurnInput): void {
    if (this.#stop.signal.aborted) return
    this.#inputs.push(input)
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined
    })
  }

  /** An item of a stream: with a full queue the oldest item goes. */
  #emit(id: number, value: Json): boolean {
    if (!this.#open.has(id)) return false
    const items = this.#inputs.filter(({ kind }) => kind === 'item').length
    let kept = true
    if (items >= turnLimits.inputsMax) {
      const oldest = this.#inputs.findIndex(({ kind }) => kind === 'item')
      this.#inputs.splice(oldest, 1)
      this.#dropped += 1
      kept = false
    }
    this.#give({ kind: 'item', id, value })
    return kept
  }

  async #run(): Promise<void> {
    // Everything that happens at one instant is one turn.
    await Promise.resolve()
    try {
      while (this.#inputs.length > 0 && !this.#stop.signal.aborted) await this.#takeTurn()
      this.#idleLater()
    } catch (error) {
      if (this.#stop.signal.aborted) return
      this.#end('failed', messageOf(error))
    }
  }

  async #takeTurn(): Promise<void> {
    const release = await this.#deps.turn(this.name, this.#stop.signal)
    let cost: TurnCost = { ticks: 0, cpuMs: 0, memoryBytes: 0 }
    try {
      const machine = await this.#present()
      const inputs = this.#inputs.slice(0, inputsPerTurn)
      const nowMs = this.now()
      const result = await machine.turn(nowMs, inputs).catch(asLost)
      if (result === 'lost') {
        this.#machine = undefined
        return
      }
      cost = result.cost
      if (!result.ok) {
        this.#machine = undefined
        return this.#faulted(result)
      }
      this.#inputs.splice(0, inputs.length)
      await this.#committed(nowMs, inputs, result.output)
    } finally {
      release(cost)
    }
  }

  async #committed(nowMs: number, inputs: readonly TurnInput[], output: TurnOutput): Promise<void> {
    const { store } = this.#deps
    const settled = inputs.flatMap((input) => (input.kind === 'settle' ? [input.id] : []))
    const left = output.cancels
    const log = this.#dropped
      ? [
          ...output.log,
          { level: 'error' as const, text: `${this.#dropped} reports came too fast and were dropped` },
        ]
      : output.log
    this.#dropped = 0
    this.#turn += 1
    const digest = digestOf(output)
    const over = [...settled, ...left]
    store.commit({
      ...{ agent: this.name, turn: this.#turn, nowMs, inputs, digest, asked: output.calls, over, log },
    })
    await store.durable()
    for (const id of left) this.#leave(id)
    if (output.end) return this.#ended(output.end)
    for (const call of output.calls) this.#perform({ ...call, askedMs: nowMs }, false)
    if (this.#turn - this.#imageTurn >= turnsPerImage) await this.#keepImage()
  }

  #ended(end: NonNullable<TurnOutput['end']>): void {
    if (end.ok) this.#end('ended', end.value === undefined ? '' : JSON.stringify(end.value))
    else this.#end('failed', end.error)
  }

  #faulted({ fault, reason }: Extract<TurnResult, { ok: false }>): void {
    this.#end('failed', `${fault}: ${reason}`)
  }

  #end(state: 'ended' | 'failed', reason: string): void {
    this.#stop.abort(new Error(`the agent has ${state}`))
    this.#cancelIdle()
    for (const { controller } of this.#open.values()) controller.abort(this.#stop.signal.reason)
    this.#open.clear()
    void this.#machine?.drop()
    this.#machine = undefined
    this.#deps.store.setState(this.name, state, reason)
    this.#deps.onEnd(this.name, state, reason)
  }

  #perform(call: StoredCall, resumed: boolean): void {
    const controller = new AbortController()
    this.#open.set(call.id, { controller, stream: call.stream === true })
    const caller = { agent: this.name, token: this.#stored.token }
    const emit = (value: Json) => this.#emit(call.id, value)
    void this.#deps.perform(caller, call, resumed, emit, controller.signal).then((outcome) => {
      if (this.#stop.signal.aborted || !this.#open.delete(call.id)) return
      this.#give(
        outcome.ok
          ? { kind: 'settle', id: call.id, ok: true, value: outcome.value }
          : { kind: 'settle', id: call.id, ok: false, error: outcome.error },
      )
    })
  }

  #leave(id: number): void {
    this.#open.get(id)?.controller.abort(new Error('the agent no longer waits'))
    this.#open.delete(id)
    for (let at = this.#inputs.length - 1; at >= 0; at -= 1) {
      const input = this.#inputs[at]
      if (input && 'id' in input && input.id === id) this.#inputs.splice(at, 1)
    }
  }

  /** The machine, from memory or from the disk: its image and the turns since. */
  async #present(): Promise<PooledMachine> {
    this.#cancelIdle()
    this.#machine ??= await this.#restored()
    return this.#machine
  }

  async #restored(): Promise<PooledMachine> {
    const { store, pool, seal } = this.#deps
    const { seed, startedMs } = this.#stored
    const run: ProgramToRun = { program: this.#program, seed, cpuMsMax: turnLimits.cpuMsMax * replaySlack }
    const kept = store.image(this.name)
    const machine = kept
      ? await pool.restore(run, seal.open(kept.sealed, this.#stored.program))
      : await pool.create(run, startedMs)
    for (const turn of store.turns(this.name)) await this.#replay(machine, turn)
    return machine
  }

  async #replay(machine: PooledMachine, { turn, nowMs, inputs, digest }: StoredTurn): Promise<void> {
    const result = await machine.turn(nowMs, inputs)
    if (!result.ok) throw new Error(`turn ${turn} cannot be run again: ${result.fault}: ${result.reason}`)
    if (digestOf(result.output) === digest) return
    await machine.drop()
    throw new Error(`diverged: turn ${turn} does not say again what it said`)
  }

  async #keepImage(): Promise<void> {
    const machine = this.#machine
    if (!machine || this.#turn === this.#imageTurn) return
    const turn = this.#turn
    const image = await machine.image()
    this.#deps.store.keepImage(this.name, turn, this.#deps.seal.close(image, this.#stored.program))
    this.#imageTurn = turn
  }

  #idleLater(): void {
    this.#cancelIdle()
    if (this.#stop.signal.aborted || !this.#machine) return
    this.#cancelIdle = this.#deps.clock.after(idleMsMax, () => {
      if (this.#running) return
      this.#running = this.#putAway()
        .catch((error) =>
          this.#deps.log.warn('an idle agent stays in memory', {
            agent: this.name,
            reason: messageOf(error),
          }),
        )
        .finally(() => {
          this.#running = undefined
          if (this.#inputs.length > 0) this.#give(this.#inputs.pop() as TurnInput)
        })
    })
  }

  async #putAway(): Promise<void> {
    const machine = this.#machine
    if (!machine) return
    await this.#keepImage()
    this.#machine = undefined
    await machine.drop()
    await this.#deps.store.durable()
  }
}

/** A machine that is gone is restored and the turn taken again: it never was. */
function asLost(error: unknown): 'lost' {
  if (error instanceof MachineLost) return 'lost'
  throw error
}

function digestOf(output: TurnOutput): string {
  return createHash('sha256').update(JSON.stringify(output)).digest('hex')
}
