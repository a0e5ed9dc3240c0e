/**
 * `POST /api/infer`: one inference by a device, which decides where it runs. Inputs as CBOR (typed arrays), or as JSON, shaped
 * as in the Open Inference Protocol. This gateway's own models are at /v2 and /v1; here a device is asked.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import * as v from 'valibot'
import { decodeCbor } from '../../runtime/wire/cbor.ts'
import { InferError, privacies, type Tensor } from '../../runtime/wire/infer.ts'
import { wireLimits } from '../../runtime/wire/limits.ts'
import { check } from '../../runtime/wire/messages.ts'
import { jsonOfTensor, tensorOfJson } from '../../runtime/wire/oip-tensor.ts'
import type { InferResult } from '../../runtime/wire/rpc.ts'
import { ApiError } from './api-error.ts'
import type { BodyBudget } from './body-budget.ts'
import type { Devices } from './devices.ts'

const id = v.pipe(v.string(), v.minLength(1), v.maxLength(128))
const inferBody = v.object({
  model: id,
  device: v.optional(id),
  privacy: v.optional(v.picklist(privacies)),
  priority: v.optional(v.picklist(['control', 'interactive', 'background'])),
  deadlineMs: v.optional(v.pipe(v.number(), v.minValue(1), v.maxValue(600_000))),
  parameters: v.optional(v.record(v.string(), v.union([v.string(), v.number(), v.boolean()]))),
  inputs: v.pipe(v.array(v.unknown()), v.maxLength(64)),
})
const jsonTensor = v.object({
  name: id,
  datatype: v.string(),
  shape: v.array(v.pipe(v.number(), v.integer(), v.minValue(0))),
  data: v.unknown(),
})

/** For requests that name no deadline: a model's first load on a small board included. */
const deadlineMsDefault = 60_000

export interface InferApiDeps {
  readonly devices: Devices
  readonly bodies: BodyBudget
}

export function addInferApi(app: FastifyInstance, { devices, bodies }: InferApiDeps): void {
  app.register(async (scope) => {
    scope.removeAllContentTypeParsers()
    for (const type of ['application/cbor', 'application/json'])
      scope.addContentTypeParser(
        type,
        { parseAs: 'buffer', bodyLimit: wireLimits.inputsBytesMax },
        (_request, body, done) => done(null, body),
      )
    bodies.guard(scope)
    scope.post('/api/infer', { bodyLimit: wireLimits.inputsBytesMax }, async (request, reply) => {
      const { deadlineMs = deadlineMsDefault, ...body } = bodyOf(request)
      const result = await devices.infer(body, deadlineMs)
      return reply.type('application/json').send(jsonOf(result))
    })
  })
}

/** Throws ApiError `bad-request`. */
function bodyOf(request: FastifyRequest): v.InferOutput<typeof inferBody> {
  const bytes = request.body as Buffer
  const isJson = !request.headers['content-type']?.startsWith('application/cbor')
  const decoded = isJson ? jsonIn(bytes) : decodeCbor(bytes, wireLimits.inputsBytesMax)
  const body = decoded.ok ? check(inferBody, decoded.value) : decoded
  if (!body.ok) throw new ApiError('bad-request', body.reason)
  return isJson ? { ...body.value, inputs: body.value.inputs.map(tensorIn) } : body.value
}

function jsonIn(bytes: Buffer) {
  try {
    return { ok: true as const, value: JSON.parse(bytes.toString()) as unknown }
  } catch {
    return { ok: false as const, reason: 'the body is no JSON' }
  }
}

function tensorIn(value: unknown): Tensor {
  const place = check(jsonTensor, value)
  if (!place.ok) throw new ApiError('bad-request', `an input is no tensor: ${place.reason}`)
  const fault = (line: string) => new InferError('bad-input', line)
  try {
    return tensorOfJson(place.value, place.value.data, { side: 'input', fault })
  } catch (error) {
    if (error instanceof InferError) throw new ApiError('bad-request', error.message)
    throw error
  }
}

/** What is no number in JSON becomes null. */
function jsonOf({ outputs, ...rest }: InferResult): string {
  const tensors = outputs.map((tensor) => {
    const { name, datatype, shape, data } = tensor
    const text = jsonOfTensor(tensor) ?? JSON.stringify(Array.from(data as ArrayLike<number>))
    return `${JSON.stringify({ name, datatype, shape }).slice(0, -1)},"data":${text}}`
  })
  return `${JSON.stringify(rest).slice(0, -1)},"outputs":[${tensors.join(',')}]}`
}
