/**
 * One agent's machine: QuickJS in WebAssembly, sealed. It has no host functions; its clock stands still during a turn and its
 * randomness comes from a seed, so a turn is a pure function of its memory and its input, the same on every processor.
 *
 * Invariants: [vm-1] a turn that faults leaves no machine behind: whoever held it must throw it away; [vm-2] a machine restored
 * from an image answers every later turn as the one that was imaged would; [vm-3] an image is taken between turns only;
 * [vm-4] nothing that an agent does to its built-ins reaches the host: all that comes out is one text, parsed and checked.
 *
 * The engine's own limits are catchable in the program (out of memory, call stack: the depth is the same everywhere); ticks are
 * not. The host's stack is deep enough for the engine's guard to come first; where it does not, that is the fault `stack`.
 */
import { EvalFlags, JSValueHandle, QuickJS, type QuickJSOptions } from 'quickjs-wasi'
import { messageOf } from '../../base/errors.ts'
import { type TurnCost, type TurnFault, type TurnInput, type TurnOutput, turnLimits } from '../turn.ts'
import { ProgramError } from './program-error.ts'
import { readOutput } from './read-output.ts'

/** An agent's program: modules by name, `./night-watch.js`; which one is its own. */
export interface Program {
  readonly entry: string
  readonly modules: Readonly<Record<string, string>>
}

/** What runs in every machine before its program, by the names of its modules: `ganglion:guest`, and what that imports. */
export type Guest = { readonly 'ganglion:guest': string } & { readonly [module: string]: string }

export interface MachineOptions {
  /** QuickJS, compiled once for all machines of a thread. */
  readonly wasm: QuickJSOptions['wasm']
  readonly guest: Guest
  readonly program: Program
  /** Seed of its randomness: any 32 bits. */
  readonly seed: number
  readonly memoryBytesMax?: number
  readonly ticksMax?: number
  /** CPU time of a turn that names none of its own. */
  readonly cpuMsMax?: number
}

export type TurnResult =
  | { readonly ok: true; readonly output: TurnOutput; readonly cost: TurnCost }
  | { readonly ok: false; readonly fault: TurnFault; readonly reason: string; readonly cost: TurnCost }

/** Memory of a machine between two turns, and where the guest's functions are in it. */
export interface Image {
  readonly memory: Uint8Array
  readonly take: number
  readonly drain: number
}

class Fault extends Error {
  readonly fault: TurnFault
  constructor(fault: TurnFault, message: string) {
    super(message)
    this.fault = fault
  }
}

/** The engine's guard against deep calls: met long before a worker's own stack ends. */
const guestStackBytesMax = 128 * 1024
/** So short a turn was most likely not interrupted: to ask the kernel would cost more than it tells. */
const wallIsCpuMsMax = 5
/** Promises that are rejected without anybody who waits for them, told to the guest at a turn's end; more are not looked at. */
const lostMax = 1_024
/** What an agent may import besides its own modules. */
const sdkName = 'ganglion'
const sdk = 'export const agent = (definition) => definition\n'
const guestPrefix = 'ganglion:guest'
const sdkSpecifier = /^ganglion$|\/agent\/contract\.(ts|js)$/

export class Machine implements Disposable {
  readonly #options: MachineOptions
  #tokens = { take: 0, drain: 0 }
  #vm!: QuickJS
  #take!: JSValueHandle
  #drain!: JSValueHandle
  #manifest = ''
  #nowMs = 0
  #ticks = 0
  #startMs = 0
  #startCpu = process.threadCpuUsage()
  #cpuMsMax: number = turnLimits.cpuMsMax
  /** Promises rejected in this turn that nothing waits for yet, by their address. Empty between turns. */
  readonly #lost = new Map<number, { readonly promise: JSValueHandle; readonly reason: JSValueHandle }>()
  /** Why the turn under way must end: thrown through the engine, which is then worth nothing. */
  #fault: Fault | undefined

  private constructor(options: MachineOptions) {
    this.#options = options
  }

  /** Loads the program, within the ticks of one turn. Throws ProgramError. */
  static async create(options: MachineOptions, nowMs: number): Promise<Machine> {
    const machine = new Machine(options)
    machine.#begin()
    // The engine takes the clock at its birth for the seed of its randomness, and only there.
    machine.#nowMs = options.seed
    machine.#vm = await QuickJS.create(machine.#engineOptions())
    machine.#nowMs = nowMs
    try {
      await machine.#load()
      return machine
    } catch (error) {
      machine[Symbol.dispose]()
      throw error instanceof ProgramError ? error : new ProgramError(messageOf(error), { cause: error })
    }
  }

  /** The machine of an image of the same program, guest and WebAssembly module: check that before. */
  static async restore(options: MachineOptions, { memory, take, drain }: Image): Promise<Machine> {
    const machine = new Machine(options)
    machine.#vm = await QuickJS.restore(QuickJS.deserializeSnapshot(memory), machine.#engineOptions())
    // The very handles that lie in the image: `importHandle` would make new ones, and memory would tell that it was restored.
    machine.#take = new JSValueHandle(machine.#vm, take)
    machine.#drain = new JSValueHandle(machine.#vm, drain)
    machine.#tokens = { take, drain }
    return machine
  }

  /** The agent's definition without its code, as JSON that nobody has checked yet. */
  get manifest(): string {
    return this.#manifest
  }

  /** One turn: takes the inputs, runs until nothing is left to do. Wall-clock `nowMs` is what the program sees as now. */
  turn(nowMs: number, inputs: readonly TurnInput[], cpuMsMax?: number): TurnResult {
    this.#nowMs = nowMs
    this.#begin(cpuMsMax)
    const cost = (memoryBytes: number) => ({
      ticks: this.#ticks,
      cpuMs: this.#cpuMs(),
      memoryBytes,
    })
    try {
      const text = this.#run(JSON.stringify(inputs))
      const read = readOutput(text)
      if (!read.ok) throw new Fault('output', read.reason)
      return { ok: true, output: read.value, cost: cost(this.#vm.getMemoryUsage().memoryUsedSize) }
    } catch (error) {
      const { fault, message } = this.#faultOf(error)
      return { ok: false, fault, reason: message, cost: cost(0) }
    }
  }

  image(): Image {
    const { take, drain } = this.#tokens
    return { memory: QuickJS.serializeSnapshot(this.#vm.snapshot()), take, drain }
  }

  [Symbol.dispose](): void {
    this.#vm.dispose()
  }

  #begin(cpuMsMax = this.#options.cpuMsMax ?? turnLimits.cpuMsMax): void {
    this.#cpuMsMax = cpuMsMax
    this.#startMs = performance.now()
    this.#startCpu = process.threadCpuUsage()
    this.#ticks = 0
  }

  /** What this thread has computed since the turn began; on a busy machine much less than the time that has passed. */
  #cpuMs(): number {
    const passedMs = performance.now() - this.#startMs
    if (passedMs < wallIsCpuMsMax) return passedMs
    const { user, system } = process.threadCpuUsage(this.#startCpu)
    return (user + system) / 1000
  }

  #run(inputs: string): string {
    const vm = this.#vm
    vm.newString(inputs).consume((text) => vm.callFunction(this.#take, this.#take, text).dispose())
    vm.executePendingJobs()
    return this.#withLost((lost) =>
      vm.callFunction(this.#drain, this.#drain, ...lost).consume((text) => text.toString()),
    )
  }

  /** Guests of before take no notice of what they are handed. */
  #withLost<T>(use: (reasons: readonly JSValueHandle[]) => T): T {
    const lost = [...this.#lost.values()]
    this.#lost.clear()
    const result = use(lost.map(({ reason }) => reason))
    for (const { promise, reason } of lost) {
      promise.dispose()
      reason.dispose()
    }
    return result
  }

  /** The promise is kept: another one would have its address. */
  #rejected(promise: JSValueHandle, reason: JSValueHandle, isHandled: boolean): void {
    const { identity } = promise
    if (!isHandled) {
      if (this.#lost.size < lostMax)
        this.#lost.set(identity, { promise: promise.dup(), reason: reason.dup() })
      return
    }
    const found = this.#lost.get(identity)
    this.#lost.delete(identity)
    found?.promise.dispose()
    found?.reason.dispose()
  }

  async #load(): Promise<void> {
    const { guest, program } = this.#options
    const exports = await this.#evaluate('ganglion:guest', guest['ganglion:guest'])
    const load = exports.getProp('load')
    this.#take = exports.getProp('take')
    this.#drain = exports.getProp('drain')
    this.#tokens = { take: this.#vm.exportHandle(this.#take), drain: this.#vm.exportHandle(this.#drain) }
    const source = textOf(program.modules, program.entry)
    if (source === undefined) throw new ProgramError(`there is no ${program.entry} in the program`)
    const module = await this.#evaluate(program.entry, source)
    this.#manifest = this.#withLost((lost) =>
      this.#vm.callFunction(load, load, module, ...lost).consume((text) => text.toString()),
    )
    if (this.#manifest.length > turnLimits.argsBytesMax)
      throw new ProgramError(
        `the manifest has ${this.#manifest.length} bytes, more than the ${turnLimits.argsBytesMax} allowed`,
      )
    for (const handle of [module, load, exports]) handle.dispose()
  }

  async #evaluate(name: string, source: string): Promise<JSValueHandle> {
    const vm = this.#vm
    using promise = vm.evalCode(source, name, EvalFlags.TYPE_MODULE)
    vm.executePendingJobs()
    if (promise.promiseState === 0)
      throw new ProgramError(`${name} waits at its top level for something that never comes`)
    const settled = await vm.resolvePromise(promise)
    if ('error' in settled) {
      const message = settled.error.consume((error) => error.toString())
      throw new ProgramError(`${name}: ${message}`)
    }
    return settled.value
  }

  #engineOptions(): QuickJSOptions {
    const { wasm, seed, memoryBytesMax = turnLimits.memoryBytesMax } = this.#options
    return {
      wasm,
      memoryLimit: memoryBytesMax,
      maxStackSize: guestStackBytesMax,
      timezoneOffset: 0,
      interruptHandler: () => this.#tick(),
      onUnhandledRejection: (...rejection) => this.#rejected(...rejection),
      moduleLoader: {
        normalize: (from, specifier) => resolveModule(from, specifier),
        load: (name) => this.#module(name),
      },
      wasi: (memory) => ({
        clock_time_get: (_clock, _precision, at) => {
          const nanoseconds = BigInt(Math.round(this.#nowMs)) * 1_000_000n
          new DataView(memory.buffer).setBigUint64(at, nanoseconds, true)
          return 0
        },
        random_get: (at, length) => {
          new Uint8Array(memory.buffer, at, length).fill(seed & 0xff)
          return 0
        },
        // What the engine prints when it gives up is no log of anybody's.
        fd_write: () => 0,
      }),
    }
  }

  /** Thrown rather than returned: a program could go on with its next job after an interruption that it was told of. */
  #tick(): boolean {
    this.#ticks += 1
    const { ticksMax = turnLimits.ticksMax } = this.#options
    if (this.#ticks <= ticksMax && this.#cpuMs() <= this.#cpuMsMax) return false
    const spent = this.#ticks > ticksMax ? `${ticksMax} ticks` : `${this.#cpuMsMax} ms`
    this.#fault = new Fault(
      'cpu',
      `more than ${spent} in one turn: an endless loop, or work for several turns`,
    )
    throw this.#fault
  }

  #module(name: string): string {
    if (name === sdkName) return sdk
    const { guest, program } = this.#options
    const source = name.startsWith(guestPrefix) ? textOf(guest, name) : textOf(program.modules, name)
    if (source === undefined) throw noModule(name)
    return source
  }

  #faultOf(error: unknown): { fault: TurnFault; message: string } {
    if (this.#fault) return this.#fault
    if (error instanceof Fault) return error
    if (error instanceof RangeError) return { fault: 'stack', message: 'calls are nested too deep' }
    const message = messageOf(error)
    // Where there is no room for an error either, the engine throws null.
    if (!/memory|^Job execution error: null$/.test(message)) return { fault: 'output', message }
    const { memoryBytesMax = turnLimits.memoryBytesMax } = this.#options
    return { fault: 'memory', message: `more than ${Math.round(memoryBytesMax / 2 ** 20)} MB of memory` }
  }
}

/** A program may ask for `constructor`, which every object has and no program. */
function textOf(modules: Readonly<Record<string, string>>, name: string): string | undefined {
  return Object.hasOwn(modules, name) ? modules[name] : undefined
}

/** Without a stack: it would tell the program where the host's files are, which differs from machine to machine. */
function noModule(name: string): Error {
  const error = new Error(`there is no module ${name} in the program`)
  error.stack = ''
  return error
}

/** `./notes.js` as written in `./lib/a.js` is `./lib/notes.js`; types are stripped, so `.ts` and `.js` name one module. */
export function resolveModule(from: string, specifier: string): string {
  if (from.startsWith(guestPrefix)) return `ganglion:${specifier.slice('./'.length, -'.ts'.length)}`
  // What the guest is made of is for nobody else to import.
  if (specifier.startsWith(guestPrefix)) return `./${specifier}`
  if (sdkSpecifier.test(specifier)) return sdkName
  if (!/^\.{1,2}\//.test(specifier)) return specifier
  const levels = from.split('/').slice(0, -1)
  for (const level of specifier.split('/')) {
    if (level === '..') levels.pop()
    else if (level !== '.') levels.push(level)
  }
  return levels[0] === '.' ? levels.join('/') : `./${levels.join('/')}`
}
