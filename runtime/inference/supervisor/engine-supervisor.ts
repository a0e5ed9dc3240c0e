/**
 * Keeps an engine process running and speaks to it. The engine may die at any moment: what was under way and had
 * streamed nothing is tried once more on the next engine, within its deadline; the rest fails as `engine-lost`. An engine
 * that has not answered a request by its deadline and a grace time hangs in native code, and is replaced.
 */
import type { Cancel, Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import { type BackoffOptions, backoffMs } from '../../base/retry.ts'
import type { EngineModel, EngineModelStatus, FromEngine } from '../../wire/engine-protocol.ts'
import { type InferChunk, InferError, type InferRequest, type InferResponse } from '../../wire/infer.ts'
import { PriorityQueue } from '../engine/priority-queue.ts'
import type { Inference } from '../inference.ts'
import { ChunkStream } from './chunk-stream.ts'
import { EngineChild } from './engine-child.ts'
import { EngineModels, type ModelSignature } from './engine-models.ts'

export interface EngineSupervisorOptions {
  readonly models: readonly EngineModel[]
  /** The engine's main module; from source when not given. */
  readonly entry?: string | URL
  readonly execArgv?: readonly string[]
  /** Threads of one session, where the model does not say. */
  readonly intraOpThreads?: number
  /** `lazy` starts the process at the first request or preload. */
  readonly start?: 'eager' | 'lazy'
  readonly restart?: BackoffOptions
  /** Requests under way or waiting; above it `overloaded`. */
  readonly queueMax?: number
  readonly startDeadlineMs?: number
  readonly loadDeadlineMs?: number
  /** After a deadline, how long the engine may stay silent: the longest single native run that is still healthy. */
  readonly graceMs?: number
  readonly stopDeadlineMs?: number
}

const defaults = {
  entry: new URL('../engine/main.ts', import.meta.url),
  execArgv: [],
  intraOpThreads: 1,
  start: 'lazy',
  restart: { firstMs: 100, maxMs: 10_000 },
  queueMax: 64,
  startDeadlineMs: 15_000,
  loadDeadlineMs: 60_000,
  graceMs: 5_000,
  stopDeadlineMs: 2_000,
} as const

export interface EngineStatus {
  /** `idle`: not started yet; `restarting`: waits before the next start. */
  readonly state: 'idle' | 'starting' | 'running' | 'restarting' | 'stopped'
  readonly pid: number | undefined
  readonly restarts: number
  readonly inFlight: number
  readonly models: readonly EngineModelStatus[]
  /** Resident memory as the engine last said; undefined when it did not answer. */
  readonly rssMb: number | undefined
}

/** One request on its way. */
interface Flight {
  readonly id: string
  readonly request: Omit<InferRequest, 'id'>
  readonly priority: InferRequest['priority']
  readonly expiresAtMs: number
  readonly stream: ChunkStream
  /** Handed to the engine that runs now. */
  sent: boolean
  retried: boolean
  streamed: boolean
  /** Its reader has gone or was told; it stays until the engine has let go of it. */
  settled: boolean
  cancelTimer: Cancel
}

type Options = Required<EngineSupervisorOptions>

export class EngineSupervisor implements Inference, AsyncDisposable {
  readonly #clock: Clock
  readonly #log: Log
  readonly #options: Options
  readonly #models = new EngineModels()
  readonly #flights = new Map<string, Flight>()
  readonly #unsent: PriorityQueue<Flight>
  #child: EngineChild | undefined
  #state: EngineStatus['state'] = 'idle'
  #pipeFull = false
  #starts = 0
  #failedStarts = 0
  #cancelTimer: Cancel = () => {}
  /** Settles with the first start; only an eager `open` looks at it. */
  readonly #firstStart = Promise.withResolvers<void>()
  #onStatus = new Set<(rssMb: number) => void>()
  #closing: Promise<void> | undefined

  private constructor(deps: { readonly clock: Clock; readonly log: Log }, options: Options) {
    this.#clock = deps.clock
    this.#log = deps.log.named('engine')
    this.#options = options
    this.#unsent = new PriorityQueue(options.queueMax)
    this.#models.set(options.models)
    this.#firstStart.promise.catch(() => {})
  }

  /** With `start: 'eager'` returns when the engine is ready; throws InferError `engine-lost` when it does not start. */
  static async open(
    deps: { readonly clock: Clock; readonly log: Log },
    options: EngineSupervisorOptions,
    signal: AbortSignal,
  ): Promise<EngineSupervisor> {
    signal.throwIfAborted()
    const supervisor = new EngineSupervisor(deps, { ...defaults, ...options })
    if (options.start !== 'eager') return supervisor
    const onAbort = () => supervisor.#firstStart.reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      supervisor.#wake()
      await supervisor.#firstStart.promise
      return supervisor
    } catch (error) {
      await supervisor[Symbol.asyncDispose]()
      throw error
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** Pid of the engine that runs now. */
  get pid(): number | undefined {
    return this.#child?.pid
  }

  async *infer(
    request: Omit<InferRequest, 'id'>,
    signal: AbortSignal,
  ): AsyncGenerator<InferChunk, void, undefined> {
    if (signal.aborted) throw cancelled()
    const flight = this.#take(request)
    const onAbort = () => this.#settle(flight, cancelled())
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      yield* flight.stream
    } finally {
      signal.removeEventListener('abort', onAbort)
      this.#settle(flight, cancelled())
    }
  }

  /** Models that it may run. */
  get models(): readonly EngineModel[] {
    return this.#models.list
  }

  /** What a model takes and gives: known once a model of tensors was loaded. */
  signatureOf(name: string): ModelSignature | undefined {
    return this.#models.signatureOf(name)
  }

  /** Replaces the list of models. What is the same as before stays loaded. */
  setModels(models: readonly EngineModel[]): void {
    this.#models.set(models)
    if (this.#state === 'running') this.#send({ t: 'models', models: this.#models.list })
  }

  /** Loads a model now instead of at its first request. Throws InferError `model-unknown`, `model-load`, `engine-stopped`. */
  async preload(name: string, signal?: AbortSignal): Promise<void> {
    if (this.#state === 'stopped') throw stopped()
    const { loaded, leave } = this.#models.want(name)
    const limitMs = this.#options.loadDeadlineMs
    const cancel = this.#clock.after(limitMs, () => {
      this.#models.onFailed(name, `model ${name} did not load within ${limitMs} ms`)
      this.#child?.kill(`model ${name} did not load within ${limitMs} ms`)
    })
    const onAbort = () => leave(cancelled())
    signal?.addEventListener('abort', onAbort, { once: true })
    if (this.#state === 'running') this.#send({ t: 'load', model: name })
    this.#wake()
    try {
      await loaded
    } finally {
      cancel()
      signal?.removeEventListener('abort', onAbort)
    }
  }

  /** Frees a model's memory until it is next used. */
  unload(name: string): void {
    this.#models.unwant(name)
    if (this.#state === 'running') this.#send({ t: 'unload', model: name })
  }

  async status(): Promise<EngineStatus> {
    const rssMb = await this.#askRss()
    return {
      state: this.#state,
      pid: this.pid,
      restarts: Math.max(0, this.#starts - 1),
      inFlight: this.#flights.size,
      models: this.#models.states(),
      rssMb,
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#state = 'stopped'
    this.#cancelTimer()
    for (const flight of [...this.#flights.values()]) {
      flight.stream.fail(stopped())
      this.#forget(flight)
    }
    this.#models.stop()
    this.#firstStart.reject(stopped())
    await this.#child?.stop(this.#clock, this.#options.stopDeadlineMs)
  }

  // Requests

  #take(request: Omit<InferRequest, 'id'>): Flight {
    if (this.#state === 'stopped') throw stopped()
    if (this.#flights.size >= this.#options.queueMax)
      throw new InferError('overloaded', `${this.#flights.size} requests are under way, no more are taken`, {
        retryable: true,
      })
    const flight: Flight = {
      id: this.#clock.newId(),
      request,
      priority: request.priority,
      expiresAtMs: this.#clock.monotonicMs() + request.deadlineMs,
      stream: new ChunkStream(),
      sent: false,
      retried: false,
      streamed: false,
      settled: false,
      cancelTimer: () => {},
    }
    flight.cancelTimer = this.#clock.after(request.deadlineMs, () => this.#onExpired(flight))
    this.#flights.set(flight.id, flight)
    this.#unsent.push(flight)
    this.#wake()
    this.#pump()
    return flight
  }

  /** Hands the engine what it has room for, the most urgent first. */
  #pump(): void {
    while (this.#state === 'running' && !this.#pipeFull) {
      const flight = this.#unsent.peek()
      if (!flight) return
      this.#unsent.remove(flight)
      const leftMs = Math.max(0, flight.expiresAtMs - this.#clock.monotonicMs())
      try {
        flight.sent = true
        this.#send({
          t: 'infer',
          request: {
            ...flight.request,
            inputs: [...flight.request.inputs],
            id: flight.id,
            deadlineMs: leftMs,
          },
        })
      } catch (error) {
        flight.stream.fail(new InferError('bad-input', `the inputs are ${messageOf(error)}`))
        this.#forget(flight)
      }
    }
  }

  /** Tells the reader, and the engine if it has the request. Does nothing the second time. */
  #settle(flight: Flight, error: InferError): void {
    if (flight.settled || !this.#flights.has(flight.id)) return
    flight.settled = true
    flight.stream.fail(error)
    if (flight.sent) this.#send({ t: 'cancel', id: flight.id })
    else this.#forget(flight)
  }

  #forget(flight: Flight): void {
    flight.cancelTimer()
    this.#unsent.remove(flight)
    this.#flights.delete(flight.id)
  }

  #onExpired(flight: Flight): void {
    const { deadlineMs, model } = flight.request
    this.#settle(
      flight,
      new InferError('deadline', `${model} did not answer within ${deadlineMs} ms`, { retryable: true }),
    )
    if (!this.#flights.has(flight.id)) return
    // Another request that it may be running still has time: the engine hangs only once that is over too.
    const child = this.#child
    const lastMs = Math.max(
      ...[...this.#flights.values()].filter((one) => one.sent).map((one) => one.expiresAtMs),
    )
    const loadMs = this.#models.loading ? this.#options.loadDeadlineMs : 0
    const silentMs = Math.max(lastMs - this.#clock.monotonicMs(), loadMs, 0) + this.#options.graceMs
    flight.cancelTimer = this.#clock.after(silentMs, () =>
      child?.kill(`silent for ${this.#options.graceMs} ms after a request's deadline`),
    )
  }

  #onResponse(response: InferResponse): void {
    const flight = this.#flights.get(response.id)
    if (!flight) return
    if ('error' in response) {
      const { code, message } = response.error
      flight.stream.fail(
        new InferError(code, message, { retryable: code === 'deadline' || code === 'overloaded' }),
      )
    } else {
      flight.streamed = true
      flight.stream.push(response)
      this.#failedStarts = 0
    }
    if (response.final) this.#forget(flight)
  }

  // The process

  #wake(): void {
    if (this.#state === 'idle') this.#start()
  }

  #start(): void {
    this.#state = 'starting'
    this.#starts += 1
    this.#pipeFull = false
    const startMs = this.#clock.monotonicMs()
    const { startDeadlineMs } = this.#options
    const child = EngineChild.start(
      this.#options,
      {
        onMessage: (message) => {
          if (message.t === 'ready') this.#onStarted(this.#clock.monotonicMs() - startMs)
          else this.#onMessage(message)
        },
        onDrain: () => {
          this.#pipeFull = false
          this.#pump()
        },
        onExit: (reason) => this.#onLost(reason),
      },
      this.#log,
    )
    this.#child = child
    this.#cancelTimer = this.#clock.after(startDeadlineMs, () =>
      child.kill(`not ready within ${startDeadlineMs} ms`),
    )
  }

  #onStarted(ms: number): void {
    if (this.#state !== 'starting') return
    this.#cancelTimer()
    this.#state = 'running'
    this.#log.info('engine ready', { pid: this.pid, ms: Math.round(ms) })
    this.#send({ t: 'models', models: this.#models.list })
    for (const model of this.#models.wanted) {
      this.#models.onReload(model)
      this.#send({ t: 'load', model })
    }
    this.#firstStart.resolve()
    this.#pump()
  }

  #onMessage(message: Exclude<FromEngine, { t: 'ready' }>): void {
    switch (message.t) {
      case 'loaded':
        this.#failedStarts = 0
        this.#models.onLoaded(message.model, signatureIn(message))
        this.#log.info('model loaded', { model: message.model, ms: Math.round(message.ms) })
        break
      case 'failed':
        this.#models.onFailed(message.model, message.message)
        this.#log.error('model did not load', { model: message.model, reason: message.message })
        break
      case 'response':
        this.#onResponse(message.response as InferResponse)
        break
      case 'status':
        for (const tell of this.#onStatus) tell(message.rssMb)
    }
  }

  #onLost(reason: string): void {
    this.#child = undefined
    this.#cancelTimer()
    if (this.#state === 'stopped') return
    const delayMs = backoffMs(this.#failedStarts, this.#options.restart, this.#clock.random())
    this.#failedStarts += 1
    this.#log.error('engine lost', { reason, inFlight: this.#flights.size, restartInMs: delayMs })
    this.#state = 'restarting'
    this.#firstStart.reject(new InferError('engine-lost', `the engine ${reason}`, { retryable: true }))
    this.#models.onLost()
    for (const flight of [...this.#flights.values()]) this.#onFlightLost(flight, reason)
    this.#cancelTimer = this.#clock.after(delayMs, () => this.#start())
  }

  #onFlightLost(flight: Flight, reason: string): void {
    if (!flight.sent) return
    if (!flight.settled && !flight.streamed && !flight.retried) {
      flight.retried = true
      flight.sent = false
      this.#unsent.push(flight)
      return
    }
    flight.stream.fail(new InferError('engine-lost', `the engine ${reason}`, { retryable: true }))
    this.#forget(flight)
  }

  #send(message: Parameters<EngineChild['send']>[0]): void {
    if (this.#child && !this.#child.send(message)) this.#pipeFull = true
  }

  async #askRss(): Promise<number | undefined> {
    if (this.#state !== 'running') return undefined
    const { promise, resolve } = Promise.withResolvers<number | undefined>()
    // An engine in the middle of a native run is healthy and silent.
    const cancel = this.#clock.after(statusWaitMs, () => resolve(undefined))
    this.#onStatus.add(resolve)
    this.#send({ t: 'status' })
    try {
      return await promise
    } finally {
      cancel()
      this.#onStatus.delete(resolve)
    }
  }
}

const statusWaitMs = 500

function signatureIn({ inputs, outputs }: FromEngine & { t: 'loaded' }): ModelSignature | undefined {
  return inputs && outputs ? { inputs, outputs } : undefined
}

function cancelled(): InferError {
  return new InferError('cancelled', 'cancelled by its caller')
}

function stopped(): InferError {
  return new InferError('engine-stopped', 'the engine was stopped')
}
