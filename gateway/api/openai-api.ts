/**
 * OpenAI's API at /v1, for the official clients: models, chat completions, embeddings, transcriptions. Reference:
 * https://platform.openai.com/docs/api-reference. What is not served here is 404, in the same shape of error.
 */
import type { FastifyInstance } from 'fastify'
import type { ServedModel } from '../offload/backends/backend.ts'
import { ApiError } from './api-error.ts'
import type { BodyBudget } from './body-budget.ts'
import type { OpenAiDeps } from './openai-call.ts'
import { addChat } from './openai-chat.ts'
import { addEmbeddings } from './openai-embeddings.ts'
import { OpenAiRequestError, openAiFailure, sendOpenAiFailure } from './openai-error.ts'
import { addTranscriptions } from './openai-transcriptions.ts'

export interface OpenAiApiDeps extends OpenAiDeps {
  readonly bodies: BodyBudget
}

export function addOpenAiApi(app: FastifyInstance, deps: OpenAiApiDeps): void {
  app.register(
    async (scope) => {
      addRules(scope, deps)
      addModels(scope, deps)
      addChat(scope, deps)
      addEmbeddings(scope, deps)
      addTranscriptions(scope, deps)
    },
    { prefix: '/v1' },
  )
}

function addRules(scope: FastifyInstance, { bodies, log }: OpenAiApiDeps): void {
  bodies.guard(scope)
  scope.setNotFoundHandler((request) => {
    throw new ApiError('not-found', `no ${request.method} ${request.url.split('?', 1)[0]} here`)
  })
  scope.setErrorHandler((error, request, reply) => {
    const failure = openAiFailure(error)
    if (failure.internal)
      log.error('request failed', { route: request.routeOptions.url, error: String(error) })
    sendOpenAiFailure(reply, failure)
  })
}

function addModels(scope: FastifyInstance, { inference, clock }: OpenAiApiDeps): void {
  const created = Math.floor(clock.nowMs() / 1000)
  const shown = ({ name, task }: ServedModel) => ({
    id: name,
    object: 'model',
    /** When this gateway began to serve; models have no date of their own. */
    created,
    owned_by: inference.whoKnows(name)[0]?.id ?? 'ganglion',
    ...(task !== undefined && { task }),
  })
  scope.get('/models', () => ({ object: 'list', data: inference.models().map(shown) }))
  // A model's name may have slashes.
  scope.get('/models/*', (request) => {
    const name = (request.params as { '*': string })['*']
    const found = inference.models().find((one) => one.name === name)
    if (!found) throw new OpenAiRequestError(`no model is named ${name}`, 'model', 'model_not_found')
    return shown(found)
  })
}
