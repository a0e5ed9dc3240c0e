/**
 * The models that the engine may run, and those that are loaded. A model loads on first use, once however many ask. One
 * that is removed or changed while a request uses it is released after that request.
 */
import type { Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { EngineModel, EngineModelStatus } from '../../wire/engine-protocol.ts'
import { InferError } from '../../wire/infer.ts'
import { loadPipeline, type ModelSignature, type Pipeline, type PipelineKind } from './pipelines/pipeline.ts'

interface Entry {
  readonly model: EngineModel
  pipeline?: Pipeline | undefined
  loading?: Promise<Pipeline> | undefined
  reason?: string | undefined
  /** Those who use it or wait for it to load. */
  users: number
  /** No longer in the list: released once nobody uses it. */
  retired: boolean
}

export interface ModelTableOptions {
  readonly pipelines: readonly PipelineKind[]
  /** Threads of one session, where the model does not say. */
  readonly intraOpThreads: number
  readonly onLoaded: (model: string, ms: number, signature: ModelSignature | undefined) => void
  readonly onFailed: (model: string, reason: string) => void
}

export class ModelTable {
  readonly #clock: Clock
  readonly #options: ModelTableOptions
  #entries = new Map<string, Entry>()

  constructor(clock: Clock, options: ModelTableOptions) {
    this.#clock = clock
    this.#options = options
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
    for (const entry of before.values()) retire(entry)
  }

  /** Uses a model, loading it where needed; `done` when finished with it. Throws `model-unknown`, `model-load`. */
  async use(name: string): Promise<{ readonly pipeline: Pipeline; readonly done: () => void }> {
    const entry = this.#entry(name)
    entry.users += 1
    const done = () => {
      entry.users -= 1
      releaseUnused(entry)
    }
    try {
      return { pipeline: await this.#load(entry), done }
    } catch (error) {
      done()
      throw error
    }
  }

  /** Reports like a first use does, and at once where the model is loaded already. Never throws. */
  async load(name: string): Promise<void> {
    try {
      const entry = this.#entry(name)
      if (entry.pipeline) this.#options.onLoaded(name, 0, entry.pipeline.signature)
      await this.#load(entry)
    } catch (error) {
      if (error instanceof InferError && error.code === 'model-unknown')
        this.#options.onFailed(name, error.message)
    }
  }

  unload(name: string): void {
    const entry = this.#entries.get(name)
    if (!entry) return
    this.#entries.set(name, fresh(entry.model))
    retire(entry)
  }

  states(): EngineModelStatus[] {
    return [...this.#entries.values()].map((entry) => ({
      name: entry.model.name,
      state: stateOf(entry),
      ...(entry.reason === undefined ? {} : { reason: entry.reason }),
    }))
  }

  #entry(name: string): Entry {
    const entry = this.#entries.get(name)
    if (entry) return entry
    const known = [...this.#entries.keys()].join(', ') || 'none'
    throw new InferError('model-unknown', `no model is named ${name}; there are: ${known}`)
  }

  async #load(entry: Entry): Promise<Pipeline> {
    if (entry.pipeline) return entry.pipeline
    entry.loading ??= this.#open(entry).finally(() => {
      entry.loading = undefined
    })
    return entry.loading
  }

  async #open(entry: Entry): Promise<Pipeline> {
    const startMs = this.#clock.monotonicMs()
    try {
      const kind = this.#kind(entry.model)
      const pipeline = await loadPipeline(this.#clock, kind, entry.model, this.#options.intraOpThreads)
      entry.reason = undefined
      entry.pipeline = pipeline
      if (!entry.retired)
        this.#options.onLoaded(entry.model.name, this.#clock.monotonicMs() - startMs, pipeline.signature)
      releaseUnused(entry)
      return pipeline
    } catch (cause) {
      entry.reason = messageOf(cause).slice(0, 4096)
      this.#options.onFailed(entry.model.name, entry.reason)
      if (cause instanceof InferError) throw cause
      throw new InferError('model-load', `model ${entry.model.name}: ${entry.reason}`, { cause })
    }
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
  return { model, users: 0, retired: false }
}

function retire(entry: Entry): void {
  entry.retired = true
  releaseUnused(entry)
}

function releaseUnused(entry: Entry): void {
  if (!entry.retired || entry.users > 0 || !entry.pipeline) return
  void entry.pipeline.release()
  entry.pipeline = undefined
}

function stateOf(entry: Entry): EngineModelStatus['state'] {
  if (entry.pipeline) return 'loaded'
  if (entry.loading) return 'loading'
  return entry.reason === undefined ? 'present' : 'failed'
}
