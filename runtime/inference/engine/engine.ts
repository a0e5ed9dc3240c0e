/** The engine without its process: messages in, messages out. Its state is the model table and the scheduler. */
import * as v from 'valibot'
import type { Clock } from '../../base/clock.ts'
import { type FromEngine, inferRequest, type ToEngine, toEngine } from '../../wire/engine-protocol.ts'
import type { InferResponse } from '../../wire/infer.ts'
import { check } from '../../wire/messages.ts'
import type { roomFor } from './memory-budget.ts'
import { ModelTable } from './model-table.ts'
import { pipelines } from './pipelines/index.ts'
import { Scheduler, type UncheckedRequest } from './scheduler.ts'

export interface EngineDeps {
  readonly clock: Clock
  readonly pid: number
  readonly send: (message: FromEngine) => void
  /** Resolves when the reader has taken enough of what was sent. */
  readonly drained: () => Promise<void>
  /** Nothing reads this memory of a request's inputs any more. */
  readonly doneWith?: (buffer: ArrayBufferLike) => void
  readonly rssBytes: () => number
  /** What native code holds in this process, megabytes. */
  readonly nativeMb: () => number
  /** Called on `stop`, after everything that waited was answered. */
  readonly onStop: () => void
  /** One line about a message that was ignored. */
  readonly warn: (line: string) => void
}

export interface EngineOptions {
  /** Requests under way or waiting; the sender bounds its own too. */
  readonly queueMax: number
  /** Of one model; as many as all, where not given. */
  readonly modelQueueMax?: number
  readonly intraOpThreads: number
  /** Which models make room; by their worth, where not given. */
  readonly roomFor?: typeof roomFor
}

const malformedInfer = v.object({ t: v.literal('infer'), request: v.pick(inferRequest, ['id']) })

export class Engine {
  readonly #deps: EngineDeps
  readonly #models: ModelTable
  readonly #scheduler: Scheduler

  constructor(deps: EngineDeps, options: EngineOptions) {
    this.#deps = deps
    const { send } = deps
    this.#models = new ModelTable(deps.clock, {
      pipelines,
      intraOpThreads: options.intraOpThreads,
      nativeMb: deps.nativeMb,
      ...(options.roomFor ? { roomFor: options.roomFor } : {}),
      onLoaded: ({ model, ms, memoryMb, signature }) =>
        send({
          t: 'loaded',
          model,
          ms,
          memoryMb,
          ...(signature ? { inputs: [...signature.inputs], outputs: [...signature.outputs] } : {}),
        }),
      onFailed: (model, { code, message }) =>
        send({ t: 'failed', model, message, code: code === 'memory' ? 'memory' : 'model-load' }),
      onEvicted: (model, memoryMb) => send({ t: 'evicted', model, memoryMb }),
      onFreed: () => this.#scheduler.wake(),
    })
    const respond = (response: InferResponse) => send({ t: 'response', response } as FromEngine)
    this.#scheduler = new Scheduler(
      {
        clock: deps.clock,
        models: this.#models,
        respond,
        drained: deps.drained,
        doneWith: deps.doneWith ?? (() => {}),
      },
      options,
    )
  }

  start(): void {
    this.#deps.send({ t: 'ready', pid: this.#deps.pid })
  }

  handle(value: unknown): void {
    const message = check(toEngine, value)
    if (message.ok) this.#dispatch(message.value)
    else if (!this.#refused(value, message.reason)) this.#deps.warn(`ignored a message: ${message.reason}`)
  }

  /** A request that breaks the rules is answered all the same, where it has an id: its sender waits. */
  #refused(value: unknown, reason: string): boolean {
    const asked = v.safeParse(malformedInfer, value)
    if (!asked.success) return false
    const { id } = asked.output.request
    const error = { code: 'bad-input', message: reason } as const
    this.#deps.send({ t: 'response', response: { id, final: true, error } })
    return true
  }

  #dispatch(message: ToEngine): void {
    switch (message.t) {
      case 'models':
        this.#models.set(message.models)
        break
      case 'limits':
        this.#models.setBudget(message.budgetMb)
        break
      case 'load':
        void this.#models.load(message.model)
        break
      case 'unload':
        this.#models.unload(message.model)
        break
      case 'infer':
        this.#scheduler.add(message.request as UncheckedRequest)
        break
      case 'cancel':
        this.#scheduler.cancel(message.id)
        break
      case 'status':
        this.#deps.send({
          t: 'status',
          models: this.#models.states(),
          rssMb: this.#deps.rssBytes() / 2 ** 20,
          memory: this.#models.memory(),
        })
        break
      case 'stop':
        this.#scheduler.stop()
        this.#deps.onStop()
    }
  }
}
