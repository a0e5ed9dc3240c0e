/** POST /v1/embeddings: texts to vectors, by whatever model of that task there is; floats as numbers or in base 64. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import * as v from 'valibot'
import { InferError, type Tensor } from '../../runtime/wire/infer.ts'
import type { ServedModel } from '../offload/backends/backend.ts'
import { lastOf, textTensor } from '../offload/tasks.ts'
import { httpCall, hungUp } from './infer-call.ts'
import { labelOf, modelOf, type OpenAiDeps } from './openai-call.ts'
import { OpenAiRequestError } from './openai-error.ts'

/** 2,048 texts of a few kilobytes. */
const bodyBytesMax = 8 * 2 ** 20
const deadlineMsDefault = 60_000

const text = v.pipe(v.string(), v.minLength(1, 'has an empty text'))
/** OpenAI, "Create embeddings": at most 2,048 inputs. */
const textsMax = 2048
/** As many as a model here takes in one request; nobody's work holds up everybody else's for long. */
const textsAtOnce = 256
const embeddingsBody = v.object({
  model: v.optional(v.string()),
  input: v.union(
    [text, v.pipe(v.array(text), v.minLength(1), v.maxLength(textsMax))],
    `is not a text or a list of 1 to ${textsMax} texts, none empty (tokens are not taken)`,
  ),
  encoding_format: v.optional(v.picklist(['float', 'base64'], 'is not float or base64'), 'float'),
  dimensions: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1))),
})

export function addEmbeddings(scope: FastifyInstance, deps: OpenAiDeps): void {
  scope.post('/embeddings', { bodyLimit: bodyBytesMax }, (request, reply) => embed(deps, request, reply))
}

async function embed({ clock, inference }: OpenAiDeps, request: FastifyRequest, reply: FastifyReply) {
  const parsed = v.safeParse(embeddingsBody, request.body)
  if (!parsed.success) {
    const [issue] = parsed.issues
    const param = v.getDotPath(issue)
    throw new OpenAiRequestError(`${param ?? 'the body'}: ${issue.message}`, param)
  }
  const { input, encoding_format: format, dimensions } = parsed.output
  const model = modelOf(inference, parsed.output.model, 'embeddings')
  const texts = [input].flat()
  const call = httpCall(request)
  const gone = hungUp(reply)
  const privacy = labelOf(inference, call, model.name)
  const expiresAtMs = clock.monotonicMs() + (call.deadlineMs ?? deadlineMsDefault)
  const rows: Float32Array[] = []
  let tokens = 0
  let from = ''
  for (let at = 0; at < texts.length; at += textsAtOnce) {
    const part = texts.slice(at, at + textsAtOnce)
    const { outputs, route = '' } = await lastOf(
      inference.infer(
        {
          caller: call.caller,
          model: model.name,
          priority: call.priority ?? 'interactive',
          // Of all portions together.
          deadlineMs: Math.max(1, expiresAtMs - clock.monotonicMs()),
          privacy,
          inputs: [textTensor(inputName(model), ...part)],
          ...(dimensions !== undefined && { parameters: { dimensions } }),
        },
        gone,
      ),
    )
    rows.push(...rowsOf(outputs, part.length, route))
    tokens += tokensIn(outputs)
    from = route
  }
  const length = rows[0]?.length ?? 0
  if (dimensions !== undefined && dimensions !== length)
    throw new OpenAiRequestError(`model ${model.name} gives ${length} dimensions only`, 'dimensions')
  reply.header('ganglion-route', from)
  return {
    object: 'list',
    data: rows.map((row, index) => ({ object: 'embedding', index, embedding: encoded(row, format) })),
    model: model.name,
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  }
}

/** Its one input of texts, whatever its name. */
function inputName({ name, inputs }: ServedModel): string {
  const found = inputs.find(({ datatype }) => datatype === 'BYTES')
  if (found) return found.name
  throw new OpenAiRequestError(`model ${name} takes no texts`, 'model')
}

function rowsOf(outputs: readonly Tensor[], texts: number, route: string): Float32Array[] {
  const vectors = outputs.find(({ datatype, shape }) => datatype === 'FP32' && shape.length === 2)
  const [count, length = 0] = vectors?.shape ?? []
  if (vectors?.datatype !== 'FP32' || count !== texts)
    throw new InferError('run', `${route} gave no FP32 [${texts},d] for ${texts} texts`)
  return Array.from({ length: texts }, (_, row) => vectors.data.subarray(row * length, (row + 1) * length))
}

/** 0 where nobody counted: a model here has no tokens of OpenAI's kind. */
function tokensIn(outputs: readonly Tensor[]): number {
  const tokens = outputs.find(({ name }) => name === 'tokens')
  return tokens?.datatype === 'INT32' ? tokens.data.reduce((sum, count) => sum + count, 0) : 0
}

/** Base 64 of little-endian 32-bit floats, as OpenAI's clients ask for by default. */
function encoded(row: Float32Array, format: 'float' | 'base64'): number[] | string {
  if (format === 'float') return Array.from(row)
  return Buffer.from(row.buffer, row.byteOffset, row.byteLength).toString('base64')
}
