/**
 * A language model as the thinking loop sees it: one request, one message. Which one answers, and where, is the router's to decide
 * within the label; what comes back is checked before anybody believes its shape. It is asked for the message in pieces, so that it can
 * be stopped between them; from a server that cannot do that it is taken whole.
 */
import * as v from 'valibot'
import type { Inference } from '../../inference/inference.ts'
import {
  type InferChunk,
  InferError,
  mayTravel,
  type Priority,
  type Privacy,
  strictest,
  wholeToo,
} from '../../wire/infer.ts'
import type { Json } from '../contract.ts'
import { messageCharsMax, StreamedMessage, tooLong, toolCallsMax, usage } from './streamed-message.ts'

/** What a model wants done. `arguments` is JSON as the model wrote it, or what it took for JSON. */
export interface ToolCall {
  readonly id: string
  readonly name: string
  readonly arguments: string
}
export type Message =
  | { readonly role: 'system' | 'user'; readonly content: string }
  | { readonly role: 'assistant'; readonly content: string | null; readonly toolCalls: readonly ToolCall[] }
  | { readonly role: 'tool'; readonly id: string; readonly content: string }

export interface ChatTool {
  readonly name: string
  readonly description: string
  readonly parameters: { readonly [key: string]: Json }
}

export interface ChatRequest {
  readonly messages: readonly Message[]
  readonly tools: readonly ChatTool[]
  readonly schema?: Json | undefined
  /** Of everything in the messages: the strictest. */
  readonly privacy: Privacy
  /** Of the agent: who is served first, here and at the server. */
  readonly priority: Priority
  readonly tokensMax: number
  readonly deadlineMs: number
}

export interface ChatAnswer {
  readonly content: string | null
  readonly toolCalls: readonly ToolCall[]
  /** Of the request and the answer, as the server counted; undefined where it does not. */
  readonly tokens: number | undefined
  readonly privacy: Privacy
  /** Absent: nothing but tokens. */
  readonly used?: Used | undefined
}

/** What a question has used, beside the tokens that the server says. */
export interface Used {
  /** Of an answer that comes in pieces, so far: these at least. Of one that came whole 0. */
  readonly tokens: number
  /** To the gateway and back. */
  readonly bytes: number
  readonly money: number
  /** Time of a model of this home, milliseconds: what a cloud computes costs nobody here. Undefined: nobody says. */
  readonly engineMs: number | undefined
}

/**
 * Throws InferError. `refused`: no model may see what carries that label. `unavailable`: there is none. `hear` is told with each piece
 * what is used up to it; aborting ends the request, also at the server.
 */
export type Chat = (
  request: ChatRequest,
  signal: AbortSignal,
  hear?: (used: Used) => void,
) => Promise<ChatAnswer>

/** What answers chats: the router. */
export interface ChatModels extends Inference {
  modelsFor(task: string): readonly { readonly name: string; readonly reach: Privacy }[]
}

/** Models that are remembered to give their answers only whole. */
const wholeMax = 64
/** JSON of one that comes whole, in characters: it is not read beyond that. */
const answerCharsMax = 4 * messageCharsMax

const answerSchema = v.object({
  choices: v.pipe(
    v.array(
      v.object({
        message: v.object({
          content: v.nullish(v.string(), null),
          tool_calls: v.nullish(
            v.array(
              v.object({
                id: v.pipe(v.string(), v.minLength(1), v.maxLength(128)),
                function: v.object({ name: v.pipe(v.string(), v.maxLength(128)), arguments: v.string() }),
              }),
            ),
            [],
          ),
        }),
      }),
    ),
    v.minLength(1),
  ),
  usage,
})

/** Asks the nearest language model that the label allows; `preferred` where it may, when it is there. */
export function chatBy(models: ChatModels, preferred?: string): Chat {
  // Those that refuse to be asked for a stream, and not for the whole.
  const whole = new Set<string>()
  return async (request, signal, hear = () => {}) => {
    const model = chosen(models, request.privacy, preferred)
    const asking = { models, model, request, hear }
    if (whole.has(model.name)) return await answered(asking, false, signal)
    try {
      return await answered(asking, true, signal)
    } catch (error) {
      if (!(error instanceof InferError && error.code === 'bad-input')) throw error
      const answer = await answered(asking, false, signal)
      if (whole.size < wholeMax) whole.add(model.name)
      return answer
    }
  }
}

interface Asking {
  readonly models: ChatModels
  readonly model: ReturnType<ChatModels['modelsFor']>[number]
  readonly request: ChatRequest
  readonly hear: (used: Used) => void
}

async function answered(
  { models, model: { name: model, reach }, request, hear }: Asking,
  inPieces: boolean,
  signal: AbortSignal,
): Promise<ChatAnswer> {
  const { priority, deadlineMs } = request
  const asked = JSON.stringify({ model, ...bodyOf(request), ...(inPieces && streaming) })
  const chunks = models.infer(
    {
      ...{ model, privacy: request.privacy, priority, deadlineMs },
      inputs: [{ name: 'request', datatype: 'BYTES', shape: [1], data: [asked] }],
      ...(inPieces && { parameters: { [wholeToo]: true } }),
    },
    signal,
  )
  const message = new StreamedMessage(model)
  let bytes = Buffer.byteLength(asked)
  let privacy = request.privacy
  for await (const chunk of chunks) {
    privacy = strictest(privacy, chunk.privacy ?? privacy)
    const [response] = textsIn(chunk, 'response')
    const events = textsIn(chunk, 'event')
    for (const text of [response ?? '', ...events]) bytes += Buffer.byteLength(text)
    for (const event of events) message.add(event)
    const { final, away, price: money = 0, modelMs, served } = chunk
    const engineMs = reach === 'cloud' ? 0 : (modelMs ?? served?.runMs)
    const used = { tokens: message.tokens, bytes: away ? bytes : 0, money, engineMs }
    if (response !== undefined) return { ...answerOf(model, response), privacy, used }
    hear(used)
    if (final && message.tokens > 0)
      return { ...answerOf(model, JSON.stringify(message.whole())), privacy, used }
    if (final) break
  }
  throw new InferError('run', `${model} gave no answer`)
}

/** In the last piece the server says how many tokens it were. */
const streaming = { stream: true, stream_options: { include_usage: true } }

function textsIn({ outputs }: InferChunk, name: string): readonly string[] {
  const tensor = outputs.find((one) => one.name === name)
  return tensor?.datatype === 'BYTES' ? tensor.data : []
}

function chosen(models: ChatModels, privacy: Privacy, preferred: string | undefined): Asking['model'] {
  const all = models.modelsFor('chat')
  if (all.length === 0)
    throw new InferError(
      'unavailable',
      "there is no language model: name a server with OpenAI's API in gateway.upstreams of a gateway on this broker",
    )
  const allowed = all.filter(({ reach }) => mayTravel(privacy, reach))
  const [nearest] = allowed
  if (!nearest) {
    const there = all.map(({ name, reach }) => `${name} (${reach})`).slice(0, 5)
    throw new InferError(
      'refused',
      `what was said or found out is labelled ${privacy}, and no language model may see that: ${there.join(', ')}`,
    )
  }
  return allowed.find(({ name }) => name === preferred) ?? nearest
}

function bodyOf({ messages, tools, schema, tokensMax }: ChatRequest) {
  return {
    messages: messages.map(asSent),
    max_tokens: tokensMax,
    ...(tools.length > 0 && { tools: tools.map((tool) => ({ type: 'function', function: tool })) }),
    ...(schema !== undefined && {
      response_format: { type: 'json_schema', json_schema: { name: 'answer', schema } },
    }),
  }
}

function asSent(message: Message): object {
  if (message.role === 'tool') return { role: 'tool', tool_call_id: message.id, content: message.content }
  if (message.role !== 'assistant' || message.toolCalls.length === 0)
    return { role: message.role, content: message.content ?? '' }
  const calls = message.toolCalls.map(({ id, name, arguments: args }) => ({
    ...{ id, type: 'function', function: { name, arguments: args } },
  }))
  return { role: 'assistant', content: message.content, tool_calls: calls }
}

function answerOf(model: string, text: string): Omit<ChatAnswer, 'privacy' | 'used'> {
  if (text.length > answerCharsMax) throw tooLong(model)
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), answerSchema), text)
  const [choice] = parsed.success ? parsed.output.choices : []
  if (!parsed.success || !choice) throw new InferError('run', `${model} gave what is no answer of a chat`)
  const { content, tool_calls: calls } = choice.message
  const toolCalls = calls
    .slice(0, toolCallsMax)
    .map(({ id, function: asked }) => ({ id, name: asked.name, arguments: asked.arguments }))
  if (toolCalls.length === 0 && !content) throw new InferError('run', `${model} said nothing`)
  const chars = toolCalls.reduce((sum, call) => sum + call.arguments.length, content?.length ?? 0)
  if (chars > messageCharsMax) throw tooLong(model)
  return { content, toolCalls, tokens: parsed.output.usage?.total_tokens }
}
