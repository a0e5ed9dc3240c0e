/**
 * A server of the Open Inference Protocol v2 over HTTP: Triton, KServe, OpenVINO Model Server. Tensors go as binary data where
 * its metadata names that extension, else as JSON; priority and time left go along where it names `schedule_policy`. Which
 * models: those of the configuration, else its repository index.
 */
import type { Clock } from '../../../runtime/base/clock.ts'
import { messageOf } from '../../../runtime/base/errors.ts'
import type { Log } from '../../../runtime/base/log.ts'
import { type InferChunk, InferError, type InferRequest } from '../../../runtime/wire/infer.ts'
import { oipPriorities } from '../../../runtime/wire/oip.ts'
import {
  checkOutputs,
  oipRequest,
  parseModelMetadata,
  parseOipAnswer,
  parseRepositoryIndex,
  parseServerMetadata,
} from '../../../runtime/wire/oip-client.ts'
import type { Backend, BackendHealth, ServedModel } from './backend.ts'
import { HealthPoll } from './health-poll.ts'
import type { BackendKind, UpstreamModel } from './kind.ts'
import { type Answer, Upstream } from './upstream.ts'

export interface OipBackendOptions {
  readonly id: string
  readonly url: string
  readonly reach: Backend['reach']
  readonly key?: string | undefined
  /** Undefined: all that its repository index says are ready. */
  readonly models?: readonly UpstreamModel[] | undefined
  /** Binary tensors even where its metadata does not name them, or never; undefined: as its metadata says. */
  readonly binary?: boolean | undefined
  readonly concurrency: number
}

/** A model more or less shows within this time. */
const pollMs = 10_000
/** Of one answer: the largest frame of ours, with room for JSON. */
const answerBytesMax = 256 * 2 ** 20
const metadataBytesMax = 2 ** 20
/** Of one server. */
const modelsMax = 256
/** Names that are remembered: a server that lists others each time fills no memory. */
const knownMax = 4096

export class OipBackend implements Backend {
  readonly id: string
  readonly reach: Backend['reach']
  readonly concurrency: number
  readonly #options: OipBackendOptions
  readonly #upstream: Upstream
  readonly #log: Log
  readonly #poll: HealthPoll
  readonly #known: Set<string>
  #models = new Map<string, ServedModel>()
  #extensions: readonly string[] = []
  /** Why, as it was last logged. */
  readonly #leftOut = new Map<string, string>()
  #running = 0

  constructor(deps: { readonly clock: Clock; readonly log: Log }, options: OipBackendOptions) {
    this.id = options.id
    this.reach = options.reach
    this.concurrency = options.concurrency
    this.#options = options
    this.#log = deps.log.named(options.id)
    this.#upstream = new Upstream(deps.clock, options)
    this.#known = new Set(options.models?.map(({ name }) => name))
    this.#poll = new HealthPoll(
      { clock: deps.clock, log: this.#log },
      pollMs,
      (signal) => this.#look(signal),
      () => this.#models.clear(),
    )
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
      const answer = await this.#ask(request, signal)
      if (answer.status !== 200) throw this.#upstream.refusal(answer, errorIn(answer.body))
      const jsonBytes = Number(answer.header('inference-header-content-length') ?? answer.body.byteLength)
      const outputs = parseOipAnswer(answer.body, jsonBytes, request.id)
      checkOutputs(outputs, model.outputs)
      yield { id: request.id, final: true, outputs }
    } finally {
      this.#running -= 1
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#poll[Symbol.asyncDispose]()
    this.#upstream[Symbol.dispose]()
  }

  #ask(request: InferRequest, signal: AbortSignal): Promise<Answer> {
    const scheduled = this.#extensions.includes('schedule_policy')
    const body = oipRequest({
      id: request.id,
      inputs: request.inputs,
      binary: this.#options.binary ?? this.#extensions.includes('binary_tensor_data'),
      parameters: {
        ...request.parameters,
        ...(scheduled && {
          priority: oipPriorities.indexOf(request.priority) + 1,
          timeout: Math.ceil(request.deadlineMs * 1000),
        }),
      },
    })
    return this.#upstream.ask({
      method: 'POST',
      path: `/v2/models/${encodeURIComponent(request.model)}/infer`,
      headers: {
        'content-type': body.contentType,
        ...(body.jsonBytes !== undefined && { 'inference-header-content-length': body.jsonBytes }),
      },
      parts: body.parts,
      bytesMax: answerBytesMax,
      signal,
    })
  }

  /** Ready, what it is, and which models it has. A model that cannot be used here is left out, and why is logged once. */
  async #look(signal: AbortSignal): Promise<number> {
    await this.#get('/v2/health/ready', signal)
    this.#extensions = parseServerMetadata(await this.#get('/v2', signal)).extensions
    const wanted = await this.#wanted(signal)
    const models = await Promise.all(wanted.map((declared) => this.#describe(declared, signal)))
    this.#models = new Map(models.flatMap((model) => (model ? [[model.name, model]] : [])))
    for (const name of this.#models.keys()) if (this.#known.size < knownMax) this.#known.add(name)
    return this.#models.size
  }

  async #wanted(signal: AbortSignal): Promise<readonly UpstreamModel[]> {
    if (this.#options.models) return this.#options.models
    const path = '/v2/repository/index'
    const parts = [Buffer.from('{"ready":true}')]
    const headers = { 'content-type': 'application/json' }
    const answer = await this.#upstream.ask({
      method: 'POST',
      path,
      parts,
      headers,
      bytesMax: metadataBytesMax,
      signal,
    })
    if (answer.status !== 200)
      throw new InferError(
        'unavailable',
        `${this.id} has no repository index (${answer.status}): name its models in gateway.upstreams`,
      )
    return parseRepositoryIndex(answer.body)
      .slice(0, modelsMax)
      .map((name) => ({ name }))
  }

  async #describe(
    { name, task, idempotent = false, cacheS, price }: UpstreamModel,
    signal: AbortSignal,
  ): Promise<ServedModel | undefined> {
    const path = `/v2/models/${encodeURIComponent(name)}`
    try {
      if (!isReady(await this.#get(`${path}/ready`, signal)))
        throw new InferError('unavailable', 'it is not ready')
      const { version, platform, inputs, outputs } = parseModelMetadata(await this.#get(path, signal))
      return { name, version, platform, task, inputs, outputs, idempotent, cacheS, price }
    } catch (error) {
      if (signal.aborted || !(error instanceof InferError) || error.retryable) throw error
      const reason = messageOf(error)
      if (this.#leftOut.get(name) !== reason) this.#log.warn('a model is left out', { model: name, reason })
      if (this.#leftOut.size < knownMax) this.#leftOut.set(name, reason)
      return undefined
    }
  }

  async #get(path: string, signal: AbortSignal): Promise<Buffer> {
    const answer = await this.#upstream.ask({ method: 'GET', path, bytesMax: metadataBytesMax, signal })
    if (answer.status !== 200) throw this.#upstream.refusal(answer, errorIn(answer.body))
    return answer.body
  }
}

/** REST "Model Ready Response JSON Object"; an empty body and status 200 say the same. */
function isReady(body: Buffer): boolean {
  try {
    return (JSON.parse(body.toString('utf8')) as { ready?: unknown } | null)?.ready !== false
  } catch {
    return true
  }
}

/** REST "Inference Response JSON Error Object": `{"error": "<text>"}`. */
function errorIn(body: Buffer): string | undefined {
  try {
    const { error } = JSON.parse(body.toString('utf8')) as { error?: unknown }
    return typeof error === 'string' ? error : undefined
  } catch {
    return undefined
  }
}

export const oipKind: BackendKind = {
  kind: 'oip',
  open: async (deps, { upstreams }) =>
    upstreams.filter(({ kind }) => kind === 'oip').map((upstream) => new OipBackend(deps, upstream)),
}
