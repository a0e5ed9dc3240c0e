/**
 * A server of the Open Inference Protocol v2 over HTTP: Triton, KServe, OpenVINO Model Server. Tensors go as binary data where
 * its metadata names that extension, else as JSON; priority and time left go along where it names `schedule_policy`. Which
 * models: those of the configuration, else its repository index.
 */
import { messageOf } from '../../../runtime/base/errors.ts'
import type { Log } from '../../../runtime/base/log.ts'
import { type InferChunk, InferError, type InferRequest } from '../../../runtime/wire/infer.ts'
import { wireLimits } from '../../../runtime/wire/limits.ts'
import { oipPriorities } from '../../../runtime/wire/oip.ts'
import {
  checkOutputs,
  oipRequest,
  parseModelMetadata,
  parseOipAnswer,
  parseRepositoryIndex,
  parseServerMetadata,
} from '../../../runtime/wire/oip-client.ts'
import type { ServedModel } from './backend.ts'
import type { UpstreamConfig, UpstreamModel } from './kind.ts'
import type { Answer, Upstream } from './upstream.ts'
import { modelsMax, type Protocol, upstreamKind } from './upstream-backend.ts'
import { recordIn } from './upstream-refusal.ts'

/** Of one answer: the largest frame of ours, and what is around it. As JSON that is some five million numbers. */
const answerBytesMax = wireLimits.frameBytesMax + 2 ** 20
const metadataBytesMax = 2 ** 20
/** Models whose reason for being left out is remembered. */
const leftOutMax = 4096
/** What servers without a repository index answer. */
const noIndex = [400, 404, 405, 501]

class OipProtocol implements Protocol {
  /** A model more or less shows within this time. */
  readonly lookEveryMs = 10_000
  readonly #upstream: Upstream
  readonly #config: UpstreamConfig
  readonly #log: Log
  #extensions: readonly string[] = []
  /** Why, as it was last logged. */
  readonly #leftOut = new Map<string, string>()

  constructor(upstream: Upstream, config: UpstreamConfig, log: Log) {
    this.#upstream = upstream
    this.#config = config
    this.#log = log
  }

  async *infer(
    { idempotent, outputs: promised }: ServedModel,
    request: InferRequest,
    signal: AbortSignal,
  ): AsyncGenerator<InferChunk, void, undefined> {
    const { body, header } = await this.#ask(request, idempotent, signal)
    const jsonBytes = Number(header('inference-header-content-length') ?? body.byteLength)
    const outputs = parseOipAnswer(body, jsonBytes, request.id)
    checkOutputs(outputs, promised)
    yield { id: request.id, final: true, outputs }
  }

  /**
   * Live, what it is, and which models it has. A model that cannot be used here is left out, and why is logged once. Whether the
   * server calls itself ready does not matter: by the specification it is not while any one of its models is not.
   */
  async look(signal: AbortSignal): Promise<readonly ServedModel[]> {
    await this.#get('/v2/health/live', signal)
    this.#extensions = parseServerMetadata(await this.#get('/v2', signal)).extensions
    const wanted = await this.#wanted(signal)
    const models = await Promise.all(wanted.map((declared) => this.#describe(declared, signal)))
    return models.filter((model) => model !== undefined)
  }

  #ask(request: InferRequest, repeatable: boolean, signal: AbortSignal): Promise<Answer> {
    const scheduled = this.#extensions.includes('schedule_policy')
    const body = oipRequest({
      id: request.id,
      inputs: request.inputs,
      binary: this.#config.binary ?? this.#extensions.includes('binary_tensor_data'),
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
      ...{ repeatable, bytesMax: answerBytesMax, signal },
    })
  }

  async #wanted(signal: AbortSignal): Promise<readonly UpstreamModel[]> {
    if (this.#config.models) return this.#config.models
    const { status, body } = await this.#upstream.ask({
      method: 'POST',
      path: '/v2/repository/index',
      headers: { 'content-type': 'application/json' },
      parts: [Buffer.from('{"ready":true}')],
      ...{ repeatable: true, also: noIndex, bytesMax: metadataBytesMax, signal },
    })
    if (status !== 200)
      throw new InferError(
        'unavailable',
        `${this.#upstream.id} has no repository index (${status}): name its models in gateway.upstreams`,
      )
    return parseRepositoryIndex(body)
      .slice(0, modelsMax)
      .map((name) => ({ name }))
  }

  async #describe(
    { name, task, idempotent = false, cacheS, price }: UpstreamModel,
    signal: AbortSignal,
  ): Promise<ServedModel | undefined> {
    const path = `/v2/models/${encodeURIComponent(name)}`
    try {
      // REST "Model Ready Response JSON Object"; an empty body and status 200 say the same.
      if (recordIn(await this.#get(`${path}/ready`, signal))?.['ready'] === false)
        throw new InferError('unavailable', 'it is not ready')
      const { version, platform, inputs, outputs } = parseModelMetadata(await this.#get(path, signal))
      return { name, version, platform, task, inputs, outputs, idempotent, cacheS, price }
    } catch (error) {
      if (signal.aborted || !(error instanceof InferError) || isGone(error)) throw error
      const reason = messageOf(error)
      if (this.#leftOut.get(name) !== reason) this.#log.warn('a model is left out', { model: name, reason })
      if (this.#leftOut.size < leftOutMax) this.#leftOut.set(name, reason)
      return undefined
    }
  }

  async #get(path: string, signal: AbortSignal): Promise<Buffer> {
    const limits = { repeatable: true, bytesMax: metadataBytesMax, signal }
    return (await this.#upstream.ask({ method: 'GET', path, ...limits })).body
  }
}

/** The server, not the model. */
const isGone = ({ code, retryable }: InferError) =>
  code === 'engine-lost' || (code === 'unavailable' && retryable)

export const oipKind = upstreamKind('oip', (...args) => new OipProtocol(...args))
