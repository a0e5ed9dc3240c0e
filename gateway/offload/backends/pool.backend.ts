/**
 * The gateway's own engines: models of the store, fetched at the start, run in processes that start with the first request. The
 * engines batch, queue and evict; what runs where is the pool's to choose.
 */
import type { Clock } from '../../../runtime/base/clock.ts'
import { sleep } from '../../../runtime/base/clock.ts'
import { messageOf, UsageError } from '../../../runtime/base/errors.ts'
import type { Log } from '../../../runtime/base/log.ts'
import { backoffMs } from '../../../runtime/base/retry.ts'
import type { Progress } from '../../../runtime/inference/store/fetch.ts'
import type { ModelManifest } from '../../../runtime/inference/store/manifest.ts'
import type { LocalModel, ModelStore } from '../../../runtime/inference/store/store.ts'
import type { Engines } from '../../../runtime/inference/supervisor/engines.ts'
import type { EngineModel, TensorSpec } from '../../../runtime/wire/engine-protocol.ts'
import { type InferChunk, InferError, type InferRequest } from '../../../runtime/wire/infer.ts'
import { speechDetector } from '../tasks.ts'
import type { Backend, BackendHealth, ServedModel } from './backend.ts'
import type { BackendKind } from './kind.ts'

export interface PoolBackendDeps {
  readonly clock: Clock
  readonly log: Log
  readonly store: ModelStore
  readonly engines: Engines
}

export interface PoolBackendOptions {
  /** Fetched where they are not here, in this order. */
  readonly models: readonly string[]
  /** Engine processes. */
  readonly workers: number
}

/** Between attempts to fetch: a network comes back in minutes, a registry in an hour. */
const fetchBackoff = { firstMs: 5_000, maxMs: 15 * 60_000 }
/** A line of progress each time as much more has come. */
const progressBytes = 10 * 2 ** 20
/** Of one model and worker: what the engine may stack into batches, and what waits there by urgency. */
const concurrencyPerWorker = 64
/** Of all models in one engine; their inputs are bounded by the gateway's admission. */
const engineQueueMax = 512

export class PoolBackend implements Backend {
  readonly id = 'pool'
  readonly reach = 'site'
  readonly concurrency: number
  readonly parallel: number
  readonly #deps: PoolBackendDeps
  readonly #options: PoolBackendOptions
  readonly #served = new Map<string, ServedModel>()
  readonly #ready: EngineModel[] = []
  /** Why a model is not here yet. */
  readonly #missing = new Map<string, string>()
  readonly #stop = new AbortController()
  readonly #fetching: Promise<unknown>
  #running = 0

  constructor(deps: PoolBackendDeps, options: PoolBackendOptions) {
    this.#deps = deps
    this.#options = options
    this.concurrency = options.workers * concurrencyPerWorker
    this.parallel = options.workers
    for (const name of options.models) this.#missing.set(name, 'it is being fetched')
    this.#fetching = this.#fetchAll(this.#stop.signal)
  }

  models(): readonly ServedModel[] {
    return [...this.#served.values()].map((model) => ({
      ...model,
      loaded: this.#deps.engines.outlook(model.name)?.state === 'loaded',
    }))
  }

  knows(model: string): boolean {
    return this.#options.models.includes(model)
  }

  health(): BackendHealth {
    const load = { running: this.#running, queued: 0 }
    const [first] = this.#missing
    if (!first) return { state: 'ok', ...load }
    const reason = `model ${first[0]} is not here yet: ${first[1]}`
    return { state: this.#served.size > 0 ? 'ok' : 'starting', reason, ...load }
  }

  async *infer(request: InferRequest, signal: AbortSignal): AsyncGenerator<InferChunk, void, undefined> {
    if (!this.#served.has(request.model))
      throw new InferError(
        'model-unknown',
        `model ${request.model} is not here: ${this.#missing.get(request.model) ?? 'it is not in gateway.inference.models'}`,
      )
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
    await this.#deps.engines[Symbol.asyncDispose]()
    await this.#deps.store[Symbol.asyncDispose]()
  }

  /** One after another: together they would only share the same line. One that fails is tried again while the others come. */
  async #fetchAll(signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps
    for (let round = 0; this.#missing.size > 0 && !signal.aborted; round += 1) {
      for (const name of [...this.#missing.keys()]) await this.#fetch(name, signal)
      if (this.#missing.size > 0)
        await sleep(clock, backoffMs(round, fetchBackoff, clock.random()), signal).catch(() => {})
    }
  }

  async #fetch(name: string, signal: AbortSignal): Promise<void> {
    const { store, engines, log } = this.#deps
    try {
      const local = await store.ensure(name, { signal, onProgress: progressLog(log) })
      const manifest = (await store.list()).find((one) => one.manifest.name === name)?.manifest
      if (!manifest) throw new Error('the store does not list it')
      this.#ready.push(engineModelOf(manifest, local))
      engines.setModels([...this.#ready])
      this.#served.set(name, servedModelOf(manifest))
      this.#missing.delete(name)
      log.info('model is ready to be loaded', { model: name, megabytes: Math.round(local.bytes / 1e6) })
    } catch (error) {
      if (signal.aborted) return
      this.#missing.set(name, messageOf(error))
      log.warn('a model could not be fetched, trying again later', { model: name, reason: messageOf(error) })
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

function engineModelOf(manifest: ModelManifest, { files }: LocalModel): EngineModel {
  const { name, pipeline, options, steps, batch, pin, memoryMb } = manifest
  return {
    name,
    pipeline,
    files: { ...files },
    memoryMb,
    pin,
    ...(options && { options }),
    ...(steps && { steps }),
    ...(batch && { batch }),
  }
}

function servedModelOf({
  name,
  version,
  task,
  inputs,
  outputs,
  idempotent,
  cacheS,
}: ModelManifest): ServedModel {
  return {
    name,
    version,
    platform: 'onnxruntime_onnx',
    task,
    inputs: inputs.map(specOf),
    outputs: outputs.map(specOf),
    idempotent,
    cacheS,
  }
}

function specOf({ name, datatype, shape }: ModelManifest['inputs'][number]): TensorSpec {
  return { name, datatype, shape: shape.map((length, axis) => (length < 0 ? `d${axis}` : length)) }
}

/** The named ones, and the detector that every transcriber of speech needs. Throws UsageError for one that nobody knows. */
function wantedModels(
  names: readonly string[],
  known: readonly { readonly name: string; readonly task?: string | undefined }[],
): readonly string[] {
  const unknown = names.find((name) => !known.some((one) => one.name === name))
  if (unknown !== undefined)
    throw new UsageError(
      `gateway.inference.models: no model is named ${unknown}; there are: ${known.map(({ name }) => name).join(', ')}`,
    )
  const transcribes = known.some(({ name, task }) => task === 'transcription' && names.includes(name))
  return [...new Set([...names, ...(transcribes ? [speechDetector] : [])])]
}

/** One pool, where the configuration names models for it. What it needs is loaded then, and not before. */
export const poolKind: BackendKind = {
  kind: 'pool',
  async open({ clock, log }, { pool }, signal) {
    if (!pool) return []
    const { ModelStore } = await import('../../../runtime/inference/store/store.ts')
    const { defaultModelsDir } = await import('../../../runtime/inference/store/models-dir.ts')
    const { models } = await import('../../../runtime/inference/models/index.ts')
    const { EnginePool } = await import('../../../runtime/inference/supervisor/engine-pool.ts')
    const { programPath } = await import('../../../runtime/base/program.ts')
    const names = wantedModels(pool.models, models)
    await using stack = new AsyncDisposableStack()
    const named = log.named('pool')
    const store = stack.use(
      await ModelStore.open({ clock, log: named }, { dir: defaultModelsDir(), manifests: models }, signal),
    )
    const engines = stack.use(
      await EnginePool.open(
        { clock, log: named },
        {
          models: [],
          entry: programPath('engine'),
          workers: pool.workers,
          intraOpThreads: pool.threads,
          budgetMb: pool.budgetMb,
          queueMax: engineQueueMax,
          start: 'lazy',
        },
        signal,
      ),
    )
    const backend = new PoolBackend(
      { clock, log: named, store, engines },
      { models: names, workers: pool.workers },
    )
    stack.move()
    return [backend]
  },
}
