/**
 * Keeps an engine process running and speaks to it. The engine may die at any moment: what was under way and had
 * streamed nothing is tried once more on the next engine, within its deadline; the rest fails as `engine-lost`. An engine
 * that has not answered a request by its deadline and a grace time hangs in native code, and is replaced. So is one whose
 * memory has crept past its limit: it ends what it runs, and requests wait for the next one. One that takes far more at
 * once is ended on the spot, and the model that made it is refused.
 */
import type { Cancel, Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import { backoffMs } from '../../base/retry.ts'
import type { EngineModel, FromEngine } from '../../wire/engine-protocol.ts'
import { type InferChunk, InferError, type InferRequest, type InferResponse } from '../../wire/infer.ts'
import { EngineChild } from './engine-child.ts'
import { EngineModels } from './engine-models.ts'
import type {
  EngineProcess,
  EngineState,
  EngineStatus,
  Engines,
  ModelOutlook,
  ModelSignature,
} from './engines.ts'
import { cancelled, type Flight, failureIn, late, newFlight, onTheWire, stopped } from './flight.ts'
import { Flights } from './flights.ts'
import { MemoryGuard } from './memory-guard.ts'
import { Readings } from './readings.ts'
import { type EngineSupervisorOptions, supervisorDefaults } from './supervisor-options.ts'

/** A start, as long as none was timed, milliseconds. */
const unknownStartMs = 400

type Options = Required<EngineSupervisorOptions>

export class EngineSupervisor implements Engines {
  readonly #clock: Clock
  readonly #log: Log
  readonly #options: Options
  readonly #models = new EngineModels()
  readonly #flights: Flights
  readonly #guard: MemoryGuard
  #child: EngineChild | undefined
  readonly #readings: Readings
  #budgetMb: number | undefined
  #state: EngineState = 'idle'
  #pipeFull = false
  /** `drain`: to be replaced, takes nothing new; `end`: was told to end. */
  #replacing: 'drain' | 'end' | undefined
  #replaced = 0
  #starts = 0
  #startMs = unknownStartMs
  #failedStarts = 0
  #cancelTimer: Cancel = () => {}
  /** Settles with the first start; only an eager `open` looks at it. */
  readonly #firstStart = Promise.withResolvers<void>()
  #closing: Promise<void> | undefined

  private constructor(deps: { readonly clock: Clock; readonly log: Log }, options: Options) {
    this.#clock = deps.clock
    this.#log = deps.log.named('engine')
    this.#options = options
    this.#flights = new Flights(options.queueMax)
    this.#models.set(options.models)
    this.#budgetMb = options.budgetMb
    this.#readings = new Readings(
      {
        clock: this.#clock,
        ask: () => this.#state === 'running' && this.#send({ t: 'status' }),
        onCreep: (rssMb) => this.#onCreep(rssMb),
      },
      { everyMs: options.readEveryMs, memory: options.memory },
    )
    this.#guard = new MemoryGuard({
      clock: this.#clock,
      pid: () => this.pid,
      busy: () => this.#underWay.size > 0,
      limitMb: () => options.memoryMaxMb ?? this.#readings.peakMb(this.#budgetMb),
      onOver: (rssMb, limitMb) => this.#onOverrun(rssMb, limitMb),
    })
    this.#firstStart.promise.catch(() => {})
  }

  /** With `start: 'eager'` returns when the engine is ready; throws InferError `engine-lost` when it does not start. */
  static async open(
    deps: { readonly clock: Clock; readonly log: Log },
    options: EngineSupervisorOptions,
    signal: AbortSignal,
  ): Promise<EngineSupervisor> {
    signal.throwIfAborted()
    const supervisor = new EngineSupervisor(deps, { ...supervisorDefaults, ...options })
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
      // Errors are dear to make, and most answers are whole.
      if (this.#flights.has(flight)) this.#settle(flight, cancelled())
    }
  }

  get models(): readonly EngineModel[] {
    return this.#models.list
  }

  signatureOf(name: string): ModelSignature | undefined {
    return this.#models.signatureOf(name)
  }

  setModels(models: readonly EngineModel[]): void {
    this.#models.set(models)
    if (this.#state === 'running') this.#send({ t: 'models', models: this.#models.list })
  }

  async preload(name: string, signal?: AbortSignal): Promise<void> {
    if (this.#state === 'stopped') throw stopped()
    const { loaded, leave } = this.#models.want(name)
    const cancel = this.#clock.after(this.#options.loadDeadlineMs, () => void this.#onLoadLate(name))
    const onAbort = () => leave(cancelled())
    signal?.addEventListener('abort', onAbort, { once: true })
    this.#wake()
    this.#pump()
    try {
      await loaded
    } finally {
      cancel()
      signal?.removeEventListener('abort', onAbort)
    }
  }

  unload(name: string): void {
    this.#models.unwant(name)
    if (this.#state === 'running') this.#send({ t: 'unload', model: name })
  }

  setBudget(budgetMb: number | undefined): void {
    this.#budgetMb = budgetMb
    if (this.#state === 'running') this.#sendLimits()
  }

  outlook(name: string): ModelOutlook | undefined {
    const entry = this.#models.get(name)
    if (!entry) return undefined
    const modelMs = entry.times.quantiles()
    return {
      state: this.#models.stateFor(name, this.#nowMs) ?? entry.state,
      ...(entry.reason === undefined ? {} : { reason: entry.reason }),
      queued: this.#flights.of(name).length,
      queueMs: this.#waitMs(),
      ...(entry.loadMs === undefined ? {} : { loadMs: entry.loadMs }),
      ...(modelMs === undefined ? {} : { modelMs }),
      ...(entry.memoryMb === undefined ? {} : { memoryMb: entry.memoryMb }),
    }
  }

  /** What is known without asking. */
  get process(): EngineProcess {
    return {
      state: this.#state,
      pid: this.pid,
      restarts: Math.max(0, this.#starts - 1),
      replaced: this.#replaced,
      inFlight: this.#flights.size,
      rssMb: this.#readings.last?.rssMb,
    }
  }

  get full(): boolean {
    return this.#flights.full
  }

  async status(): Promise<EngineStatus> {
    const reading = this.#state === 'running' ? await this.#readings.ask() : undefined
    const process = { ...this.process, rssMb: reading?.rssMb }
    return { ...process, models: this.#models.states(), memory: reading?.memory, processes: [process] }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#state = 'stopped'
    this.#replacing = undefined
    this.#cancelTimer()
    this.#guard.stop()
    for (const flight of this.#flights.list) {
      flight.stream.fail(stopped())
      this.#forget(flight)
    }
    this.#models.stop()
    this.#readings.stop()
    this.#firstStart.reject(stopped())
    await this.#child?.stop(this.#clock, this.#options.stopDeadlineMs)
  }

  // Requests

  #take(request: Omit<InferRequest, 'id'>): Flight {
    if (this.#state === 'stopped') throw stopped()
    if (this.full) {
      const line = `${this.#flights.size} requests are under way, no more are taken`
      throw new InferError('overloaded', line, { retryable: true, retryAfterMs: Math.ceil(this.#waitMs()) })
    }
    const refusal = this.#models.refusal(request.model, this.#nowMs)
    if (refusal) throw refusal
    const flight = newFlight(this.#clock, request)
    flight.cancelTimer = this.#clock.after(request.deadlineMs, () => this.#onExpired(flight))
    this.#flights.add(flight)
    this.#wake()
    this.#pump()
    return flight
  }

  /** Expected time until everything taken is answered, milliseconds. */
  #waitMs(): number {
    return this.#models.runMs(this.#flights.list) + (this.#state === 'running' ? 0 : this.#startMs)
  }

  /** Models of the requests that the engine has, and those that it loads. */
  get #underWay(): ReadonlySet<string> {
    return new Set([...this.#models.loading, ...this.#flights.sent.map(({ request }) => request.model)])
  }

  /** Hands the engine what it has room for: models to load, then the most urgent requests. */
  #pump(): void {
    while (this.#state === 'running' && !this.#pipeFull && !this.#replacing) {
      const load = this.#models.nextLoad
      const flight = this.#flights.next()
      const model = load ?? flight?.request.model
      if (model === undefined || !this.#models.mayGo(model, () => this.#underWay)) return
      if (load !== undefined) {
        this.#models.onLoad(load)
        this.#send({ t: 'load', model: load })
      } else if (flight) this.#hand(flight)
      this.#guard.watch()
    }
  }

  #hand(flight: Flight): void {
    this.#flights.hand(flight)
    try {
      this.#send({ t: 'infer', request: onTheWire(flight, this.#nowMs) })
      this.#models.onAsked(flight.request.model)
    } catch (error) {
      flight.stream.fail(new InferError('bad-input', `the inputs are ${messageOf(error)}`))
      this.#forget(flight)
    }
  }

  /** One that answers waits for room, or for its turn: only a silent one hangs in native code. */
  async #onLoadLate(name: string): Promise<void> {
    const child = this.#state === 'running' ? this.#child : undefined
    const line = `model ${name} did not load within ${this.#options.loadDeadlineMs} ms`
    const answers = child !== undefined && (await this.#readings.ask()) !== undefined
    this.#models.onFailed(name, new InferError(answers ? 'memory' : 'model-load', line), this.#nowMs)
    if (!answers) child?.kill(line)
  }

  /** Tells the reader, and the engine if it has the request. Does nothing the second time. */
  #settle(flight: Flight, error: InferError): void {
    if (flight.settled || !this.#flights.has(flight)) return
    flight.settled = true
    flight.stream.fail(error)
    if (flight.sent) this.#send({ t: 'cancel', id: flight.id })
    else this.#forget(flight)
  }

  #forget(flight: Flight): void {
    flight.cancelTimer()
    this.#flights.remove(flight)
    const { model } = flight.request
    if (this.#flights.of(model).length === 0) this.#models.onNotAsked(model)
    if (this.#replacing === 'drain' && this.#flights.sent.length === 0) this.#swap()
    this.#pump()
  }

  #onExpired(flight: Flight): void {
    this.#settle(flight, late(flight))
    if (!this.#flights.has(flight)) return
    // Another request that it may be running still has time: the engine hangs only once that is over too.
    const child = this.#child
    const lastMs = Math.max(...this.#flights.sent.map((one) => one.expiresAtMs))
    const loadMs = this.#models.loading.size > 0 ? this.#options.loadDeadlineMs : 0
    const silentMs = Math.max(lastMs - this.#nowMs, loadMs, 0) + this.#options.graceMs
    flight.cancelTimer = this.#clock.after(silentMs, () => {
      this.#models.onHang([...this.#underWay], this.#nowMs)
      child?.kill(`silent for ${this.#options.graceMs} ms after a request's deadline`)
    })
  }

  #onResponse(response: InferResponse): void {
    const flight = this.#flights.get(response.id)
    if (!flight) return
    if ('error' in response) {
      flight.stream.fail(failureIn(response.error))
    } else {
      flight.streamed = true
      flight.stream.push(response)
      this.#failedStarts = 0
    }
    if (!response.final) return
    if (!('error' in response)) this.#models.onAnswered(flight.request.model, response.modelMs)
    this.#readings.onWork()
    this.#forget(flight)
  }

  // Replacing an engine whose memory has crept past its limit [inference-7]

  #onCreep(rssMb: number): void {
    if (this.#replacing || this.#state !== 'running') return
    this.#log.warn('engine memory is over its limit, it will be replaced', { rssMb: Math.round(rssMb) })
    this.#replacing = 'drain'
    this.#readings.rest()
    this.#cancelTimer = this.#clock.after(this.#options.drainMsMax, () => this.#onDrainedTooLong())
    if (this.#flights.sent.length === 0) this.#swap()
  }

  /** An answer that has begun to stream cannot begin again: it ends in this engine. Any other runs again in the next. */
  #onDrainedTooLong(): void {
    if (this.#flights.sent.some(({ streamed, settled }) => streamed && !settled)) {
      this.#log.warn('engine is not replaced yet: an answer is still under way')
      this.#replacing = undefined
      this.#pump()
    } else this.#swap()
  }

  #swap(): void {
    this.#cancelTimer()
    this.#replacing = 'end'
    const child = this.#child
    if (this.#flights.sent.length > 0) child?.kill('was replaced while a run went on')
    else void child?.stop(this.#clock, this.#options.stopDeadlineMs)
  }

  #onOverrun(rssMb: number, limitMb: number): void {
    const models = [...this.#underWay]
    const took = `${Math.round(rssMb)} MB of memory, more than the ${Math.round(limitMb)} MB that an engine may take`
    this.#log.error('engine memory has run over, it is ended', { rssMb: Math.round(rssMb), models })
    // What was too much before they began is the engine's own.
    if (this.#readings.isOver(this.#budgetMb)) this.#replacing = 'end'
    else this.#models.onOverrun(models, `it took ${took}`, this.#nowMs)
    this.#child?.kill(`took ${took}`)
  }

  // The process

  #wake(): void {
    if (this.#state === 'idle') this.#start()
  }

  #start(): void {
    this.#state = 'starting'
    this.#starts += 1
    this.#pipeFull = false
    const startMs = this.#nowMs
    const { startDeadlineMs } = this.#options
    const child = EngineChild.start(
      this.#options,
      {
        onMessage: (message) => {
          if (message.t === 'ready') this.#onStarted(this.#nowMs - startMs)
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
    this.#startMs = ms
    this.#log.info('engine ready', { pid: this.pid, ms: Math.round(ms) })
    this.#readings.onStarted()
    this.#sendLimits()
    this.#send({ t: 'models', models: this.#models.list })
    this.#models.onStarted()
    this.#firstStart.resolve()
    this.#pump()
  }

  #onMessage(message: Exclude<FromEngine, { t: 'ready' }>): void {
    switch (message.t) {
      case 'loaded':
        this.#failedStarts = 0
        this.#models.onLoaded(message)
        this.#readings.onWork()
        this.#log.info('model loaded', { model: message.model, ms: Math.round(message.ms) })
        this.#pump()
        break
      case 'failed':
        this.#onFailed(message)
        break
      case 'evicted':
        this.#models.onEvicted(message.model)
        this.#log.info('model made room', { model: message.model, memoryMb: message.memoryMb })
        break
      case 'response':
        this.#onResponse(message.response as InferResponse)
        break
      case 'status':
        this.#models.onFigures(message.models)
        this.#readings.onStatus(message, this.#budgetMb)
    }
  }

  #onFailed({ model, message, code = 'model-load' }: FromEngine & { t: 'failed' }): void {
    this.#models.onFailed(model, new InferError(code, message), this.#nowMs)
    this.#log.error('model did not load', { model, reason: message })
    this.#pump()
  }

  #onLost(reason: string): void {
    this.#child = undefined
    this.#cancelTimer()
    if (this.#state === 'stopped') return
    this.#state = 'restarting'
    const replaced = this.#replacing === 'end'
    this.#replacing = undefined
    if (replaced) this.#models.onReplaced()
    else this.#models.onLost(this.#nowMs)
    for (const flight of this.#flights.list) this.#onFlightLost(flight, reason)
    if (replaced) {
      this.#replaced += 1
      this.#start()
    } else this.#startLater(reason)
  }

  #startLater(reason: string): void {
    const delayMs = backoffMs(this.#failedStarts, this.#options.restart, this.#clock.random())
    this.#failedStarts += 1
    this.#log.error('engine lost', { reason, inFlight: this.#flights.size, restartInMs: delayMs })
    this.#firstStart.reject(new InferError('engine-lost', `the engine ${reason}`, { retryable: true }))
    this.#cancelTimer = this.#clock.after(delayMs, () => this.#start())
  }

  #onFlightLost(flight: Flight, reason: string): void {
    if (!flight.sent) return
    const refusal = this.#models.refusal(flight.request.model, this.#nowMs)
    if (!refusal && !flight.settled && !flight.streamed && !flight.retried) {
      this.#flights.again(flight)
      return
    }
    flight.stream.fail(refusal ?? new InferError('engine-lost', `the engine ${reason}`, { retryable: true }))
    this.#forget(flight)
  }

  get #nowMs(): number {
    return this.#clock.monotonicMs()
  }

  #sendLimits(): void {
    this.#send({ t: 'limits', ...(this.#budgetMb === undefined ? {} : { budgetMb: this.#budgetMb }) })
  }

  #send(message: Parameters<EngineChild['send']>[0]): void {
    if (this.#child && !this.#child.send(message)) this.#pipeFull = true
  }
}
