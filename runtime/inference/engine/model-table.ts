/**
 * The models that the engine may run, and those that are loaded. A model loads on first use, once however many ask. Where
 * there is a budget, a load first makes room: the least worth goes (`memory-budget.ts`), and loads again at its next use.
 * One that is unloaded, removed or changed while a request uses it is released after that request.
 *
 * Loads and releases follow each other, so that what one frees is there for the next, and so that what the process grows by
 * meanwhile is the loading model's. A model is counted with what is declared until it was measured: its growth over its load
 * and its first steps, and never less than its files.
 */
import { statSync } from 'node:fs'
import type { Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { EngineMemory, EngineModel, EngineModelStatus } from '../../wire/engine-protocol.ts'
import { InferError } from '../../wire/infer.ts'
import { megabytesOf, type Resident, type Room, roomFor, Uses } from './memory-budget.ts'
import { ModelFigures } from './model-figures.ts'
import { loadPipeline, type ModelSignature, type Pipeline, type PipelineKind } from './pipelines/pipeline.ts'

/** A model of the list. */
interface Entry {
  readonly model: EngineModel
  readonly uses: Uses
  readonly figures: ModelFigures
  /** Loaded, or loading. */
  live?: Live | undefined
  reason?: string | undefined
  measuredMb?: number
  reloadMs: number
}

/** One loading of a model, until it is released. */
interface Live {
  readonly entry: Entry
  readonly opened: Promise<Pipeline>
  pipeline?: Pipeline
  /** Those who use it or wait for it to load. */
  users: number
  /** No longer the entry's: released once nobody uses it. */
  retired: boolean
  released: boolean
  grownMb: number
  measuredSteps: number
}

export interface Use {
  readonly pipeline: Pipeline
  /** Runs one step; measures what the first ones make the process grow by. */
  step<T>(run: () => Promise<T>): Promise<T>
  /** Finished with it. */
  done(): void
}

export interface ModelTableOptions {
  readonly pipelines: readonly PipelineKind[]
  /** Threads of one session, where the model does not say. */
  readonly intraOpThreads: number
  /** What native code holds in this process, megabytes. */
  readonly nativeMb: () => number
  /** Which models make room; by their worth, where not given. */
  readonly roomFor?: typeof roomFor
  readonly onLoaded: (loaded: {
    readonly model: string
    readonly ms: number
    readonly memoryMb: number
    readonly signature: ModelSignature | undefined
  }) => void
  readonly onFailed: (model: string, error: InferError) => void
  readonly onEvicted: (model: string, memoryMb: number) => void
  /** A model is let go: who waits for room may look again. */
  readonly onFreed: () => void
}

/** The encoder and first decoder runs of a transcription; a plain model's arenas stand after one. */
const stepsMeasured = 3
/** Of a model that declares nothing: its weights and packed copies of them, and a session. */
const undeclared = { perFileByte: 1.5, sessionMb: 2 }
const megabyte = 2 ** 20

export class ModelTable {
  readonly #clock: Clock
  readonly #options: ModelTableOptions
  #entries = new Map<string, Entry>()
  readonly #lives = new Set<Live>()
  readonly #room: typeof roomFor
  #budgetMb = Infinity
  /** The load or release that is under way, and those behind it. */
  #last: Promise<unknown> = Promise.resolve()
  #wakeLoads: (() => void)[] = []

  constructor(clock: Clock, options: ModelTableOptions) {
    this.#clock = clock
    this.#options = options
    this.#room = options.roomFor ?? roomFor
  }

  /** Replaces the list. A model that is the same as before stays loaded. */
  set(models: readonly EngineModel[]): void {
    const before = this.#entries
    this.#entries = new Map()
    for (const model of models) {
      const old = before.get(model.name)
      const kept = old && JSON.stringify(old.model) === JSON.stringify(model) ? old : undefined
      this.#entries.set(model.name, kept ?? fresh(model))
      if (kept) before.delete(model.name)
    }
    for (const entry of before.values()) this.#retire(entry)
    this.#freed()
  }

  /** What models may take together, megabytes; undefined: as much as there is. Makes room at once. */
  setBudget(budgetMb: number | undefined): void {
    this.#budgetMb = budgetMb ?? Infinity
    this.#freed()
  }

  modelOf(name: string): EngineModel | undefined {
    return this.#entries.get(name)?.model
  }

  figuresOf(name: string): ModelFigures | undefined {
    return this.#entries.get(name)?.figures
  }

  /** True while `use` would refuse a model that fits once others are let go. */
  blocked(name: string): boolean {
    const entry = this.#entries.get(name)
    if (!entry || entry.live) return false
    const room = this.#roomFor(entry)
    return !room.fits && room.later
  }

  /** Uses a model, loading it where needed. Throws InferError `model-unknown`, `model-load`, `memory`. */
  async use(name: string): Promise<Use> {
    const entry = this.#entry(name)
    entry.uses.add(this.#clock.monotonicMs())
    const live = entry.live ?? this.#admit(entry)
    live.users += 1
    const done = () => {
      live.users -= 1
      this.#releaseUnused(live)
      this.#freed()
    }
    try {
      const pipeline = live.pipeline ?? (await live.opened)
      return { pipeline, step: (run) => this.#measured(live, run), done }
    } catch (error) {
      done()
      throw error
    }
  }

  /** Reports like a first use does, and at once where the model is loaded already. Never throws. */
  async load(name: string): Promise<void> {
    while (this.blocked(name)) await new Promise<void>((resolve) => this.#wakeLoads.push(resolve))
    try {
      const entry = this.#entry(name)
      if (entry.live?.pipeline) this.#reportLoaded(entry, 0, entry.live.pipeline)
      entry.live ??= this.#admit(entry)
      await entry.live.opened
    } catch (error) {
      if (error instanceof InferError && (error.code === 'model-unknown' || error.code === 'memory'))
        this.#options.onFailed(name, error)
    }
  }

  unload(name: string): void {
    const entry = this.#entries.get(name)
    if (!entry) return
    this.#retire(entry)
    this.#freed()
  }

  states(): EngineModelStatus[] {
    return [...this.#entries.values()].map((entry) => ({
      name: entry.model.name,
      state: stateOf(entry),
      ...(entry.reason === undefined ? {} : { reason: entry.reason }),
      figures: entry.figures.status({
        memoryMb: megabytesFor(entry),
        measured: entry.measuredMb !== undefined,
        pinned: entry.model.pin ?? false,
      }),
    }))
  }

  memory(): EngineMemory {
    const residents = this.#residents()
    return {
      ...(this.#budgetMb === Infinity ? {} : { budgetMb: this.#budgetMb }),
      usedMb: megabytesOf(residents),
      pinnedMb: megabytesOf(residents.filter(({ pinned }) => pinned)),
    }
  }

  #entry(name: string): Entry {
    const entry = this.#entries.get(name)
    if (entry) return entry
    const known = [...this.#entries.keys()].join(', ') || 'none'
    throw new InferError('model-unknown', `no model is named ${name}; there are: ${known}`)
  }

  // Room

  #residents(): Resident[] {
    return [...this.#lives].map((live) => ({
      name: live.entry.model.name,
      memoryMb: megabytesFor(live.entry),
      reloadMs: live.entry.reloadMs,
      pinned: live.entry.model.pin ?? false,
      inUse: live.users > 0 || !live.pipeline,
      uses: live.entry.uses,
    }))
  }

  #roomFor(entry: Entry): Room {
    return this.#room(megabytesFor(entry), this.#residents(), this.#budgetMb, this.#clock.monotonicMs())
  }

  /** Makes room and begins to load. */
  #admit(entry: Entry): Live {
    const room = this.#roomFor(entry)
    if (!room.fits)
      throw new InferError('memory', `model ${entry.model.name} ${room.reason}`, { retryable: room.later })
    this.#evict(room.evict)
    const opened = Promise.withResolvers<Pipeline>()
    // Whoever waits hears of it; a load that nobody waits for any more is no fault.
    opened.promise.catch(() => {})
    const live: Live = {
      entry,
      opened: opened.promise,
      users: 0,
      retired: false,
      released: false,
      grownMb: 0,
      measuredSteps: 0,
    }
    entry.live = live
    this.#lives.add(live)
    void this.#inTurn(() => this.#open(live)).then(opened.resolve, opened.reject)
    return live
  }

  /** What is over the budget goes as far as it may: it was measured, or the budget is smaller now. */
  #trim(): void {
    const residents = this.#residents()
    const room = this.#room(0, residents, this.#budgetMb, this.#clock.monotonicMs())
    if (room.fits) this.#evict(room.evict)
    else this.#evict(residents.filter(({ pinned, inUse }) => !pinned && !inUse).map(({ name }) => name))
  }

  #evict(names: readonly string[]): void {
    for (const name of names) {
      const live = [...this.#lives].find((one) => one.entry.model.name === name && one.users === 0)
      if (!live) continue
      this.#retire(live.entry)
      live.entry.figures.evictions += 1
      this.#options.onEvicted(name, megabytesFor(live.entry))
    }
  }

  #freed(): void {
    this.#trim()
    for (const wake of this.#wakeLoads.splice(0)) wake()
    this.#options.onFreed()
  }

  // Loading, measuring, releasing

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work)
    this.#last = done.catch(() => {})
    return done
  }

  async #open(live: Live): Promise<Pipeline> {
    const { entry } = live
    const startMs = this.#clock.monotonicMs()
    const beforeMb = this.#options.nativeMb()
    try {
      const kind = this.#kind(entry.model)
      const pipeline = await loadPipeline(this.#clock, kind, entry.model, this.#options.intraOpThreads)
      live.pipeline = pipeline
      entry.reason = undefined
      entry.reloadMs = this.#clock.monotonicMs() - startMs
      entry.figures.loads += 1
      grew(live, this.#options.nativeMb() - beforeMb)
      if (!live.retired) this.#reportLoaded(entry, entry.reloadMs, pipeline)
      this.#releaseUnused(live)
      // Whoever waits for it is served before it may have to go again.
      if (live.users === 0) this.#trim()
      return pipeline
    } catch (cause) {
      throw this.#loadFailed(live, cause)
    }
  }

  #loadFailed(live: Live, cause: unknown): InferError {
    const { entry } = live
    this.#lives.delete(live)
    if (entry.live === live) entry.live = undefined
    entry.reason = messageOf(cause).slice(0, 4096)
    const error =
      cause instanceof InferError
        ? cause
        : new InferError('model-load', `model ${entry.model.name}: ${entry.reason}`, { cause })
    this.#options.onFailed(entry.model.name, new InferError('model-load', entry.reason))
    return error
  }

  #reportLoaded(entry: Entry, ms: number, { signature }: Pipeline): void {
    this.#options.onLoaded({ model: entry.model.name, ms, memoryMb: megabytesFor(entry), signature })
  }

  async #measured<T>(live: Live, run: () => Promise<T>): Promise<T> {
    if (live.measuredSteps >= stepsMeasured) return run()
    live.measuredSteps += 1
    const beforeMb = this.#options.nativeMb()
    try {
      return await run()
    } finally {
      grew(live, this.#options.nativeMb() - beforeMb)
      this.#trim()
    }
  }

  #retire(entry: Entry): void {
    const { live } = entry
    if (!live) return
    entry.live = undefined
    live.retired = true
    this.#releaseUnused(live)
  }

  #releaseUnused(live: Live): void {
    const { pipeline } = live
    if (!live.retired || live.users > 0 || !pipeline || live.released) return
    live.released = true
    this.#lives.delete(live)
    // Before the next load; what cannot be released is gone all the same, and shows as growth of the process.
    void this.#inTurn(() => pipeline.release()).catch(() => {})
  }

  #kind(model: EngineModel): PipelineKind {
    const kind = this.#options.pipelines.find((one) => one.name === model.pipeline)
    if (kind) return kind
    const known = this.#options.pipelines.map((one) => one.name).join(', ')
    throw new InferError(
      'model-load',
      `model ${model.name}: no pipeline is named ${model.pipeline}; there are: ${known}`,
    )
  }
}

function fresh(model: EngineModel): Entry {
  return { model, uses: new Uses(), figures: new ModelFigures(), reloadMs: 0 }
}

/** What an earlier model left free is used again and shows as no growth: hence the most of all loads, and the files. */
function grew(live: Live, mb: number): void {
  const { entry } = live
  live.grownMb += Math.max(0, mb)
  entry.measuredMb = Math.max(entry.measuredMb ?? 0, live.grownMb, fileMegabytes(entry.model))
}

function megabytesFor({ model, measuredMb }: Entry): number {
  return measuredMb ?? model.memoryMb ?? fileMegabytes(model) * undeclared.perFileByte + undeclared.sessionMb
}

function fileMegabytes(model: EngineModel): number {
  return Object.values(model.files).reduce((sum, path) => sum + fileBytes(path), 0) / megabyte
}

/** A file that cannot be looked at fails the load, not this. */
function fileBytes(path: string): number {
  try {
    return statSync(path).size
  } catch {
    return 0
  }
}

function stateOf(entry: Entry): EngineModelStatus['state'] {
  if (entry.live) return entry.live.pipeline ? 'loaded' : 'loading'
  return entry.reason === undefined ? 'present' : 'failed'
}
