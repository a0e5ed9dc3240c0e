/**
 * A language model as the thinking loop sees it: one request, one message. Which one answers, and where, is the router's to decide
 * within the label; what comes back is checked before anybody believes its shape.
 */
import * as v from 'valibot'
import type { Inference } from '../../inference/inference.ts'
import { InferError, mayTravel, type Priority, type Privacy } from '../../wire/infer.ts'
import type { Json } from '../contract.ts'

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
  /** What it cost, where anybody asks for money. */
  readonly price?: number | undefined
  /** It was computed elsewhere than on this device. */
  readonly away: boolean
}

/** Throws InferError. `refused`: no model may see what carries that label. `unavailable`: there is none. */
export type Chat = (request: ChatRequest, signal: AbortSignal) => Promise<ChatAnswer>

/** What answers chats: the router. */
export interface ChatModels extends Inference {
  modelsFor(task: string): readonly { readonly name: string; readonly reach: Privacy }[]
}

/** Calls of one message; a model that asks for more is asked again after these. */
const toolCallsMax = 16

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
  usage: v.nullish(v.object({ total_tokens: v.pipe(v.number(), v.integer(), v.minValue(0)) })),
})

/** Asks the nearest language model that the label allows; `preferred` where it may, when it is there. */
export function chatBy(models: ChatModels, preferred?: string): Chat {
  return async (request, signal) => {
    const model = chosen(models, request.privacy, preferred)
    const { privacy, priority, deadlineMs } = request
    const text = JSON.stringify({ model, ...bodyOf(request) })
    const asked = {
      ...{ model, privacy, priority, deadlineMs },
      inputs: [{ name: 'request', datatype: 'BYTES' as const, shape: [1], data: [text] }],
    }
    for await (const chunk of models.infer(asked, signal)) {
      const { final, outputs, privacy: label = privacy, price, away = false } = chunk
      const response = outputs.find(({ name }) => name === 'response')
      if (response?.datatype === 'BYTES')
        return { ...answerOf(model, response.data[0] ?? '', label), price, away }
      if (final) break
    }
    throw new InferError('run', `${model} gave no answer`)
  }
}

function chosen(models: ChatModels, privacy: Privacy, preferred: string | undefined): string {
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
  return allowed.find(({ name }) => name === preferred)?.name ?? nearest.name
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

function answerOf(model: string, text: string, privacy: Privacy): Omit<ChatAnswer, 'away' | 'price'> {
  const parsed = v.safeParse(v.pipe(v.string(), v.parseJson(), answerSchema), text)
  const [choice] = parsed.success ? parsed.output.choices : []
  if (!parsed.success || !choice) throw new InferError('run', `${model} gave what is no answer of a chat`)
  const { content, tool_calls: calls } = choice.message
  const toolCalls = calls
    .slice(0, toolCallsMax)
    .map(({ id, function: asked }) => ({ id, name: asked.name, arguments: asked.arguments }))
  if (toolCalls.length === 0 && !content) throw new InferError('run', `${model} said nothing`)
  return { content, toolCalls, tokens: parsed.output.usage?.total_tokens, privacy }
}
