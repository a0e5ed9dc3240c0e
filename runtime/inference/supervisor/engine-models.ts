/**
 * What the supervisor knows of its models: which there are, which are wanted loaded (and so load again after a restart),
 * who waits for that, how long they take. A model that ends the engine twice while it loads is not tried again by itself.
 */
import type { EngineModel, EngineModelFigures, EngineModelStatus } from '../../wire/engine-protocol.ts'
import { InferError } from '../../wire/infer.ts'
import type { ModelSignature } from './engines.ts'
import { ModelTimes } from './model-times.ts'

const fatalLoadsMax = 2
/** A model that ended the engine while it loaded is refused to requests for so long: then one may try it again. */
const fatalRestMs = 10 * 60_000

interface Waiter {
  readonly resolve: () => void
  readonly reject: (error: InferError) => void
}

interface Entry {
  readonly model: EngineModel
  state: EngineModelStatus['state']
  reason: string | undefined
  wanted: boolean
  fatalLoads: number
  /** Refused until then, monotonic milliseconds: it ends engines. */
  refusedUntilMs: number
  readonly waiters: Set<Waiter>
  readonly times: ModelTimes
  signature?: ModelSignature
  loadMs?: number
  memoryMb?: number
  figures?: EngineModelFigures
}

export interface LoadedFacts {
  readonly ms: number
  readonly memoryMb?: number | undefined
  readonly signature?: ModelSignature | undefined
}

export class EngineModels {
  #entries = new Map<string, Entry>()

  get list(): EngineModel[] {
    return [...this.#entries.values()].map((entry) => entry.model)
  }

  /** Models to load on a fresh engine. */
  get wanted(): string[] {
    return [...this.#entries.values()].filter((entry) => entry.wanted).map((entry) => entry.model.name)
  }

  /** True while a load that was asked for goes on; loads that requests bring with them have the requests' deadlines. */
  get loading(): boolean {
    return [...this.#entries.values()].some((entry) => entry.state === 'loading' && entry.wanted)
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
    for (const entry of before.values())
      settle(entry, unknown(entry.model.name, 'it was removed from the list'))
  }

  /** Undefined for a model that is not in the list. */
  get(name: string): Readonly<Entry> | undefined {
    return this.#entries.get(name)
  }

  /** Why no request for it is taken now: it ended the engine each time it was loaded. */
  refusal(name: string, nowMs: number): InferError | undefined {
    const entry = this.#entries.get(name)
    if (!entry || nowMs >= entry.refusedUntilMs) return undefined
    return new InferError('model-load', `model ${name}: ${entry.reason}`)
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
    entry.refusedUntilMs = 0
    if (entry.state === 'loaded') return { loaded: Promise.resolve(), leave: () => {} }
    entry.state = 'loading'
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
  }

  /** Of a model that was loaded once and hands tensors through. */
  signatureOf(name: string): ModelSignature | undefined {
    return this.#entries.get(name)?.signature
  }

  onLoaded(name: string, { ms, memoryMb, signature }: LoadedFacts): void {
    const entry = this.#entries.get(name)
    if (!entry) return
    if (signature) entry.signature = signature
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
  onFailed(name: string, reason: string, code: 'model-load' | 'memory' = 'model-load'): void {
    const entry = this.#entries.get(name)
    if (!entry) return
    fail(entry, reason, code)
    if (code === 'memory') entry.state = 'present'
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
    for (const entry of this.#entries.values()) {
      if (entry.state === 'loading') {
        entry.fatalLoads += 1
        if (entry.fatalLoads >= fatalLoadsMax) {
          fail(entry, `the engine ended ${entry.fatalLoads} times while loading it`)
          entry.refusedUntilMs = nowMs + fatalRestMs
        } else if (!entry.wanted) entry.state = 'present'
      } else if (entry.state === 'loaded') entry.state = 'present'
    }
  }

  /** The engine was ended by its supervisor, which starts another: no model is to blame. */
  onReplaced(): void {
    for (const entry of this.#entries.values()) if (entry.state !== 'failed') entry.state = 'present'
  }

  /** A fresh engine was told to load what is wanted. */
  onReload(name: string): void {
    const entry = this.#entries.get(name)
    if (entry) entry.state = 'loading'
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
    refusedUntilMs: 0,
    waiters: new Set(),
    times: new ModelTimes(),
  }
}

function fail(entry: Entry, reason: string, code: 'model-load' | 'memory' = 'model-load'): void {
  entry.state = 'failed'
  entry.reason = reason
  entry.wanted = false
  settle(entry, new InferError(code, reason))
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
