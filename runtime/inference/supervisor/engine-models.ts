/**
 * What the supervisor knows of its models: which there are, which are wanted loaded (and so load again after a restart),
 * who waits for that, how long they take; and which of them may be what ended an engine. One that did is left alone for a while.
 */
import type {
  EngineModel,
  EngineModelFigures,
  EngineModelStatus,
  FromEngine,
} from '../../wire/engine-protocol.ts'
import { InferError } from '../../wire/infer.ts'
import type { ModelSignature } from './engines.ts'
import type { Flight } from './flight.ts'
import { ModelTimes } from './model-times.ts'

/** Requests whose model was never timed are taken to last so long, milliseconds. */
const unknownMs = 20
const fatalLoadsMax = 2
const hangsMax = 2
/** A model that ends engines is refused to requests for so long: then one may try it again. */
const fatalRestMs = 10 * 60_000
/** One that did not load, for any other reason, is not worth a request for so long: its file may be mended. */
const failedRestMs = 60_000

interface Waiter {
  readonly resolve: () => void
  readonly reject: (error: InferError) => void
}

interface Entry {
  readonly model: EngineModel
  state: EngineModelStatus['state']
  reason: string | undefined
  wanted: boolean
  /** Engines that ended while it was loading, perhaps for another's sake. */
  fatalLoads: number
  /** It was under way, with others, when an engine took too much memory, or hung. */
  suspected: boolean
  /** Engines that hung in it alone, without an answer between. */
  hangs: number
  /** It ends engines; until then, monotonic milliseconds. */
  refusal: { readonly error: InferError; readonly untilMs: number } | undefined
  /** While it is `failed`: until then it would fail again. */
  failedUntilMs: number
  readonly waiters: Set<Waiter>
  readonly times: ModelTimes
  signature?: ModelSignature
  loadMs?: number
  memoryMb?: number
  figures?: EngineModelFigures
}

export class EngineModels {
  #entries = new Map<string, Entry>()
  /** Which the engine is to load, and which it was told to load and has not answered for. */
  readonly #toLoad = new Set<string>()
  readonly #loading = new Set<string>()

  get list(): EngineModel[] {
    return [...this.#entries.values()].map((entry) => entry.model)
  }

  /** The engine is to load it next; undefined: nothing. */
  get nextLoad(): string | undefined {
    return this.#toLoad.values().next().value
  }

  /** Loads that were asked for and go on; those that requests bring with them have the requests' deadlines. */
  get loading(): ReadonlySet<string> {
    return this.#loading
  }

  /** A model that is the same as before keeps its state. */
  set(models: readonly EngineModel[]): void {
    const before = this.#entries
    this.#entries = new Map()
    for (const model of models) {
      const old = before.get(model.name)
      const same = old && JSON.stringify(old.model) === JSON.stringify(model)
      if (same) before.delete(model.name)
      this.#entries.set(model.name, same ? old : fresh(model))
    }
    for (const entry of before.values()) {
      settle(entry, unknown(entry.model.name, 'it was removed from the list'))
      // Nobody says any more what became of it.
      this.#endLoad(entry.model.name)
    }
  }

  /** Undefined for a model that is not in the list. */
  get(name: string): Readonly<Entry> | undefined {
    return this.#entries.get(name)
  }

  /** Why no request for it is taken now: it ends engines. */
  refusal(name: string, nowMs: number): InferError | undefined {
    const refusal = this.#entries.get(name)?.refusal
    return refusal && nowMs < refusal.untilMs ? refusal.error : undefined
  }

  /** Whether a request is worth while now: one that failed may be mended after a while. */
  stateFor(name: string, nowMs: number): EngineModelStatus['state'] | undefined {
    const entry = this.#entries.get(name)
    return entry?.state === 'failed' && nowMs >= entry.failedUntilMs ? 'present' : entry?.state
  }

  /**
   * What may have ended the last engine goes alone, so that the next end is its own and no other model is blamed for it: false
   * for one that has to wait for those under way.
   */
  mayGo(name: string, underWay: () => ReadonlySet<string>): boolean {
    const doubted = [...this.#entries.values()].filter(
      ({ suspected, fatalLoads }) => suspected || fatalLoads > 0,
    )
    if (doubted.length === 0) return true
    const others = [...underWay()].filter((other) => other !== name)
    return others.length === 0 || !doubted.some(({ model }) => [name, ...others].includes(model.name))
  }

  /** Expected time that these take, milliseconds: one thing runs at a time, batches as one. */
  runMs(flights: readonly Pick<Flight, 'request'>[]): number {
    const counts = new Map<string, number>()
    for (const { request } of flights) counts.set(request.model, (counts.get(request.model) ?? 0) + 1)
    let ms = 0
    for (const [name, count] of counts) {
      const entry = this.#entries.get(name)
      const runs = Math.ceil(count / (entry?.model.batch?.max ?? 1))
      ms += runs * (entry?.times.quantiles()?.p50 ?? unknownMs)
    }
    return ms
  }

  /** A request for it was handed to the engine, which loads it first where it has to. */
  onAsked(name: string): void {
    const entry = this.#entries.get(name)
    if (entry && entry.state !== 'loaded') entry.state = 'loading'
  }

  /** Nobody asks for it any more, and it was not loaded. */
  onNotAsked(name: string): void {
    const entry = this.#entries.get(name)
    if (entry?.state === 'loading' && entry.waiters.size === 0 && !entry.wanted) entry.state = 'present'
  }

  /** Wants a model loaded and waits for it. Throws InferError `model-unknown`, `model-load`, `engine-stopped`. */
  want(name: string): { readonly loaded: Promise<void>; readonly leave: (error: InferError) => void } {
    const entry = this.#entries.get(name)
    if (!entry) throw unknown(name, `there are: ${[...this.#entries.keys()].join(', ') || 'none'}`)
    entry.wanted = true
    entry.fatalLoads = 0
    entry.hangs = 0
    entry.refusal = undefined
    this.#toLoad.add(name)
    if (entry.state === 'loaded') return { loaded: Promise.resolve(), leave: () => {} }
    let waiter: Waiter | undefined
    const loaded = new Promise<void>((resolve, reject) => {
      waiter = { resolve, reject }
      entry.waiters.add(waiter)
    })
    const leave = (error: InferError) => {
      if (waiter && entry.waiters.delete(waiter)) waiter.reject(error)
    }
    return { loaded, leave }
  }

  unwant(name: string): void {
    const entry = this.#entries.get(name)
    if (!entry) return
    entry.wanted = false
    entry.state = 'present'
    this.#endLoad(name)
  }

  /** Of a model that was loaded once and hands tensors through. */
  signatureOf(name: string): ModelSignature | undefined {
    return this.#entries.get(name)?.signature
  }

  onLoaded({ model: name, ms, memoryMb, inputs, outputs }: FromEngine & { t: 'loaded' }): void {
    this.#endLoad(name)
    const entry = this.#entries.get(name)
    if (!entry) return
    if (inputs && outputs) entry.signature = { inputs, outputs }
    // One that was loaded already says 0.
    if (ms > 0) entry.loadMs = ms
    if (memoryMb !== undefined) entry.memoryMb = memoryMb
    entry.state = 'loaded'
    entry.reason = undefined
    entry.wanted = true
    entry.fatalLoads = 0
    settle(entry)
  }

  /** `memory`: nothing is wrong with it, there was no room; any other: it cannot be loaded. */
  onFailed(name: string, error: InferError, nowMs: number): void {
    this.#endLoad(name)
    const entry = this.#entries.get(name)
    if (!entry) return
    fail(entry, error, nowMs + failedRestMs)
    if (error.code === 'memory') entry.state = 'present'
  }

  /** The engine took more memory than it may, and is ended for it, while these were loaded or run. */
  onOverrun(names: readonly string[], reason: string, nowMs: number): void {
    const entry = this.#suspect(names)
    if (entry) refuse(entry, 'memory', reason, nowMs)
  }

  /** The engine hung in native code, and is ended for it, while these were loaded or run. */
  onHang(names: readonly string[], nowMs: number): void {
    const entry = this.#suspect(names)
    if (!entry) return
    entry.hangs += 1
    if (entry.hangs < hangsMax) return
    const reason = `it ran on past its deadline ${entry.hangs} times, and the engine was ended for it`
    refuse(entry, 'run', reason, nowMs)
  }

  /** The culprit, where there is only one that may be. */
  #suspect(names: readonly string[]): Entry | undefined {
    const entries = names.flatMap((name) => this.#entries.get(name) ?? [])
    for (const entry of entries) entry.suspected = true
    return entries.length === 1 ? entries[0] : undefined
  }

  /** It made room for another. A load that somebody waits for is answered by a message of its own. */
  onEvicted(name: string): void {
    const entry = this.#entries.get(name)
    if (!entry || entry.waiters.size > 0) return
    entry.state = 'present'
    entry.wanted = false
  }

  onAnswered(name: string, modelMs: number | undefined): void {
    const entry = this.#entries.get(name)
    if (!entry) return
    entry.fatalLoads = 0
    entry.suspected = false
    entry.hangs = 0
    if (modelMs !== undefined) entry.times.add(modelMs)
  }

  onFigures(statuses: readonly EngineModelStatus[]): void {
    for (const { name, figures } of statuses) {
      const entry = this.#entries.get(name)
      if (!entry || !figures) continue
      entry.figures = figures
      entry.memoryMb = figures.memoryMb
    }
  }

  /** The engine is gone and everything that it had loaded with it. */
  onLost(nowMs: number): void {
    this.#loading.clear()
    for (const entry of this.#entries.values()) {
      if (entry.state === 'loading') {
        entry.fatalLoads += 1
        if (entry.fatalLoads >= fatalLoadsMax)
          refuse(entry, 'model-load', `the engine ended ${entry.fatalLoads} times while loading it`, nowMs)
        else entry.state = 'present'
      } else if (entry.state === 'loaded') entry.state = 'present'
    }
  }

  /** The engine was ended by its supervisor, which starts another: no model is to blame. */
  onReplaced(): void {
    this.#loading.clear()
    for (const entry of this.#entries.values()) if (entry.state !== 'failed') entry.state = 'present'
  }

  /** A fresh engine: it is to load what is wanted. */
  onStarted(): void {
    for (const { model, wanted } of this.#entries.values()) if (wanted) this.#toLoad.add(model.name)
  }

  /** The engine is told to load it. */
  onLoad(name: string): void {
    this.#toLoad.delete(name)
    this.#loading.add(name)
    const entry = this.#entries.get(name)
    if (entry && entry.state !== 'loaded') entry.state = 'loading'
  }

  #endLoad(name: string): void {
    this.#toLoad.delete(name)
    this.#loading.delete(name)
  }

  stop(): void {
    for (const entry of this.#entries.values())
      settle(entry, new InferError('engine-stopped', 'the engine was stopped'))
  }

  states(): EngineModelStatus[] {
    return [...this.#entries.values()].map(({ model, state, reason, figures }) => ({
      name: model.name,
      state,
      ...(reason === undefined ? {} : { reason }),
      ...(figures === undefined ? {} : { figures }),
    }))
  }
}

function fresh(model: EngineModel): Entry {
  return {
    model,
    state: 'present',
    reason: undefined,
    wanted: false,
    fatalLoads: 0,
    suspected: false,
    hangs: 0,
    refusal: undefined,
    failedUntilMs: 0,
    waiters: new Set(),
    times: new ModelTimes(),
  }
}

function fail(entry: Entry, error: InferError, untilMs: number): void {
  entry.state = 'failed'
  entry.failedUntilMs = untilMs
  entry.reason = error.message
  entry.wanted = false
  settle(entry, error)
}

/** It ends engines. */
function refuse(entry: Entry, code: 'model-load' | 'memory' | 'run', reason: string, nowMs: number): void {
  const untilMs = nowMs + fatalRestMs
  entry.refusal = { error: new InferError(code, `model ${entry.model.name}: ${reason}`), untilMs }
  fail(entry, new InferError(code, reason), untilMs)
}

function settle(entry: Entry, error?: InferError): void {
  for (const waiter of entry.waiters) {
    if (error) waiter.reject(error)
    else waiter.resolve()
  }
  entry.waiters.clear()
}

function unknown(name: string, why: string): InferError {
  return new InferError('model-unknown', `no model is named ${name}; ${why}`)
}
