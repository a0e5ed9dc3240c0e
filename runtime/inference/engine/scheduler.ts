/**
 * Runs requests step by step in the order of `turn-order.ts`: between two steps a request can be cancelled, expire, or wait
 * while a more urgent one runs. Every request is answered exactly once with a final response.
 *
 * What is past its deadline is dropped before its next step, and what cannot make it before its first: when the time that it
 * has left is less than the quickest of its model's last runs, running it would only make others late. One in `probeEvery` of
 * those runs all the same, or a model that has become quick again would never show it.
 */
import { setImmediate as turn } from 'node:timers/promises'
import type { Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import {
  InferError,
  type InferErrorCode,
  type InferRequest,
  type InferResponse,
  type Priority,
  priorities,
  type Tensor,
} from '../../wire/infer.ts'
import { type Share, shareOf } from './batch.ts'
import { checkAnswer } from './finite.ts'
import type { ModelFigures } from './model-figures.ts'
import type { ModelTable, Use } from './model-table.ts'
import type { Steps, Together } from './pipelines/pipeline.ts'
import { PriorityQueue } from './priority-queue.ts'
import type { Meter } from './session.ts'
import { TurnOrder } from './turn-order.ts'

/** A request whose inputs nobody has checked yet. */
export type UncheckedRequest = Omit<InferRequest, 'inputs'> & { readonly inputs: readonly unknown[] }

interface Job {
  readonly request: UncheckedRequest
  readonly model: string
  readonly priority: Priority
  readonly arrivedMs: number
  readonly expiresAtMs: number
  readonly meter: Meter
  /** Undefined for a model that is not in the list. */
  readonly figures: ModelFigures | undefined
  share: Share | undefined
  begun: boolean
  /** In a batch that runs: its inputs are read until that ends. */
  together: boolean
  /** An output lies in the memory of its inputs. */
  aliased: boolean
  /** Once it has begun. */
  use?: Use
  steps?: Steps
}

export interface SchedulerDeps {
  readonly clock: Clock
  readonly models: ModelTable
  /** Hands a response on. */
  readonly respond: (response: InferResponse) => void
  /** Resolves when the other side has taken enough of what was sent. */
  readonly drained: () => Promise<void>
  /** Nothing reads this memory of a request's inputs any more. */
  readonly doneWith: (buffer: ArrayBufferLike) => void
}

export interface SchedulerOptions {
  /** Requests under way or waiting. */
  readonly queueMax: number
  /** Of one model: what floods it leaves room for the others. As many as all, where not given. */
  readonly modelQueueMax?: number
}

const probeEvery = 8

export class Scheduler {
  readonly #deps: SchedulerDeps
  readonly #modelQueueMax: number
  readonly #queue: PriorityQueue<Job>
  readonly #order: TurnOrder<Job>
  readonly #jobs = new Map<string, Job>()
  #running = false
  #wake: () => void = () => {}
  #hopeless = 0

  constructor(deps: SchedulerDeps, { queueMax, modelQueueMax = queueMax }: SchedulerOptions) {
    this.#deps = deps
    this.#modelQueueMax = modelQueueMax
    this.#queue = new PriorityQueue(queueMax)
    const { models } = deps
    this.#order = new TurnOrder(this.#queue, {
      batchOf: (model) => models.modelOf(model)?.batch,
      blocked: (model) => models.blocked(model),
      runMs: (model) => models.figuresOf(model)?.quantileMs(0.95) ?? 0,
    })
  }

  add(request: UncheckedRequest): void {
    const job = this.#jobOf(request)
    const full = this.#makePlace(job)
    if (full !== undefined) {
      if (job.figures) job.figures.refused += 1
      this.#fail(request.id, 'overloaded', full)
      return
    }
    this.#order.arrives(job, job.arrivedMs)
    this.#queue.push(job)
    this.#jobs.set(request.id, job)
    if (job.figures) job.figures.queued += 1
    this.wake()
  }

  cancel(id: string): void {
    const job = this.#jobs.get(id)
    if (job) this.#end(job, 'cancelled', 'cancelled by its sender')
  }

  /** Answers everything that waits. */
  stop(): void {
    for (const job of this.#jobs.values()) this.#end(job, 'engine-stopped', 'the engine stops')
  }

  /** Looks whether somebody can go now: memory was freed, time has passed. */
  wake(): void {
    this.#wake()
    if (!this.#running && this.#jobs.size > 0) void this.#run()
  }

  #jobOf(request: UncheckedRequest): Job {
    const { models, clock } = this.#deps
    const { model, priority, deadlineMs } = request
    const nowMs = clock.monotonicMs()
    return {
      request,
      model,
      priority,
      arrivedMs: nowMs,
      expiresAtMs: nowMs + deadlineMs,
      meter: { modelMs: 0 },
      figures: models.figuresOf(model),
      share: models.modelOf(model)?.batch ? shareOf(request.inputs) : undefined,
      begun: false,
      together: false,
      aliased: false,
    }
  }

  /** One line when there is no place. Work of a less urgent class that has not begun makes way. */
  #makePlace(job: Job): string | undefined {
    if (this.#queue.size < Math.min(this.#modelQueueMax, this.#queue.max)) return undefined
    const ofModel = [...this.#queue].filter(({ model }) => model === job.model)
    const modelFull = ofModel.length >= this.#modelQueueMax
    if (!modelFull && this.#queue.size < this.#queue.max) return undefined
    const candidates = modelFull ? ofModel : [...this.#queue]
    const least = candidates.findLast(
      (other) => !other.begun && priorities.indexOf(other.priority) > priorities.indexOf(job.priority),
    )
    if (least) {
      if (least.figures) least.figures.refused += 1
      this.#end(least, 'overloaded', 'made way for more urgent work')
      return undefined
    }
    return this.#queue.size >= this.#queue.max
      ? `${this.#queue.max} requests wait already`
      : `${ofModel.length} requests for ${job.model} wait already`
  }

  async #run(): Promise<void> {
    this.#running = true
    // A turn of the event loop before each step: what came in on the pipe meanwhile counts.
    for (;;) {
      await turn()
      await this.#deps.drained()
      this.#expire()
      if (this.#jobs.size === 0) break
      const next = this.#order.next(this.#deps.clock.monotonicMs())
      if ('go' in next) await this.#go(next.go)
      else await this.#idle(next.lookAgainMs)
    }
    this.#running = false
  }

  /** Until somebody comes, memory is freed, `untilMs`, or the first deadline. */
  async #idle(untilMs = Infinity): Promise<void> {
    const { clock } = this.#deps
    const firstMs = Math.min(untilMs, ...[...this.#jobs.values()].map(({ expiresAtMs }) => expiresAtMs))
    await new Promise<void>((resolve) => {
      const cancel = clock.after(Math.max(0, firstMs - clock.monotonicMs()), resolve)
      this.#wake = () => {
        cancel()
        resolve()
      }
    })
    this.#wake = () => {}
  }

  async #go(jobs: readonly Job[]): Promise<void> {
    const going = jobs.filter((job) => job.begun || !this.#dropHopeless(job))
    const [first, ...others] = going
    if (!first) return
    if (others.length === 0) await this.#step(first)
    else await this.#together(going)
  }

  // One request

  async #step(job: Job): Promise<void> {
    try {
      // A load takes long: what came in meanwhile may be more urgent than its first step.
      if (!job.use && (await this.#begin(job))) return
      const { use, steps } = job as Required<Job>
      const step = await use.step(() => steps.next())
      if (!this.#jobs.has(job.request.id)) return
      if (step.done) this.#answer(job, step.value)
      else if (step.value) this.#deps.respond(this.#chunk(job, step.value, false))
    } catch (error) {
      this.#endWith(job, error)
    }
  }

  /** Gets hold of the model. True when it had to load, or the request ended meanwhile. */
  async #begin(job: Job): Promise<boolean> {
    const { figures } = job
    job.begun = true
    if (figures) {
      figures.queued -= 1
      figures.running += 1
    }
    const loads = figures?.loads
    const use = await this.#deps.models.use(job.model)
    if (!this.#jobs.has(job.request.id)) {
      use.done()
      return true
    }
    job.use = use
    job.steps = use.pipeline.run(job.request.inputs, job.meter)
    return loads !== figures?.loads
  }

  // Several as one

  async #together(jobs: readonly Job[]): Promise<void> {
    const meter = { modelMs: 0 }
    let use: Use | undefined
    for (const job of jobs) job.together = true
    try {
      use = await this.#deps.models.use(jobs[0]?.model ?? '')
      const { pipeline, step } = use
      const inputs = jobs.map(({ request }) => request.inputs)
      const results = await step(async () => (await pipeline.runTogether?.(inputs, meter)) ?? [])
      this.#countBatch(jobs)
      for (const [at, job] of jobs.entries()) this.#answerShare(job, results[at], meter.modelMs)
    } catch (error) {
      // What one of them brought may have failed the run: each shows for itself.
      if (use) for (const job of jobs) job.share = undefined
      else for (const job of jobs) this.#endWith(job, error)
    } finally {
      use?.done()
      for (const job of jobs) {
        job.together = false
        if (!this.#jobs.has(job.request.id)) this.#doneWithInputs(job)
      }
    }
  }

  #answerShare(job: Job, result: Together | undefined, modelMs: number): void {
    if (!this.#jobs.has(job.request.id)) return
    job.meter.modelMs = modelMs
    if (result === undefined || result instanceof InferError)
      this.#endWith(job, result ?? new InferError('run', 'the batch gave no answer'))
    else
      try {
        this.#answer(job, result)
      } catch (error) {
        this.#endWith(job, error)
      }
  }

  #countBatch(jobs: readonly Job[]): void {
    const figures = jobs[0]?.figures
    if (!figures) return
    figures.batches += 1
    figures.batchedRows += jobs.reduce((sum, { share }) => sum + (share?.rows ?? 0), 0)
  }

  // The end of requests

  /** Throws InferError `run` for an answer that is none. */
  #answer(job: Job, outputs: readonly Tensor[]): void {
    const chunk = this.#chunk(job, outputs, true)
    this.#remove(job)
    if (job.figures) {
      job.figures.answered += 1
      job.figures.ran(job.meter.modelMs)
    }
    this.#deps.respond(chunk)
  }

  #chunk(job: Job, outputs: readonly Tensor[], final: boolean): InferResponse {
    job.aliased ||= outputs.some((output) => job.request.inputs.some((input) => shareMemory(input, output)))
    if (this.#deps.models.modelOf(job.model)?.options?.['allowNaN'] !== true) checkAnswer(outputs)
    return { id: job.request.id, final, outputs, ...(final ? { modelMs: job.meter.modelMs } : {}) }
  }

  #expire(): void {
    const nowMs = this.#deps.clock.monotonicMs()
    for (const job of this.#queue)
      if (job.expiresAtMs <= nowMs)
        this.#end(job, 'deadline', `not finished within its ${job.request.deadlineMs} ms`)
  }

  /** True when it was dropped, since no run is as quick as the time that it has left. */
  #dropHopeless(job: Job): boolean {
    const leftMs = job.expiresAtMs - this.#deps.clock.monotonicMs()
    if (leftMs >= (job.figures?.lastMs ?? 0)) return false
    const bestMs = job.figures?.bestMs ?? 0
    if (leftMs >= bestMs) return false
    this.#hopeless += 1
    if (this.#hopeless % probeEvery === 0) return false
    const left = `${leftMs.toFixed(1)} ms are left, and the quickest of the last runs took ${bestMs.toFixed(1)}`
    this.#end(job, 'deadline', `not run: of its ${job.request.deadlineMs} ms ${left}`)
    return true
  }

  #endWith(job: Job, error: unknown): void {
    this.#end(job, error instanceof InferError ? error.code : 'run', messageOf(error))
  }

  #end(job: Job, code: InferErrorCode, message: string): void {
    if (!this.#remove(job)) return
    if (job.figures && code === 'deadline') job.figures.expired += 1
    if (job.figures && (code === 'bad-input' || code === 'memory')) job.figures.refused += 1
    this.#fail(job.request.id, code, message)
  }

  #remove(job: Job): boolean {
    this.#queue.remove(job)
    if (!this.#jobs.delete(job.request.id)) return false
    const { figures, use, steps } = job
    if (figures && job.begun) figures.running -= 1
    else if (figures) figures.queued -= 1
    // The pipeline ends first, behind a step that is under way; then the model is let go.
    void (steps ? steps.return([]) : Promise.resolve())
      .catch(() => {})
      .finally(() => {
        use?.done()
        this.#doneWithInputs(job)
      })
    return true
  }

  #doneWithInputs(job: Job): void {
    if (job.together || job.aliased) return
    for (const input of job.request.inputs) {
      const buffer = bufferOf(input)
      if (buffer) this.#deps.doneWith(buffer)
    }
  }

  #fail(id: string, code: InferErrorCode, message: string): void {
    this.#deps.respond({ id, final: true, error: { code, message: message.slice(0, 4096) } })
  }
}

function bufferOf(tensor: unknown): ArrayBufferLike | undefined {
  const data = (tensor as { data?: unknown } | null)?.data
  return ArrayBuffer.isView(data) ? data.buffer : undefined
}

function shareMemory(one: unknown, other: unknown): boolean {
  const buffer = bufferOf(one)
  return buffer !== undefined && buffer === bufferOf(other)
}
