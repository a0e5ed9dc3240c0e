/**
 * Machines of agents, spread over a few threads. A thread that answers nothing for `hungMsMax`, or dies, is replaced when next
 * needed: the machine whose turn it was has the fault `hung`, the others are lost and restored by whoever held them.
 *
 * Invariants: [vm-5] a thread starts when its first machine does, and one without machines ends after a while; [vm-6] every
 * call settles: with its answer, with a fault, or with MachineLost; [vm-7] nothing is handed to a machine that has faulted;
 * [vm-8] there are never more machines than `machinesMax`, nor threads than `threadsMax`.
 */
import { createHash } from 'node:crypto'
import { Worker } from 'node:worker_threads'
import type { Cancel, Clock } from '../../base/clock.ts'
import { CodedError, messageOf } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import { type TurnInput, turnLimits } from '../turn.ts'
import { readEngineFiles } from './engine-files.ts'
import type { TurnResult } from './machine.ts'
import type {
  MachineAnswer,
  MachinesInit,
  Numbered,
  PackedImage,
  ProgramToRun,
  ToMachines,
} from './messages.ts'
import { ProgramError } from './program-error.ts'

export type { Guest, Program, TurnResult } from './machine.ts'
export type { PackedImage, ProgramToRun } from './messages.ts'
export { ProgramError } from './program-error.ts'

/** The machine is gone for no fault of its own: its thread ended, or its machine was dropped. Restore it and go on. */
export class MachineLost extends CodedError<'lost'> {
  override readonly name = 'MachineLost'
}

/** There are as many machines as there may be. */
export class PoolFull extends CodedError<'limit'> {
  override readonly name = 'PoolFull'
}

export interface MachinePoolOptions {
  /** Threads: about 10 MB each. */
  readonly threadsMax: number
  /** Machines in memory: about 0.7 MB each before they keep anything. */
  readonly machinesMax?: number
  readonly hungMsMax?: number
  /** A thread without machines ends after this long, milliseconds. */
  readonly idleMs?: number
}

const defaults = { machinesMax: 1_000, hungMsMax: turnLimits.hungMsMax, idleMs: 60_000 }
/** The guest's call guard is at 128 KB of its own stack, which costs the host about ten times as much. */
const resourceLimits = { stackSizeMb: 8 }

interface Thread {
  readonly worker: Worker
  readonly machines: Set<PooledMachine>
  /** Calls not answered yet, oldest first: the thread works on the first. */
  readonly calls: Map<number, Pending>
  /** Something: what fails before that is no program's fault. */
  answered: boolean
  cancelWatch: Cancel
  cancelIdle: Cancel
}

interface Pending {
  readonly machine: PooledMachine
  readonly kind: ToMachines['kind']
  resolve(answer: MachineAnswer): void
  reject(error: unknown): void
}

export class MachinePool implements AsyncDisposable {
  readonly #clock: Clock
  readonly #log: Log
  readonly #options: Required<MachinePoolOptions>
  readonly #init: MachinesInit
  readonly #threads = new Set<Thread>()
  #calls = 0
  #machines = 0
  #closed = false

  constructor(deps: { readonly clock: Clock; readonly log: Log }, options: MachinePoolOptions) {
    this.#clock = deps.clock
    this.#log = deps.log.named('agents')
    this.#options = { ...defaults, ...options }
    this.#init = readEngineFiles()
    const { wasm, guest } = this.#init
    this.engine = createHash('sha256').update(wasm).digest('hex')
    this.guest = JSON.stringify(guest)
  }

  /** SHA-256 of the engine, hex: an image runs on no other. */
  readonly engine: string
  /** JSON of the guest that a program begins with where it names no other. */
  readonly guest: string

  get threads(): number {
    return this.#threads.size
  }

  get machines(): number {
    let count = 0
    for (const { machines } of this.#threads) count += machines.size
    return count
  }

  /** Loads a program. Throws ProgramError, MachineLost, PoolFull. */
  async create(run: ProgramToRun, nowMs: number): Promise<PooledMachine> {
    const machine = this.#place()
    const said = await this.#ask(machine, { kind: 'create', machine: machine.id, run, nowMs })
    return machine.opened(said.kind === 'created' ? said.manifest : '')
  }

  /** The machine of an image, of the same program. Throws MachineLost, PoolFull, or Error where the image cannot be read. */
  async restore(run: ProgramToRun, image: PackedImage): Promise<PooledMachine> {
    const machine = this.#place()
    await this.#ask(machine, { kind: 'restore', machine: machine.id, run, image })
    return machine
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    const threads = [...this.#threads]
    for (const thread of threads) this.#end(thread, 'the device is stopping')
    await Promise.all(threads.map(({ worker }) => worker.terminate()))
  }

  /** Puts a machine where the fewest are; starts a thread as long as there may be more. */
  #place(): PooledMachine {
    if (this.#closed) throw new MachineLost('lost', 'the device is stopping')
    const { machinesMax } = this.#options
    if (this.machines >= machinesMax)
      throw new PoolFull('limit', `there are ${machinesMax} agents in memory, as many as there may be`)
    const [emptiest] = [...this.#threads].sort((left, right) => left.machines.size - right.machines.size)
    const fits = emptiest && (emptiest.machines.size === 0 || this.#threads.size >= this.#options.threadsMax)
    const thread = fits ? emptiest : this.#startThread()
    thread.cancelIdle()
    this.#machines += 1
    const machine: PooledMachine = new PooledMachine(this.#machines, {
      ask: (body) => this.#ask(machine, body),
      forget: () => this.#forget(thread, machine),
    })
    thread.machines.add(machine)
    return machine
  }

  #startThread(): Thread {
    const worker = new Worker(new URL('./machines-worker.ts', import.meta.url), {
      workerData: this.#init,
      resourceLimits,
      name: 'agents',
    })
    const thread: Thread = {
      worker,
      machines: new Set(),
      calls: new Map(),
      answered: false,
      cancelWatch: () => {},
      cancelIdle: () => {},
    }
    this.#threads.add(thread)
    worker.on('message', ({ call, body }: Numbered<MachineAnswer>) => this.#answered(thread, call, body))
    worker.on('error', (error) => this.#died(thread, messageOf(error)))
    worker.on('exit', () => this.#died(thread, 'it ended'))
    return thread
  }

  async #ask(machine: PooledMachine, body: ToMachines): Promise<MachineAnswer> {
    const thread = [...this.#threads].find(({ machines }) => machines.has(machine))
    if (!thread) throw new MachineLost('lost', 'the machine is gone')
    this.#calls += 1
    const call = this.#calls
    const said = await new Promise<MachineAnswer>((resolve, reject) => {
      thread.worker.postMessage({ call, body } satisfies Numbered<ToMachines>)
      thread.calls.set(call, { machine, kind: body.kind, resolve, reject })
      if (thread.calls.size === 1) this.#watch(thread)
    })
    if (said.kind !== 'failed') return said
    this.#forget(thread, machine)
    throw said.program ? new ProgramError(said.reason) : new Error(said.reason)
  }

  #answered(thread: Thread, call: number, body: MachineAnswer): void {
    const pending = thread.calls.get(call)
    thread.answered = true
    thread.calls.delete(call)
    thread.cancelWatch()
    if (thread.calls.size > 0) this.#watch(thread)
    if (body.kind === 'turned' && !body.result.ok && pending) this.#forget(thread, pending.machine)
    pending?.resolve(body)
  }

  /** In two halves: where our own thread stood still meanwhile, the answer lies there and is read between them. */
  #watch(thread: Thread): void {
    const { hungMsMax } = this.#options
    thread.cancelWatch = this.#clock.after(hungMsMax / 2, () => {
      thread.cancelWatch = this.#clock.after(hungMsMax / 2, () =>
        this.#died(thread, `it answers nothing for ${hungMsMax} ms`),
      )
    })
  }

  /** Whoever's turn it was is to blame: were it only lost, it would be restored and end the next thread as well. */
  #died(thread: Thread, reason: string): void {
    if (!this.#threads.has(thread)) return
    this.#log.error('a thread of agents is gone', { reason, machines: thread.machines.size })
    const [working] = thread.calls.values()
    if (working?.kind === 'turn') {
      const cost = { ticks: 0, cpuMs: this.#options.hungMsMax, memoryBytes: 0 }
      const result = {
        ok: false,
        fault: 'hung',
        reason: `its turn took its thread along: ${reason}`,
        cost,
      } as const
      working.resolve({ kind: 'turned', result })
    } else if (working?.kind === 'create' && thread.answered)
      working.reject(new ProgramError(`loading the program took its thread along: ${reason}`))
    this.#end(thread, `its thread is gone: ${reason}`)
  }

  #forget(thread: Thread, machine: PooledMachine): void {
    if (!thread.machines.delete(machine) || thread.machines.size > 0) return
    thread.cancelIdle = this.#clock.after(this.#options.idleMs, () => this.#end(thread, 'nothing to do'))
  }

  #end(thread: Thread, reason: string): void {
    if (!this.#threads.delete(thread)) return
    thread.cancelWatch()
    thread.cancelIdle()
    thread.machines.clear()
    for (const { reject } of thread.calls.values()) reject(new MachineLost('lost', reason))
    thread.calls.clear()
    void thread.worker.terminate()
  }
}

interface MachineThread {
  ask(body: ToMachines): Promise<MachineAnswer>
  forget(): void
}

/** A machine somewhere in the pool. One call at a time is the caller's to keep. */
export class PooledMachine {
  readonly id: number
  readonly #thread: MachineThread
  #manifest = ''

  constructor(id: number, thread: MachineThread) {
    this.id = id
    this.#thread = thread
  }

  opened(manifest: string): this {
    this.#manifest = manifest
    return this
  }

  /** The agent's definition without its code, as JSON that nobody has checked yet; empty where it was restored. */
  get manifest(): string {
    return this.#manifest
  }

  /**
   * Throws MachineLost. After a fault the machine is gone. `cpuMsMax` for this turn alone: one from disk has ended before,
   * perhaps on a quicker board.
   */
  async turn(nowMs: number, inputs: readonly TurnInput[], cpuMsMax?: number): Promise<TurnResult> {
    const limit = cpuMsMax === undefined ? {} : { cpuMsMax }
    const said = await this.#thread.ask({ kind: 'turn', machine: this.id, nowMs, inputs, ...limit })
    if (said.kind !== 'turned') throw new Error(`a turn was answered with ${said.kind}`)
    return said.result
  }

  /** Throws MachineLost. */
  async image(): Promise<PackedImage> {
    const said = await this.#thread.ask({ kind: 'image', machine: this.id })
    if (said.kind !== 'imaged') throw new Error(`an image was answered with ${said.kind}`)
    return said.image
  }

  /** Gives its memory back. Idempotent. */
  async drop(): Promise<void> {
    await this.#thread.ask({ kind: 'drop', machine: this.id }).catch(() => {})
    this.#thread.forget()
  }
}
