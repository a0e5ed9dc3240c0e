/**
 * A server with OpenAI's API: vLLM, llama.cpp server, Ollama, a cloud. Chats, embeddings and recordings are passed through in
 * the form of `../tasks.ts`; what comes back is checked as far as its shape goes. The key is sent to that server and never said.
 */
import * as v from 'valibot'
import {
  type InferChunk,
  InferError,
  type InferRequest,
  type Priority,
  type Tensor,
  wholeToo,
} from '../../../runtime/wire/infer.ts'
import { type Task, taskSignatures, textIn, textTensor } from '../tasks.ts'
import type { Backend, ServedModel } from './backend.ts'
import type { UpstreamConfig, UpstreamModel } from './kind.ts'
import { type FormBody, multipartForm } from './multipart-form.ts'
import { serverSentEvents } from './server-sent-events.ts'
import { type Answer, type Streamed, type Upstream, wholeOf } from './upstream.ts'
import { modelsMax, type Protocol, upstreamKind } from './upstream-backend.ts'
import { jsonIn, reasonIn, recordIn, recordOf } from './upstream-refusal.ts'

/** In a cloud each look may be billed or counted. */
const lookEveryMs: Readonly<Record<Backend['reach'], number>> = { site: 10_000, cloud: 60_000 }
const listBytesMax = 4 * 2 ** 20
/** A long generation with its log probabilities; embeddings of a batch. */
const answerBytesMax = 64 * 2 ** 20
/** vLLM, `priority`: lower is handled earlier, the default is 0. */
const priorities: Readonly<Record<Priority, number>> = { control: -10, interactive: 0, background: 10 }
/** Answers to one chat at once: more than anybody asks for. */
const choicesMax = 128
const eventStream = /^text\/event-stream\b/i
/** A page of whatever stands in front of the server is no answer of it. */
const noPage = /^(?!.*html)/i
/** Formats of a transcript that are JSON; the others are plain text. */
const jsonFormats: readonly unknown[] = [undefined, 'json', 'verbose_json']

const embeddings = v.object({
  data: v.array(v.object({ index: v.nullish(v.number()), embedding: v.custom<number[]>(isVector) })),
  usage: v.nullish(v.object({ prompt_tokens: v.nullish(v.number()) })),
})
const list = v.object({
  data: v.array(v.object({ id: v.pipe(v.string(), v.minLength(1), v.maxLength(256)) })),
})

/** One request on its way. */
interface Sending {
  readonly request: InferRequest
  readonly repeatable: boolean
  readonly signal: AbortSignal
}

class OpenAiProtocol implements Protocol {
  readonly lookEveryMs: number
  readonly #upstream: Upstream
  readonly #config: UpstreamConfig

  constructor(upstream: Upstream, config: UpstreamConfig) {
    this.lookEveryMs = lookEveryMs[config.reach]
    this.#upstream = upstream
    this.#config = config
  }

  async *infer(
    { task, idempotent: repeatable }: ServedModel,
    request: InferRequest,
    signal: AbortSignal,
  ): AsyncGenerator<InferChunk, void, undefined> {
    const sending = { request, repeatable, signal }
    if (task === 'chat') yield* this.#chat(sending)
    else if (task === 'embeddings') yield await this.#embeddings(sending)
    else yield* this.#transcription(sending)
  }

  async look(signal: AbortSignal): Promise<readonly ServedModel[]> {
    const declared = this.#config.models
    // Not every server lists its models; one that answers is there.
    const also = declared ? [404] : []
    const limits = { repeatable: true, also, bytesMax: listBytesMax, signal }
    const answer = await this.#upstream.ask({ method: 'GET', path: '/models', ...limits })
    return (declared ?? this.#listed(answer)).map(servedModel)
  }

  async *#chat(sending: Sending): AsyncGenerator<InferChunk, void, undefined> {
    const { request } = sending
    const body = jsonInput(request)
    const path = '/chat/completions'
    const sent = jsonPart(this.#asked(request, body))
    const streams = body['stream'] === true
    const strictly = streams && request.parameters?.[wholeToo] !== true
    const answered = await this.#post(sending, path, sent, strictly ? eventStream : noPage)
    if (streams && (strictly || eventStream.test(answered.header('content-type') ?? ''))) {
      yield* this.#events(request, answered, typeof body['n'] === 'number' ? body['n'] : 1)
      return
    }
    const answer = await wholeOf(answered.chunks)
    if (!Array.isArray(recordIn(answer)?.['choices']))
      throw this.#upstream.broke('a chat completion has no choices')
    yield wholeChunk(request, answer)
  }

  async #embeddings(sending: Sending): Promise<InferChunk> {
    const { request } = sending
    const texts = request.inputs.find(({ name }) => name === 'text')
    if (texts?.datatype !== 'BYTES' || texts.data.length === 0)
      throw new InferError('bad-input', 'input text is not BYTES [n] with n > 0')
    const { dimensions } = request.parameters ?? {}
    const body = {
      input: texts.data,
      encoding_format: 'float',
      ...(dimensions !== undefined && { dimensions }),
    }
    const answer = await this.#post(sending, '/embeddings', jsonPart(this.#asked(request, body)))
    const parsed = v.safeParse(embeddings, jsonIn(await wholeOf(answer.chunks)))
    if (!parsed.success) throw this.#upstream.broke('embeddings without their data')
    const { data, usage } = parsed.output
    const vectors = rowsOf(data, texts.data.length)
    if (!vectors)
      throw this.#upstream.broke(
        `${texts.data.length} texts got ${data.length} vectors, or some of several lengths or indexes`,
      )
    const tokens = usage?.prompt_tokens
    return {
      id: request.id,
      final: true,
      outputs: [vectors, ...(typeof tokens !== 'number' ? [] : [countTensor('tokens', tokens)])],
    }
  }

  async *#transcription(sending: Sending): AsyncGenerator<InferChunk, void, undefined> {
    const { request } = sending
    const file = request.inputs.find(({ name }) => name === 'file')
    if (file?.datatype !== 'UINT8') throw new InferError('bad-input', 'input file is not UINT8 [n]')
    const fields = jsonInput(request)
    const form = multipartForm({ ...fields, model: request.model }, file.data)
    const path = '/audio/transcriptions'
    if (fields['stream'] === 'true') {
      yield* this.#events(request, await this.#post(sending, path, form, eventStream))
      return
    }
    const answer = await wholeOf((await this.#post(sending, path, form)).chunks)
    if (jsonFormats.includes(fields['response_format']) && typeof recordIn(answer)?.['text'] !== 'string')
      throw this.#upstream.broke('a transcript has no text')
    yield wholeChunk(request, answer)
  }

  /** The model under its own name there, and how urgent it is. */
  #asked(request: InferRequest, body: Readonly<Record<string, unknown>>) {
    const priority = this.#config.priority && { priority: priorities[request.priority] }
    return { ...body, model: request.model, ...priority }
  }

  #post(
    { request, repeatable, signal }: Sending,
    path: string,
    { type: sent, parts }: FormBody,
    type = noPage,
  ): Promise<Streamed> {
    const headers = { 'content-type': sent, 'x-request-id': request.id, accept: '*/*' }
    const limits = { repeatable, type, bytesMax: answerBytesMax, signal }
    return this.#upstream.stream({ method: 'POST', path, headers, parts, ...limits })
  }

  /**
   * One chunk an event. A stream that ends without its end, or with an error, is none; that all `asked` choices have their
   * `finish_reason` is an end too, which some servers leave it at.
   */
  async *#events(
    { id }: InferRequest,
    { chunks }: Streamed,
    asked = 1,
  ): AsyncGenerator<InferChunk, void, undefined> {
    const server = this.#upstream
    const choices = new Choices(asked)
    for await (const data of serverSentEvents(chunks)) {
      if (data === '[DONE]') return yield { id, final: true, outputs: [] }
      const event = recordIn(Buffer.from(data))
      if (!event) throw server.broke('an event is no JSON object')
      // Some servers say that there is none.
      if (event['error'] != null) {
        const said = server.said(reasonIn(Buffer.from(data)) ?? 'it failed')
        throw new InferError('run', `${server.id}: ${said}`, { retryable: true })
      }
      choices.hear(event)
      yield { id, final: false, outputs: [textTensor('event', data)] }
      // A transcript says itself that it is done.
      if (event['type'] === 'transcript.text.done') return yield { id, final: true, outputs: [] }
    }
    if (choices.ended) return yield { id, final: true, outputs: [] }
    throw new InferError('engine-lost', `${server.id} ended its answer before the end`, { retryable: true })
  }

  #listed({ body }: Answer): readonly UpstreamModel[] {
    const listed = v.safeParse(list, jsonIn(body))
    if (!listed.success) throw this.#upstream.broke('its list of models is none')
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

/** Which choices of a streamed chat have begun, and said their end; one that was asked for may not have begun. */
class Choices {
  readonly #asked: number
  readonly #begun = new Set<unknown>()
  readonly #ended = new Set<unknown>()

  constructor(asked: number) {
    this.#asked = asked
  }

  get ended(): boolean {
    return this.#ended.size >= Math.max(1, this.#asked, this.#begun.size)
  }

  hear({ choices }: Readonly<Record<string, unknown>>): void {
    for (const one of Array.isArray(choices) ? choices.slice(0, choicesMax) : []) {
      const { index = 0, finish_reason: reason } = recordOf(one) ?? {}
      if (this.#begun.size < choicesMax) this.#begun.add(index)
      if (typeof reason === 'string' && this.#begun.has(index)) this.#ended.add(index)
    }
  }
}

/** The answer as `response`. */
function wholeChunk({ id }: InferRequest, answer: Buffer): InferChunk {
  return { id, final: true, outputs: [textTensor('response', answer.toString('utf8'))] }
}

function jsonPart(value: unknown): FormBody {
  return { type: 'application/json', parts: [Buffer.from(JSON.stringify(value))] }
}

function jsonInput({ inputs }: InferRequest): Readonly<Record<string, unknown>> {
  const found = recordIn(Buffer.from(textIn(inputs, 'request') ?? ''))
  if (!found) throw new InferError('bad-input', 'input request is not BYTES [1] with a JSON object')
  return found
}

function isVector(value: unknown): boolean {
  return Array.isArray(value) && value.every((one) => typeof one === 'number')
}

/** In the order of the texts. Undefined: not one vector for each text, all of one length and finite as 32-bit floats. */
function rowsOf(data: v.InferOutput<typeof embeddings>['data'], texts: number): Tensor | undefined {
  const length = data[0]?.embedding.length ?? 0
  // Before there is room for so many of that length: one long vector may stand for many.
  if (data.length !== texts || length === 0 || data.some(({ embedding }) => embedding.length !== length))
    return undefined
  const numbered = data.every(({ index }) => typeof index === 'number')
  const rows = numbered ? data.toSorted((a, b) => Number(a.index) - Number(b.index)) : data
  if (numbered && rows.some(({ index }, at) => index !== at)) return undefined
  const flat = new Float32Array(texts * length)
  for (const [at, { embedding }] of rows.entries()) flat.set(embedding, at * length)
  if (!flat.every(Number.isFinite)) return undefined
  return { name: 'embedding', datatype: 'FP32', shape: [texts, length], data: flat }
}

function countTensor(name: string, count: number): Tensor {
  return { name, datatype: 'INT32', shape: [1], data: Int32Array.of(count) }
}

export const openAiKind = upstreamKind('openai', (upstream, config) => new OpenAiProtocol(upstream, config))
