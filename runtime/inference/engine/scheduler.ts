/**
 * Runs requests step by step, the most urgent first: between two steps a request can be cancelled, expire, or wait while
 * a more urgent one runs. Within a class, first come first served to the end. Every request is answered exactly once with
 * a final response.
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
  type Tensor,
} from '../../wire/infer.ts'
import type { ModelTable } from './model-table.ts'
import type { Steps } from './pipelines/pipeline.ts'
import { PriorityQueue } from './priority-queue.ts'
import type { Meter } from './session.ts'

/** A request whose inputs nobody has checked yet. */
export type UncheckedRequest = Omit<InferRequest, 'inputs'> & { readonly inputs: readonly unknown[] }

interface Job {
  readonly request: UncheckedRequest
  readonly priority: Priority
  readonly expiresAtMs: number
  readonly meter: Meter
  readonly steps: Steps
}

export interface SchedulerDeps {
  readonly clock: Clock
  readonly models: ModelTable
  /** Hands a response on. */
  readonly respond: (response: InferResponse) => void
  /** Resolves when the other side has taken enough of what was sent. */
  readonly drained: () => Promise<void>
}

export class Scheduler {
  readonly #deps: SchedulerDeps
  readonly #queue: PriorityQueue<Job>
  readonly #jobs = new Map<string, Job>()
  #running = false

  constructor(deps: SchedulerDeps, options: { readonly queueMax: number }) {
    this.#deps = deps
    this.#queue = new PriorityQueue(options.queueMax)
  }

  add(request: UncheckedRequest): void {
    const meter = { modelMs: 0 }
    const job: Job = {
      request,
      priority: request.priority,
      expiresAtMs: this.#deps.clock.monotonicMs() + request.deadlineMs,
      meter,
      steps: this.#steps(request, meter),
    }
    if (!this.#queue.push(job)) {
      this.#fail(request.id, 'overloaded', `${this.#queue.max} requests wait already`)
      return
    }
    this.#jobs.set(request.id, job)
    if (!this.#running) void this.#run()
  }

  cancel(id: string): void {
    const job = this.#jobs.get(id)
    if (job) this.#end(job, 'cancelled', 'cancelled by its sender')
  }

  /** Answers everything that waits. */
  stop(): void {
    for (const job of this.#jobs.values()) this.#end(job, 'engine-stopped', 'the engine stops')
  }

  async #run(): Promise<void> {
    this.#running = true
    // A turn of the event loop before each step: what came in on the pipe meanwhile counts.
    for (;;) {
      await turn()
      await this.#deps.drained()
      this.#expire()
      const job = this.#queue.peek()
      if (!job) break
      await this.#step(job)
    }
    this.#running = false
  }

  async #step(job: Job): Promise<void> {
    try {
      const step = await job.steps.next()
      if (!this.#jobs.has(job.request.id)) return
      if (step.done) {
        this.#remove(job)
        this.#deps.respond(chunkOf(job, step.value, true))
      } else if (step.value) this.#deps.respond(chunkOf(job, step.value, false))
    } catch (error) {
      this.#end(job, error instanceof InferError ? error.code : 'run', messageOf(error))
    }
  }

  async *#steps(request: UncheckedRequest, meter: Meter): Steps {
    const { pipeline, done } = await this.#deps.models.use(request.model)
    try {
      // Loading may have taken long: look at the pipe before the first run.
      yield undefined
      return yield* pipeline.run(request.inputs, meter)
    } finally {
      done()
    }
  }

  #expire(): void {
    const nowMs = this.#deps.clock.monotonicMs()
    for (const job of this.#queue)
      if (job.expiresAtMs <= nowMs)
        this.#end(job, 'deadline', `not finished within its ${job.request.deadlineMs} ms`)
  }

  #end(job: Job, code: InferErrorCode, message: string): void {
    if (!this.#remove(job)) return
    this.#fail(job.request.id, code, message)
    // Queued behind a step under way; releases the model.
    job.steps.return([]).catch(() => {})
  }

  #remove(job: Job): boolean {
    this.#queue.remove(job)
    return this.#jobs.delete(job.request.id)
  }

  #fail(id: string, code: InferErrorCode, message: string): void {
    this.#deps.respond({ id, final: true, error: { code, message: message.slice(0, 4096) } })
  }
}

function chunkOf(job: Job, outputs: readonly Tensor[], final: boolean): InferResponse {
  return { id: job.request.id, final, outputs, ...(final ? { modelMs: job.meter.modelMs } : {}) }
}
