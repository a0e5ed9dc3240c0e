/**
 * Several engine processes as one: for a gateway, and for boards with cores to spare. A request goes where it is expected to
 * be answered first: a worker that has its model loaded, unless its queue costs more than loading the model elsewhere. Each
 * worker has a supervisor, so one that dies is replaced, and what it was answering goes on as `[inference-2]` says.
 */
import type { Clock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import type { EngineModel, EngineModelFigures, EngineModelStatus } from '../../wire/engine-protocol.ts'
import { type InferChunk, InferError, type InferRequest } from '../../wire/infer.ts'
import { EngineSupervisor } from './engine-supervisor.ts'
import type { EngineProcess, EngineStatus, Engines, ModelOutlook, ModelSignature } from './engines.ts'
import { budgetShares, chooseWorker, type WorkerView } from './placement.ts'
import type { EngineSupervisorOptions } from './supervisor-options.ts'

export interface EnginePoolOptions extends EngineSupervisorOptions {
  /** Engine processes: 1 to 64. */
  readonly workers: number
}

const workersMax = 64
/** What the best-placed worker's state says of all. */
const stateOrder = ['running', 'starting', 'restarting', 'idle', 'stopped'] as const

export class EnginePool implements Engines {
  readonly #workers: readonly EngineSupervisor[]
  #models: readonly EngineModel[]
  #budgetMb: number | undefined
  #shares: readonly (number | undefined)[] = []
  #closing: Promise<void> | undefined

  private constructor(workers: readonly EngineSupervisor[], options: EnginePoolOptions) {
    this.#workers = workers
    this.#models = options.models
    this.#budgetMb = options.budgetMb
    this.#share()
  }

  /** With `start: 'eager'` returns when every engine is ready; throws InferError `engine-lost` when one does not start. */
  static async open(
    deps: { readonly clock: Clock; readonly log: Log },
    options: EnginePoolOptions,
    signal: AbortSignal,
  ): Promise<EnginePool> {
    const { workers: count } = options
    if (!(Number.isInteger(count) && count >= 1 && count <= workersMax))
      throw new Error(`a pool has 1 to ${workersMax} workers, not ${count}`)
    const { budgetMb: _, ...each } = options
    await using stack = new AsyncDisposableStack()
    const workers = await Promise.all(
      Array.from({ length: count }, async () => stack.use(await EngineSupervisor.open(deps, each, signal))),
    )
    const pool = new EnginePool(workers, options)
    stack.move()
    return pool
  }

  async *infer(
    request: Omit<InferRequest, 'id'>,
    signal: AbortSignal,
  ): AsyncGenerator<InferChunk, void, undefined> {
    yield* this.#workerFor(request.model).infer(request, signal)
  }

  get models(): readonly EngineModel[] {
    return this.#models
  }

  setModels(models: readonly EngineModel[]): void {
    this.#models = models
    this.#share()
    for (const worker of this.#workers) worker.setModels(models)
  }

  signatureOf(name: string): ModelSignature | undefined {
    for (const worker of this.#workers) {
      const signature = worker.signatureOf(name)
      if (signature) return signature
    }
    return undefined
  }

  /** In one worker: the one that its requests go to first. */
  preload(name: string, signal?: AbortSignal): Promise<void> {
    return this.#workerFor(name).preload(name, signal)
  }

  unload(name: string): void {
    for (const worker of this.#workers) worker.unload(name)
  }

  setBudget(budgetMb: number | undefined): void {
    this.#budgetMb = budgetMb
    this.#share()
  }

  /** As it stands in the worker where a request would go. */
  outlook(name: string): ModelOutlook | undefined {
    const index = this.#choose(name)
    const outlook = this.#workers[index ?? 0]?.outlook(name)
    if (!outlook) return undefined
    const outlooks = this.#workers.map((worker) => worker.outlook(name))
    const queued = outlooks.reduce((sum, one) => sum + (one?.queued ?? 0), 0)
    const loadMs = outlook.loadMs ?? outlooks.find((one) => one?.loadMs !== undefined)?.loadMs
    return { ...outlook, queued, ...(loadMs === undefined ? {} : { loadMs }) }
  }

  async status(): Promise<EngineStatus> {
    const statuses = await Promise.all(this.#workers.map((worker) => worker.status()))
    const processes = statuses.flatMap((one) => one.processes)
    const memories = statuses.flatMap(({ memory }) => memory ?? [])
    const sum = (of: (one: EngineProcess) => number) => processes.reduce((total, one) => total + of(one), 0)
    return {
      state: stateOrder.find((state) => processes.some((one) => one.state === state)) ?? 'stopped',
      pid: processes.find(({ pid }) => pid !== undefined)?.pid,
      restarts: sum((one) => one.restarts),
      replaced: sum((one) => one.replaced),
      inFlight: sum((one) => one.inFlight),
      rssMb: processes.some(({ rssMb }) => rssMb !== undefined) ? sum((one) => one.rssMb ?? 0) : undefined,
      models: this.#models.map(({ name }) =>
        together(statuses.flatMap(({ models }) => models.find((model) => model.name === name) ?? [])),
      ),
      memory:
        memories.length === 0
          ? undefined
          : {
              ...(this.#budgetMb === undefined ? {} : { budgetMb: this.#budgetMb }),
              usedMb: memories.reduce((total, one) => total + one.usedMb, 0),
              pinnedMb: memories.reduce((total, one) => total + one.pinnedMb, 0),
            },
      processes,
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= Promise.all(this.#workers.map((worker) => worker[Symbol.asyncDispose]())).then(() => {})
    return this.#closing
  }

  /** Throws InferError `overloaded` where every worker is full. */
  #workerFor(model: string): EngineSupervisor {
    const worker = this.#workers[this.#choose(model) ?? -1]
    if (worker) return worker
    const waits = this.#workers.map((one) => one.outlook(model)?.queueMs ?? 0)
    throw new InferError('overloaded', `all ${this.#workers.length} engines have as much as they take`, {
      retryable: true,
      retryAfterMs: Math.ceil(Math.min(...waits)),
    })
  }

  #choose(name: string): number | undefined {
    const model = this.#models.find((one) => one.name === name)
    const outlooks = this.#workers.map((worker) => worker.outlook(name))
    // Loading takes in one engine what it took in another.
    const loadMs = outlooks.find((one) => one?.loadMs !== undefined)?.loadMs
    return chooseWorker(
      name,
      this.#workers.map((worker, index): WorkerView => {
        const shareMb = this.#shares[index]
        const { full } = worker
        const fits = shareMb === undefined || (model?.memoryMb ?? 0) <= shareMb
        const outlook = outlooks[index]
        return { full, fits, outlook: outlook && (loadMs === undefined ? outlook : { loadMs, ...outlook }) }
      }),
    )
  }

  #share(): void {
    const largestMb = Math.max(0, ...this.#models.map(({ memoryMb }) => memoryMb ?? 0))
    this.#shares = budgetShares(this.#budgetMb, this.#workers.length, largestMb)
    for (const [index, worker] of this.#workers.entries()) worker.setBudget(this.#shares[index])
  }
}

const modelStateOrder = ['loaded', 'loading', 'present', 'failed'] as const

/** One model in several engines. */
function together(statuses: readonly EngineModelStatus[]): EngineModelStatus {
  const [first, ...others] = [...statuses].sort(
    (a, b) => modelStateOrder.indexOf(a.state) - modelStateOrder.indexOf(b.state),
  )
  if (!first) throw new Error('a model is in the list of no worker')
  const figures = others.reduce<EngineModelFigures | undefined>(
    (sum, { figures: more }) => (sum && more ? addFigures(sum, more) : (sum ?? more)),
    first.figures,
  )
  return { ...first, ...(figures === undefined ? {} : { figures }) }
}

function addFigures(a: EngineModelFigures, b: EngineModelFigures): EngineModelFigures {
  const busier = a.runMs.samples >= b.runMs.samples ? a : b
  return {
    memoryMb: Math.max(a.memoryMb, b.memoryMb),
    measured: a.measured || b.measured,
    pinned: a.pinned || b.pinned,
    loads: a.loads + b.loads,
    evictions: a.evictions + b.evictions,
    queued: a.queued + b.queued,
    running: a.running + b.running,
    answered: a.answered + b.answered,
    expired: a.expired + b.expired,
    refused: a.refused + b.refused,
    batches: a.batches + b.batches,
    batchedRows: a.batchedRows + b.batchedRows,
    // Quantiles do not add up: those of the engine that ran it more often.
    runMs: busier.runMs,
  }
}
