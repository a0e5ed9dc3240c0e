/**
 * POST /v1/chat/completions: passed through to a server that has the model, with everything in it (tools, JSON schema, usage),
 * as one answer or as a stream. The client's hanging up is passed on too.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { InferError } from '../../runtime/wire/infer.ts'
import { lastOf, textIn, textTensor } from '../offload/tasks.ts'
import { httpCall, hungUp } from './infer-call.ts'
import { labelOf, modelOf, type OpenAiDeps, sendEvents } from './openai-call.ts'
import { OpenAiRequestError } from './openai-error.ts'

/** Pictures come along as text in base 64. */
const bodyBytesMax = 16 * 2 ** 20
/** As long as OpenAI's own clients wait. */
const deadlineMsDefault = 600_000

export function addChat(scope: FastifyInstance, deps: OpenAiDeps): void {
  scope.post('/chat/completions', { bodyLimit: bodyBytesMax }, (request, reply) => chat(deps, request, reply))
}

async function chat(deps: OpenAiDeps, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
  const { inference } = deps
  const body = request.body as Readonly<Record<string, unknown>> | null | undefined
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw new OpenAiRequestError('the body is no JSON object')
  const model = modelOf(inference, body['model'], 'chat')
  if (!Array.isArray(body['messages']) || body['messages'].length === 0)
    throw new OpenAiRequestError('messages is not a list of at least one message', 'messages')
  const call = httpCall(request)
  const chunks = inference.infer(
    {
      caller: call.caller,
      model: model.name,
      priority: call.priority ?? 'interactive',
      deadlineMs: call.deadlineMs ?? deadlineMsDefault,
      privacy: labelOf(inference, call, model.name),
      inputs: [textTensor('request', JSON.stringify(body))],
    },
    hungUp(reply),
  )
  if (body['stream'] === true) {
    await sendEvents(deps, reply, eventsOf(chunks))
    return reply
  }
  const { outputs, route = '' } = await lastOf(chunks)
  const answer = textIn(outputs, 'response')
  if (answer === undefined) throw new InferError('run', `${route} gave no answer`)
  return reply.header('ganglion-route', route).type('application/json').send(answer)
}

async function* eventsOf(chunks: ReturnType<OpenAiDeps['inference']['infer']>): AsyncGenerator<string> {
  for await (const { outputs, final } of chunks) {
    const event = textIn(outputs, 'event')
    if (event !== undefined) yield event
    if (final) yield '[DONE]'
  }
}
