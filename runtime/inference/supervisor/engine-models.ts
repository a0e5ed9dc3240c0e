/**
 * What the supervisor knows of its models: which there are, which are wanted loaded (and so load again after a restart),
 * and who waits for that. A model that ends the engine twice while it loads is not tried again by itself.
 */
import type { EngineModel, EngineModelStatus, TensorSpec } from '../../wire/engine-protocol.ts'
import { InferError } from '../../wire/infer.ts'

const fatalLoadsMax = 2

/** What a loaded model takes and gives. */
export interface ModelSignature {
  readonly inputs: readonly TensorSpec[]
  readonly outputs: readonly TensorSpec[]
}

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
  readonly waiters: Set<Waiter>
  signature?: ModelSignature
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

  /** True while someone waits for a load. */
  get loading(): boolean {
    return [...this.#entries.values()].some((entry) => entry.state === 'loading')
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

  has(name: string): boolean {
    return this.#entries.has(name)
  }

  /** Wants a model loaded and waits for it. Throws InferError `model-unknown`, `model-load`, `engine-stopped`. */
  want(name: string): { readonly loaded: Promise<void>; readonly leave: (error: InferError) => void } {
    const entry = this.#entries.get(name)
    if (!entry) throw unknown(name, `there are: ${[...this.#entries.keys()].join(', ') || 'none'}`)
    entry.wanted = true
    entry.fatalLoads = 0
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

  onLoaded(name: string, signature?: ModelSignature): void {
    const entry = this.#entries.get(name)
    if (!entry) return
    if (signature) entry.signature = signature
    entry.state = 'loaded'
    entry.reason = undefined
    entry.wanted = true
    entry.fatalLoads = 0
    settle(entry)
  }

  onFailed(name: string, reason: string): void {
    const entry = this.#entries.get(name)
    if (!entry) return
    fail(entry, reason)
  }

  /** The engine is gone and everything that it had loaded with it. */
  onLost(): void {
    for (const entry of this.#entries.values()) {
      if (entry.state === 'loading') {
        entry.fatalLoads += 1
        if (entry.fatalLoads >= fatalLoadsMax)
          fail(entry, `the engine ended ${entry.fatalLoads} times while loading it`)
      } else if (entry.state === 'loaded') entry.state = 'present'
    }
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
    return [...this.#entries.values()].map(({ model, state, reason }) => ({
      name: model.name,
      state,
      ...(reason === undefined ? {} : { reason }),
    }))
  }
}

function fresh(model: EngineModel): Entry {
  return { model, state: 'present', reason: undefined, wanted: false, fatalLoads: 0, waiters: new Set() }
}

function fail(entry: Entry, reason: string): void {
  entry.state = 'failed'
  entry.reason = reason
  entry.wanted = false
  settle(entry, new InferError('model-load', reason))
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
