/**
 * A server with OpenAI's API: vLLM, llama.cpp server, Ollama, a cloud. Chats, embeddings and recordings are passed through in
 * the form of `../tasks.ts`; what comes back is checked as far as its shape goes. The key is sent to that server and never said.
 */
import * as v from 'valibot'
import type { Clock } from '../../../runtime/base/clock.ts'
import type { Log } from '../../../runtime/base/log.ts'
import {
  type InferChunk,
  InferError,
  type InferRequest,
  type Priority,
  type Tensor,
} from '../../../runtime/wire/infer.ts'
import { type Task, taskSignatures, textIn, textTensor } from '../tasks.ts'
import type { Backend, BackendHealth, ServedModel } from './backend.ts'
import { HealthPoll } from './health-poll.ts'
import type { BackendKind, UpstreamModel } from './kind.ts'
import { multipartForm } from './multipart-form.ts'
import { serverSentEvents } from './server-sent-events.ts'
import { type Answer, type Streamed, Upstream } from './upstream.ts'

export interface OpenAiBackendOptions {
  readonly id: string
  /** As clients of OpenAI name it: up to `/v1`, without a slash at the end. */
  readonly url: string
  readonly reach: Backend['reach']
  readonly key?: string | undefined
  /** Undefined: all that it lists, for chats. */
  readonly models?: readonly UpstreamModel[] | undefined
  /** It takes vLLM's `priority`: lower is served earlier. */
  readonly priority: boolean
  readonly concurrency: number
}

/** In a cloud each look may be billed or counted. */
const pollMs: Readonly<Record<Backend['reach'], number>> = { site: 10_000, cloud: 60_000 }
const listBytesMax = 4 * 2 ** 20
/** A long generation with its log probabilities; embeddings of a batch. */
const answerBytesMax = 64 * 2 ** 20
const modelsMax = 256
/** vLLM, `priority`: lower is handled earlier, the default is 0. */
const priorities: Readonly<Record<Priority, number>> = { control: -10, interactive: 0, background: 10 }

const embeddings = v.object({
  data: v.array(v.object({ index: v.optional(v.number()), embedding: v.array(v.number()) })),
  usage: v.optional(v.object({ prompt_tokens: v.optional(v.number()) })),
})
const list = v.object({
  data: v.array(v.object({ id: v.pipe(v.string(), v.minLength(1), v.maxLength(256)) })),
})

export class OpenAiBackend implements Backend {
  readonly id: string
  readonly reach: Backend['reach']
  readonly concurrency: number
  readonly #options: OpenAiBackendOptions
  readonly #upstream: Upstream
  readonly #poll: HealthPoll
  readonly #known: Set<string>
  #models = new Map<string, ServedModel>()
  #running = 0

  constructor(deps: { readonly clock: Clock; readonly log: Log }, options: OpenAiBackendOptions) {
    this.id = options.id
    this.reach = options.reach
    this.concurrency = options.concurrency
    this.#options = options
    this.#upstream = new Upstream(deps.clock, options)
    this.#known = new Set(options.models?.map(({ name }) => name))
    this.#poll = new HealthPoll(
      { clock: deps.clock, log: deps.log.named(options.id) },
      pollMs[options.reach],
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
    const task = this.#models.get(request.model)?.task as Task | undefined
    if (!task) throw new InferError('model-unknown', `${this.id} has no model ${request.model} now`)
    this.#running += 1
    try {
      if (task === 'chat') yield* this.#chat(request, signal)
      else if (task === 'embeddings') yield await this.#embeddings(request, signal)
      else yield* this.#transcription(request, signal)
    } finally {
      this.#running -= 1
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#poll[Symbol.asyncDispose]()
    this.#upstream[Symbol.dispose]()
  }

  async *#chat(request: InferRequest, signal: AbortSignal): AsyncGenerator<InferChunk, void, undefined> {
    const body = jsonRecord(textIn(request.inputs, 'request'), 'input request')
    const streams = body['stream'] === true
    const answer = await this.#post(
      request,
      '/chat/completions',
      jsonPart(this.#asked(request, body)),
      signal,
    )
    if (streams) yield* this.#events(request, answer)
    else
      yield await this.#whole(request, answer, (json) => {
        if (!Array.isArray(record(json)?.['choices']))
          throw garbage(this.id, 'a chat completion has no choices')
      })
  }

  async #embeddings(request: InferRequest, signal: AbortSignal): Promise<InferChunk> {
    const texts = request.inputs.find(({ name }) => name === 'text')
    if (texts?.datatype !== 'BYTES' || texts.data.length === 0)
      throw new InferError('bad-input', 'input text is not BYTES [n] with n > 0')
    const { dimensions } = request.parameters ?? {}
    const body = {
      input: texts.data,
      encoding_format: 'float',
      ...(dimensions !== undefined && { dimensions }),
    }
    const answer = await this.#post(request, '/embeddings', jsonPart(this.#asked(request, body)), signal)
    const parsed = v.safeParse(embeddings, parse((await whole(answer)).body))
    if (!parsed.success) throw garbage(this.id, 'embeddings without their data')
    const { data, usage } = parsed.output
    const tokens = usage?.prompt_tokens
    return {
      id: request.id,
      final: true,
      outputs: [
        vectors(this.id, data, texts.data.length),
        ...(tokens === undefined ? [] : [countTensor('tokens', tokens)]),
      ],
    }
  }

  async *#transcription(
    request: InferRequest,
    signal: AbortSignal,
  ): AsyncGenerator<InferChunk, void, undefined> {
    const file = request.inputs.find(({ name }) => name === 'file')
    if (file?.datatype !== 'UINT8') throw new InferError('bad-input', 'input file is not UINT8 [n]')
    const fields = jsonRecord(textIn(request.inputs, 'request'), 'input request')
    const form = multipartForm({ ...fields, model: request.model }, file.data)
    const answer = await this.#post(request, '/audio/transcriptions', form, signal)
    if (fields['stream'] === 'true') yield* this.#events(request, answer)
    else yield await this.#whole(request, answer)
  }

  /** The model under its own name there, and how urgent it is. */
  #asked(request: InferRequest, body: Readonly<Record<string, unknown>>) {
    const priority = this.#options.priority && { priority: priorities[request.priority] }
    return { ...body, model: request.model, ...priority }
  }

  async #post(
    request: InferRequest,
    path: string,
    { type, parts }: { readonly type: string; readonly parts: readonly Uint8Array[] },
    signal: AbortSignal,
  ): Promise<Streamed> {
    const headers = { 'content-type': type, 'x-request-id': request.id, accept: '*/*' }
    const answer = await this.#upstream.stream({
      method: 'POST',
      path,
      headers,
      parts,
      bytesMax: answerBytesMax,
      signal,
    })
    if (answer.status === 200) return answer
    throw this.#upstream.refusal(answer, errorIn((await whole(answer)).body))
  }

  /** A final chunk with the answer as `response`. */
  async #whole(
    request: InferRequest,
    answer: Streamed,
    check: (json: unknown) => void = () => {},
  ): Promise<InferChunk> {
    const { body } = await whole(answer)
    const type = answer.header('content-type') ?? ''
    if (/html/i.test(type)) throw garbage(this.id, `it answered with ${type.slice(0, 80)}`)
    check(parse(body))
    return { id: request.id, final: true, outputs: [textTensor('response', body.toString('utf8'))] }
  }

  /** One chunk an event. A stream that ends without its end, or with an error, is none. */
  async *#events({ id }: InferRequest, answer: Streamed): AsyncGenerator<InferChunk, void, undefined> {
    const type = answer.header('content-type') ?? ''
    if (!/^text\/event-stream\b/i.test(type)) {
      await answer.chunks.return(undefined)
      throw garbage(this.id, `asked for a stream it answered with ${type.slice(0, 80) || 'no content type'}`)
    }
    for await (const data of serverSentEvents(answer.chunks)) {
      if (data === '[DONE]') return yield { id, final: true, outputs: [] }
      const event = record(parse(Buffer.from(data)))
      if (!event) throw garbage(this.id, 'an event is no JSON object')
      if (event['error'] !== undefined)
        throw new InferError(
          'run',
          `${this.id}: ${this.#upstream.said(errorIn(Buffer.from(data)) ?? 'it failed')}`,
          {
            retryable: true,
          },
        )
      yield { id, final: false, outputs: [textTensor('event', data)] }
      // A transcript says itself that it is done.
      if (event['type'] === 'transcript.text.done') return yield { id, final: true, outputs: [] }
    }
    throw new InferError('engine-lost', `${this.id} ended its answer before the end`, { retryable: true })
  }

  async #look(signal: AbortSignal): Promise<number> {
    const answer = await this.#upstream.ask({
      method: 'GET',
      path: '/models',
      bytesMax: listBytesMax,
      signal,
    })
    const declared = this.#options.models
    // Not every server lists its models; one that answers is there.
    const unlisted = declared !== undefined && answer.status === 404
    if (answer.status !== 200 && !unlisted) throw this.#upstream.refusal(answer, errorIn(answer.body))
    const names = declared ?? this.#listed(answer)
    this.#models = new Map(names.map((model) => [model.name, servedModel(model)]))
    for (const name of this.#models.keys()) if (this.#known.size < 4096) this.#known.add(name)
    return this.#models.size
  }

  #listed({ body }: Answer): readonly UpstreamModel[] {
    const listed = v.safeParse(list, parse(body))
    if (!listed.success) throw garbage(this.id, 'its list of models is none')
    return listed.output.data.slice(0, modelsMax).map(({ id }) => ({ name: id }))
  }
}

function servedModel({ name, task = 'chat', idempotent, cacheS, price }: UpstreamModel): ServedModel {
  const signature = taskSignatures[task as Task]
  // Chats are sampled; vectors of the same text are the same.
  return {
    name,
    version: '',
    platform: 'openai_api',
    task,
    ...signature,
    idempotent: idempotent ?? task === 'embeddings',
    cacheS,
    price,
  }
}

/** Streams of whole answers are small: bounded by `answerBytesMax`. */
async function whole(answer: Streamed): Promise<{ readonly body: Buffer }> {
  const parts: Buffer[] = []
  for await (const chunk of answer.chunks) parts.push(chunk)
  return { body: Buffer.concat(parts) }
}

function jsonPart(value: unknown) {
  return { type: 'application/json', parts: [Buffer.from(JSON.stringify(value))] }
}

function vectors(id: string, data: v.InferOutput<typeof embeddings>['data'], texts: number): Tensor {
  const length = data[0]?.embedding.length ?? 0
  const even = data.every(({ embedding }) => embedding.length === length && embedding.every(Number.isFinite))
  if (data.length !== texts || length === 0 || !even)
    throw garbage(id, `${texts} texts got ${data.length} vectors, or vectors of several lengths`)
  const sorted = data.every(({ index }) => index !== undefined)
    ? data.toSorted((a, b) => (a.index ?? 0) - (b.index ?? 0))
    : data
  const flat = new Float32Array(texts * length)
  for (const [at, { embedding }] of sorted.entries()) flat.set(embedding, at * length)
  return { name: 'embedding', datatype: 'FP32', shape: [texts, length], data: flat }
}

function countTensor(name: string, count: number): Tensor {
  return { name, datatype: 'INT32', shape: [1], data: Int32Array.of(count) }
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    return undefined
  }
}

function record(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined
}

function jsonRecord(text: string | undefined, what: string): Readonly<Record<string, unknown>> {
  const found = record(parse(Buffer.from(text ?? '')))
  if (!found) throw new InferError('bad-input', `${what} is not BYTES [1] with a JSON object`)
  return found
}

/** OpenAI: `{"error": {"message": …}}`; others: `{"error": "…"}`, `{"message": …}`. */
function errorIn(body: Buffer): string | undefined {
  const json = record(parse(body))
  const error = json?.['error']
  const message = record(error)?.['message'] ?? error ?? json?.['message']
  return typeof message === 'string' ? message : undefined
}

function garbage(id: string, line: string): InferError {
  return new InferError('run', `${id} broke the protocol: ${line}`, { retryable: true })
}

export const openAiKind: BackendKind = {
  kind: 'openai',
  open: async (deps, { upstreams }) =>
    upstreams.filter(({ kind }) => kind === 'openai').map((upstream) => new OpenAiBackend(deps, upstream)),
}
