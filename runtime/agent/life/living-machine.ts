/**
 * The machine of one agent, in memory or on the disk: where it is not in memory it is made again from its image and the turns
 * since, each of which must say again what it said. [life-7] It goes on with the guest that it began with: a device that was updated
 * has another for agents that begin then.
 */
import { createHash } from 'node:crypto'
import { CodedError } from '../../base/errors.ts'
import type { Recorder } from '../replay/recorder.ts'
import type { AgentStore, StoredAgent, StoredTurn } from '../store/agent-store.ts'
import { type TurnInput, type TurnOutput, turnLimits } from '../turn.ts'
import type {
  Guest,
  MachinePool,
  PooledMachine,
  Program,
  ProgramToRun,
  TurnResult,
} from '../vm/machine-pool.ts'
import type { ImageSeal } from './image-seal.ts'

export interface LivingMachineDeps {
  readonly store: AgentStore
  readonly pool: MachinePool
  readonly seal: ImageSeal
  readonly recorder?: Recorder | undefined
}

/** A turn on the disk cannot be taken again: the program, the disk or the engine is not what it was. */
export class ReplayError extends CodedError<'diverged'> {
  override readonly name = 'ReplayError'
}

/** A turn from the disk ended before, perhaps on a quicker board. */
const replayCpuMsMax = 10 * turnLimits.cpuMsMax

export class LivingMachine {
  readonly #deps: LivingMachineDeps
  readonly #stored: StoredAgent
  readonly #run: ProgramToRun
  #machine: PooledMachine | undefined
  #imageTurn: number

  constructor(deps: LivingMachineDeps, stored: StoredAgent, program: Program) {
    this.#deps = deps
    this.#stored = stored
    this.#run = { program, seed: stored.seed }
    this.#imageTurn = deps.store.imageTurn(stored.name)
  }

  get inMemory(): boolean {
    return this.#machine !== undefined
  }

  /** The turn after which the last image was taken. */
  get imageTurn(): number {
    return this.#imageTurn
  }

  /** Throws MachineLost, PoolFull, SealError, ProgramError, ReplayError. After a fault there is no machine. */
  async turn(nowMs: number, inputs: readonly TurnInput[]): Promise<TurnResult> {
    this.#machine ??= await this.#restored()
    const machine = this.#machine
    try {
      const result = await machine.turn(nowMs, inputs)
      if (!result.ok) this.#machine = undefined
      return result
    } catch (error) {
      this.forget()
      throw error
    }
  }

  /** What it has come to is on no disk: the next turn begins from there. */
  forget(): void {
    void this.#machine?.drop()
    this.#machine = undefined
  }

  /** Keeps what it is after `turn`. Throws MachineLost, StoreError. */
  async keepImage(turn: number): Promise<void> {
    const machine = this.#machine
    if (!machine || turn === this.#imageTurn) return
    const { store, seal, recorder } = this.#deps
    const image = await machine.image()
    // The turns that the image includes cannot be taken again.
    await recorder?.durable()
    await store.keepImage(this.#stored.name, turn, seal.close(image, this.#stored.program))
    this.#imageTurn = turn
  }

  /** Keeps its image and gives its memory back. */
  async putAway(turn: number): Promise<void> {
    try {
      await this.keepImage(turn)
      await this.#deps.store.durable()
    } finally {
      this.forget()
    }
  }

  /** The guest that it began with: another one would not say again what that one said [life-7]. */
  #ownGuest(): { readonly guest?: Guest } {
    const { store, pool } = this.#deps
    const text = store.guest(this.#stored.guest)
    if (text === undefined)
      throw new ReplayError('diverged', 'the guest that it began with is not on the disk')
    return text === pool.guest ? {} : { guest: JSON.parse(text) }
  }

  async #restored(): Promise<PooledMachine> {
    const { store, pool, seal, recorder } = this.#deps
    const { name, program, startedMs } = this.#stored
    const sealed = await store.readImage(name)
    const turns = store.turns(name)
    const first = store.imageTurn(name)
    if (
      turns.some(({ turn }, index) => turn !== first + index + 1) ||
      first + turns.length !== store.agent(name)?.turn
    )
      throw new ReplayError('diverged', 'some of its turns are not on the disk')
    const machine = sealed
      ? await pool.restore(this.#run, await seal.open(sealed, program))
      : await pool.create({ ...this.#run, ...this.#ownGuest() }, startedMs)
    try {
      for (const turn of turns) {
        const output = await replay(machine, turn)
        recorder?.turn(turn.turn, { ...turn, output })
      }
      return machine
    } catch (error) {
      void machine.drop()
      throw error
    }
  }
}

async function replay(
  machine: PooledMachine,
  { turn, nowMs, inputs, digest }: StoredTurn,
): Promise<TurnOutput> {
  const result = await machine.turn(nowMs, inputs, replayCpuMsMax)
  if (!result.ok)
    throw new ReplayError('diverged', `turn ${turn} cannot be run again: ${result.fault}: ${result.reason}`)
  if (digestOf(result.output) !== digest)
    throw new ReplayError('diverged', `diverged: turn ${turn} does not say again what it said`)
  return result.output
}

/** SHA-256, hex. */
export function digestOf(output: TurnOutput): string {
  return createHash('sha256').update(JSON.stringify(output)).digest('hex')
}
