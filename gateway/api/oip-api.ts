/**
 * The Open Inference Protocol v2 at /v2, for anybody's client: health, metadata, inference with tensors as JSON or binary data.
 * Specification: https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md; extensions
 * `binary_tensor_data` and `schedule_policy` as Triton defines them, and the index of its model repository.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Log } from '../../runtime/base/log.ts'
import { type InferChunk, InferError } from '../../runtime/wire/infer.ts'
import { wireLimits } from '../../runtime/wire/limits.ts'
import { oipResponse, oipTensors, parseOipRequest } from '../../runtime/wire/oip.ts'
import type { ServedModel } from '../offload/backends/backend.ts'
import type { InferenceService } from '../offload/service.ts'
import { lastOf } from '../offload/tasks.ts'
import { ApiError } from './api-error.ts'
import type { BodyBudget } from './body-budget.ts'
import { httpCall, hungUp } from './infer-call.ts'
import { httpFailure } from './infer-status.ts'

export interface OipApiDeps {
  readonly inference: InferenceService
  readonly version: string
  readonly log: Log
  readonly bodies: BodyBudget
}

/** For requests that name no deadline. */
const deadlineMsDefault = 60_000

interface ModelPath {
  readonly model: string
  readonly version?: string
}

export function addOipApi(app: FastifyInstance, deps: OipApiDeps): void {
  app.register(
    async (scope) => {
      addRules(scope, deps)
      addHealth(scope, deps)
      for (const path of ['/models/:model', '/models/:model/versions/:version']) addModel(scope, path, deps)
    },
    { prefix: '/v2' },
  )
}

function addRules(scope: FastifyInstance, { log, bodies }: OipApiDeps): void {
  scope.removeAllContentTypeParsers()
  // As bytes whatever they are called: the header that splits JSON from tensors says how to read them.
  scope.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  bodies.guard(scope)
  scope.setNotFoundHandler((request) => {
    throw new ApiError('not-found', `no ${request.method} ${request.url.split('?', 1)[0]}`)
  })
  scope.setErrorHandler((error, request, reply) => {
    const { status, message, headers, internal } = httpFailure(error)
    if (internal) log.error('request failed', { route: request.routeOptions.url, error: String(error) })
    reply.code(status).headers(headers).type('application/json').send({ error: message })
  })
}

function addHealth(scope: FastifyInstance, { inference, version }: OipApiDeps): void {
  scope.get('/', () => ({
    name: 'ganglion-gateway',
    version,
    extensions: ['binary_tensor_data', 'schedule_policy'],
  }))
  scope.get('/health/live', () => ({ live: true }))
  scope.get('/health/ready', (_request, reply) => {
    // "Server Ready": all the models are ready for inferencing.
    const ailing = inference.health().backends.find(({ reason }) => reason !== undefined)
    if (!ailing) return { live: true, ready: true }
    return reply.code(503).send({ live: true, ready: false, error: `${ailing.id}: ${ailing.reason}` })
  })
  scope.post('/repository/index', { bodyLimit: 4096 }, () =>
    inference.models().map(({ name, version: of }) => ({ name, version: of, state: 'READY', reason: '' })),
  )
}

function addModel(scope: FastifyInstance, path: string, deps: OipApiDeps): void {
  const { inference } = deps
  scope.get(path, (request) => {
    const model = served(inference, request)
    const { name, version, platform = 'unknown', inputs, outputs } = model
    const versions = version === '' ? {} : { versions: [version] }
    return { name, ...versions, platform, inputs: oipTensors(inputs), outputs: oipTensors(outputs) }
  })
  scope.get(`${path}/ready`, (request) => ({ name: served(inference, request).name, ready: true }))
  scope.post(`${path}/infer`, { bodyLimit: wireLimits.frameBytesMax }, (request, reply) =>
    infer(deps, request, reply),
  )
}

async function infer(
  { inference }: OipApiDeps,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<Buffer> {
  const { name, version } = served(inference, request)
  const body = (request.body ?? Buffer.alloc(0)) as Buffer
  const header = request.headers['inference-header-content-length']
  const asked = parseOipRequest(body, header === undefined ? body.byteLength : Number(header))
  const call = httpCall(request)
  const answer: InferChunk = await lastOf(
    inference.infer(
      {
        caller: call.caller,
        model: name,
        priority: asked.priority ?? call.priority ?? 'interactive',
        deadlineMs: asked.deadlineMs ?? call.deadlineMs ?? deadlineMsDefault,
        privacy: asked.privacy ?? call.privacy ?? 'site',
        inputs: asked.inputs,
        parameters: asked.parameters,
      },
      hungUp(reply),
    ),
  )
  const { route, cached } = answer
  const parameters = { ...(route !== undefined && { route }), ...(cached && { cached }) }
  const { parts, jsonBytes, contentType } = oipResponse(
    { model: name, ...(version !== '' && { version }), outputs: answer.outputs, parameters },
    asked,
  )
  reply.type(contentType)
  if (jsonBytes !== undefined) reply.header('inference-header-content-length', jsonBytes)
  return Buffer.concat(parts)
}

/** Throws InferError `model-unknown`, `unavailable`. */
function served(inference: InferenceService, request: FastifyRequest): ServedModel {
  const { model, version } = request.params as ModelPath
  const found = inference.models().find(({ name }) => name === model)
  if (found) {
    if (version === undefined || version === found.version) return found
    const has = found.version === '' ? 'no versions' : `version ${found.version} only`
    throw new InferError('model-unknown', `model ${model} has ${has}, not ${version}`)
  }
  const [knower] = inference.whoKnows(model)
  if (knower)
    throw new InferError('unavailable', `model ${model} is not ready: ${knower.id} cannot serve it now`)
  throw new InferError('model-unknown', `no model is named ${model}`)
}
