/**
 * A server elsewhere as a backend, whatever protocol it speaks: which models it has is asked again and again, what it had is
 * remembered, what runs there is counted. What differs between protocols is a `Protocol`.
 */
import type { Clock } from '../../../runtime/base/clock.ts'
import type { Log } from '../../../runtime/base/log.ts'
import { type InferChunk, InferError, type InferRequest } from '../../../runtime/wire/infer.ts'
import type { Backend, BackendHealth, ServedModel } from './backend.ts'
import { HealthPoll } from './health-poll.ts'
import type { BackendKind, UpstreamConfig } from './kind.ts'
import { Upstream } from './upstream.ts'

export interface Protocol {
  /** Between two looks at a server that is well, milliseconds. */
  readonly lookEveryMs: number
  /** The models that it has now. Throws InferError where it cannot be used. */
  look(signal: AbortSignal): Promise<readonly ServedModel[]>
  /** As `Backend.infer`, of a model that it has. */
  infer(
    model: ServedModel,
    request: InferRequest,
    signal: AbortSignal,
  ): AsyncGenerator<InferChunk, void, undefined>
}

export type Speak = (upstream: Upstream, config: UpstreamConfig, log: Log) => Protocol

/** Of one server. */
export const modelsMax = 256
/** Names that are remembered: a server that lists others each time fills no memory. */
const knownMax = 4096

export class UpstreamBackend implements Backend {
  readonly id: string
  readonly reach: Backend['reach']
  readonly concurrency: number
  readonly #upstream: Upstream
  readonly #protocol: Protocol
  readonly #poll: HealthPoll
  readonly #known: Set<string>
  #models = new Map<string, ServedModel>()
  #running = 0

  /** Waits for nobody: a server that is away becomes ready later. */
  static open(
    deps: { readonly clock: Clock; readonly log: Log },
    config: UpstreamConfig,
    speak: Speak,
  ): UpstreamBackend {
    const backend = new UpstreamBackend(deps, config, speak)
    backend.#poll.start()
    return backend
  }

  private constructor(
    { clock, log }: { readonly clock: Clock; readonly log: Log },
    config: UpstreamConfig,
    speak: Speak,
  ) {
    this.id = config.id
    this.reach = config.reach
    this.concurrency = config.concurrency
    const deps = { clock, log: log.named(config.id) }
    this.#upstream = new Upstream(clock, config)
    this.#protocol = speak(this.#upstream, config, deps.log)
    this.#known = new Set(config.models?.map(({ name }) => name))
    this.#poll = new HealthPoll(deps, {
      everyMs: this.#protocol.lookEveryMs,
      look: (signal) => this.#look(signal),
      onAway: () => this.#models.clear(),
    })
  }

  get parallel(): number {
    return this.concurrency
  }

  models(): readonly ServedModel[] {
    return [...this.#models.values()]
  }

  knows(model: string): boolean {
    return this.#known.has(model)
  }

  health(): BackendHealth {
    return { ...this.#poll.state, running: this.#running, queued: 0 }
  }

  async *infer(request: InferRequest, signal: AbortSignal): AsyncGenerator<InferChunk, void, undefined> {
    const model = this.#models.get(request.model)
    if (!model) throw new InferError('model-unknown', `${this.id} has no model ${request.model} now`)
    this.#running += 1
    try {
      yield* this.#protocol.infer(model, request, signal)
    } finally {
      this.#running -= 1
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#poll[Symbol.asyncDispose]()
    this.#upstream[Symbol.dispose]()
  }

  async #look(signal: AbortSignal): Promise<number> {
    const models = await this.#protocol.look(signal)
    this.#models = new Map(models.map((model) => [model.name, model]))
    for (const name of this.#models.keys()) if (this.#known.size < knownMax) this.#known.add(name)
    return this.#models.size
  }
}

/** A kind of backend: as many as the configuration names servers of it. */
export function upstreamKind(kind: UpstreamConfig['kind'], speak: Speak): BackendKind {
  return {
    kind,
    open: async (deps, { upstreams }) =>
      upstreams.filter((one) => one.kind === kind).map((one) => UpstreamBackend.open(deps, one, speak)),
  }
}
