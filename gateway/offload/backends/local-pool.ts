/**
 * The gateway's own engines: models of the store, fetched at the start, and models that a person put into a folder; run in
 * processes that start with the first request. The engines batch, queue and evict; what runs where is the pool's to choose.
 */
import { type Clock, sleep } from '../../../runtime/base/clock.ts'
import { messageOf } from '../../../runtime/base/errors.ts'
import type { Log } from '../../../runtime/base/log.ts'
import { backoffMs } from '../../../runtime/base/retry.ts'
import type { AddedModel, AddedProblem } from '../../../runtime/inference/store/added-models.ts'
import { engineModelOf, specOf } from '../../../runtime/inference/store/engine-model.ts'
import type { Progress } from '../../../runtime/inference/store/fetch.ts'
import type { ModelManifest } from '../../../runtime/inference/store/manifest.ts'
import type { ModelStore } from '../../../runtime/inference/store/store.ts'
import type { Engines } from '../../../runtime/inference/supervisor/engines.ts'
import type { EngineModel } from '../../../runtime/wire/engine-protocol.ts'
import { type InferChunk, InferError, type InferRequest } from '../../../runtime/wire/infer.ts'
import type { Backend, BackendHealth, ServedModel } from './backend.ts'

export interface PoolBackendDeps {
  readonly clock: Clock
  readonly log: Log
  readonly store: ModelStore
  readonly engines: Engines
  /** What was opened for it, engines and store included: closed with it. */
  readonly owned: AsyncDisposable
}

export interface PoolBackendOptions {
  /** Fetched where they are not here, in this order. */
  readonly models: readonly ModelManifest[]
  /** Engine processes. */
  readonly workers: number
}

interface Pooled {
  readonly engine: EngineModel
  readonly served: ServedModel
}

/** Between attempts to fetch: a network comes back in minutes, a registry in an hour. */
const fetchBackoff = { firstMs: 5_000, maxMs: 15 * 60_000 }
/** A line of progress each time as much more has come. */
const progressBytes = 10 * 2 ** 20
/** Of one model and worker: what the engine may stack into batches, and what waits there by urgency. */
const concurrencyPerWorker = 64
const platform = 'onnxruntime_onnx'

export class PoolBackend implements Backend {
  readonly id = 'pool'
  readonly reach = 'site'
  readonly concurrency: number
  readonly parallel: number
  readonly #deps: PoolBackendDeps
  readonly #fetched = new Map<string, Pooled>()
  readonly #added = new Map<string, Pooled>()
  #addedProblems: readonly AddedProblem[] = []
  /** Why a model is not here yet. */
  readonly #missing = new Map<ModelManifest, string>()
  readonly #stop = new AbortController()
  readonly #fetching: Promise<unknown>
  #running = 0

  constructor(deps: PoolBackendDeps, { models, workers }: PoolBackendOptions) {
    this.#deps = deps
    this.concurrency = workers * concurrencyPerWorker
    this.parallel = workers
    for (const manifest of models) this.#missing.set(manifest, 'it is being fetched')
    this.#fetching = this.#fetchAll(this.#stop.signal)
  }

  models(): readonly ServedModel[] {
    const { engines } = this.#deps
    return [...this.#fetched.values(), ...this.#added.values()].map(({ served }) => {
      const outlook = engines.outlook(served.name)
      return { ...served, loaded: outlook?.state === 'loaded', loadMs: outlook?.loadMs }
    })
  }

  knows(model: string): boolean {
    return this.#find(model) !== undefined || [...this.#missing.keys()].some(({ name }) => name === model)
  }

  health(): BackendHealth {
    const load = { running: this.#running, queued: 0 }
    const reason = this.#problem()
    if (reason === undefined) return { state: 'ok', ...load }
    return { state: this.#fetched.size + this.#added.size > 0 ? 'ok' : 'starting', reason, ...load }
  }

  /** Replaces what people have put into the folders. One that changed under its name is loaded anew. */
  setAdded(models: readonly AddedModel[], problems: readonly AddedProblem[]): void {
    this.#addedProblems = problems
    this.#added.clear()
    for (const { manifest, engine, inputs, outputs } of models) {
      const { name, version, task, idempotent, cacheS } = manifest
      const served = { name, version, platform, task, inputs, outputs, idempotent, cacheS }
      this.#added.set(name, { engine, served })
    }
    this.#tellEngines()
  }

  async *infer(request: InferRequest, signal: AbortSignal): AsyncGenerator<InferChunk, void, undefined> {
    if (!this.#find(request.model))
      throw new InferError('unavailable', `model ${request.model} is not here yet`, { retryable: true })
    const { id, ...asked } = request
    this.#running += 1
    try {
      for await (const chunk of this.#deps.engines.infer(asked, signal)) yield { ...chunk, id }
    } finally {
      this.#running -= 1
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#fetching
    await this.#deps.owned[Symbol.asyncDispose]()
  }

  #find(name: string): Pooled | undefined {
    return this.#fetched.get(name) ?? this.#added.get(name)
  }

  #problem(): string | undefined {
    for (const [{ name }, why] of this.#missing) return `model ${name} is not here yet: ${why}`
    return this.#addedProblems[0]?.reason
  }

  #tellEngines(): void {
    const all = [...this.#fetched.values(), ...this.#added.values()]
    this.#deps.engines.setModels(all.map(({ engine }) => engine))
  }

  /** One after another: together they would only share the same line. One that fails is tried again after the others. */
  async #fetchAll(signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps
    for (let round = 0; this.#missing.size > 0 && !signal.aborted; round += 1) {
      for (const manifest of [...this.#missing.keys()]) await this.#fetch(manifest, signal)
      if (this.#missing.size > 0)
        await sleep(clock, backoffMs(round, fetchBackoff, clock.random()), signal).catch(() => {})
    }
  }

  async #fetch(manifest: ModelManifest, signal: AbortSignal): Promise<void> {
    const { store, log } = this.#deps
    const { name, version, task, inputs, outputs, idempotent, cacheS } = manifest
    try {
      const { files, bytes } = await store.ensure(name, { signal, onProgress: progressLog(log) })
      const places = { inputs: inputs.map(specOf), outputs: outputs.map(specOf) }
      const served = { name, version, platform, task, ...places, idempotent, cacheS }
      this.#fetched.set(name, { engine: engineModelOf(manifest, files), served })
      this.#missing.delete(manifest)
      this.#tellEngines()
      log.info('a model is here', { model: name, megabytes: Math.round(bytes / 1e6) })
    } catch (error) {
      if (signal.aborted) return
      this.#missing.set(manifest, messageOf(error))
      log.warn('a model is not here, tried again later', { model: name, reason: messageOf(error) })
    }
  }
}

function progressLog(log: Log): (progress: Progress) => void {
  let toldBytes = 0
  return ({ model, file, receivedBytes, phase }) => {
    if (receivedBytes < toldBytes + progressBytes) return
    toldBytes = receivedBytes
    log.info('fetching a model', { model, file, phase, megabytes: Math.round(receivedBytes / 1e6) })
  }
}
