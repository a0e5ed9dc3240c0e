/**
 * The client's side of the Open Inference Protocol v2, for servers elsewhere: Triton, KServe, OpenVINO Model Server. What they
 * answer is checked here before anything else sees it; a broken promise is an InferError `run`, in one line.
 */
import * as v from 'valibot'
import type { TensorSpec } from './engine-protocol.ts'
import { InferError, type Tensor } from './infer.ts'
import { bodyOf, type OipBody } from './oip.ts'
import { bytesOfTensor, jsonOfTensor, tensorOfBytes, tensorOfJson } from './oip-tensor.ts'
import { datatypes } from './tensor.ts'

const name = v.pipe(v.string(), v.minLength(1), v.maxLength(256))
const length = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(Number.MAX_SAFE_INTEGER))

export interface OipCall {
  readonly id: string
  readonly inputs: readonly Tensor[]
  readonly parameters: Readonly<Record<string, string | number | boolean>>
  /** The server has the binary tensor data extension. */
  readonly binary: boolean
}

/** Body of an inference request. Throws InferError `bad-input` where JSON cannot hold an input. */
export function oipRequest({ id, inputs, parameters, binary }: OipCall): OipBody {
  const bytes: Uint8Array[] = []
  const entries = inputs.map((input) => {
    const head = JSON.stringify({ name: input.name, datatype: input.datatype, shape: input.shape })
    if (!binary) return `${head.slice(0, -1)},"data":${jsonIn(input)}}`
    const part = bytesOfTensor(input)
    bytes.push(part)
    return `${head.slice(0, -1)},"parameters":{"binary_data_size":${part.byteLength}}}`
  })
  const about = { id, parameters: binary ? { ...parameters, binary_data_output: true } : parameters }
  const json = `${JSON.stringify(about).slice(0, -1)},"inputs":[${entries.join(',')}]}`
  return bodyOf(Buffer.from(json), bytes)
}

function jsonIn(input: Tensor): string {
  const json = jsonOfTensor(input)
  if (json !== undefined) return json
  throw new InferError(
    'bad-input',
    `input ${input.name} holds NaN or infinity, which this server's JSON cannot`,
  )
}

const answerBody = v.object({
  id: v.optional(v.string()),
  outputs: v.pipe(
    v.array(
      v.object({
        name,
        datatype: v.string(),
        shape: v.pipe(v.array(length), v.maxLength(8)),
        parameters: v.optional(v.object({ binary_data_size: v.optional(length) })),
        data: v.optional(v.unknown()),
      }),
    ),
    v.maxLength(256),
  ),
})

const reading = { side: 'output', fault: (line: string) => broken(line) } as const

/** The outputs in an answer. Throws InferError `run`: too few bytes, too many, a shape that does not fit them, another's id. */
export function parseOipAnswer(body: Uint8Array, jsonBytes: number, id: string): Tensor[] {
  if (!(Number.isInteger(jsonBytes) && jsonBytes >= 2 && jsonBytes <= body.byteLength))
    throw broken('its header names no length of JSON within the body')
  const answer = checked(answerBody, jsonOf(body.subarray(0, jsonBytes)), 'the answer')
  if (answer.id !== undefined && answer.id !== '' && answer.id !== id)
    throw broken('the answer is to another request')
  const binary = body.subarray(jsonBytes)
  let at = 0
  const tensors = answer.outputs.map(({ data, parameters, ...place }) => {
    const size = parameters?.binary_data_size
    if (size === undefined) return tensorOfJson(place, data, reading)
    if (at + size > binary.byteLength)
      throw broken(`output ${place.name}: its ${size} bytes are not in the body`)
    at += size
    return tensorOfBytes(place, binary.subarray(at - size, at), reading)
  })
  if (at !== binary.byteLength) throw broken(`${binary.byteLength - at} bytes belong to no output`)
  return tensors
}

/** Throws InferError `run` where outputs are not what the model's metadata promised. */
export function checkOutputs(outputs: readonly Tensor[], specs: readonly TensorSpec[]): void {
  for (const spec of specs) {
    const output = outputs.find((one) => one.name === spec.name)
    if (!output) throw broken(`output ${spec.name} is missing`)
    const same =
      output.datatype === spec.datatype &&
      output.shape.length === spec.shape.length &&
      spec.shape.every((length, axis) => typeof length === 'string' || length === output.shape[axis])
    if (!same)
      throw broken(
        `output ${spec.name} is ${output.datatype} [${output.shape}], its metadata says ${spec.datatype} [${spec.shape}]`,
      )
  }
}

const serverMetadata = v.object({
  name: v.string(),
  version: v.optional(v.string(), ''),
  extensions: v.optional(v.array(v.string()), []),
})

/** GET v2. */
export function parseServerMetadata(body: Uint8Array): v.InferOutput<typeof serverMetadata> {
  return checked(serverMetadata, jsonOf(body), 'the server metadata')
}

const tensorMetadata = v.object({
  name,
  datatype: v.string(),
  /** OpenVINO Model Server has been seen to write them as text. */
  shape: v.pipe(
    v.array(
      v.pipe(v.union([v.number(), v.string()]), v.transform(Number), v.number(), v.integer(), v.minValue(-1)),
    ),
    v.maxLength(8),
  ),
})
const modelMetadata = v.object({
  name,
  versions: v.optional(v.array(v.string()), []),
  platform: v.optional(v.string(), ''),
  inputs: v.pipe(v.array(tensorMetadata), v.maxLength(256)),
  outputs: v.pipe(v.array(tensorMetadata), v.maxLength(256)),
})

export interface OipModel {
  /** The newest; empty where the server has none. */
  readonly version: string
  readonly platform: string
  readonly inputs: readonly TensorSpec[]
  readonly outputs: readonly TensorSpec[]
}

/** GET v2/models/<name>. Throws InferError `run`, also for datatypes that our envelope does not have. */
export function parseModelMetadata(body: Uint8Array): OipModel {
  const { versions, platform, inputs, outputs } = checked(modelMetadata, jsonOf(body), 'the model metadata')
  return {
    version: versions.at(-1) ?? '',
    platform,
    inputs: inputs.map(specOf),
    outputs: outputs.map(specOf),
  }
}

function specOf({ name, datatype, shape }: v.InferOutput<typeof tensorMetadata>): TensorSpec {
  const known = datatypes.find((one) => one === datatype)
  if (!known)
    throw new InferError(
      'run',
      `${name} is ${datatype.slice(0, 40)}, which is not one of ${datatypes.join(' ')}`,
    )
  return { name, datatype: known, shape: shape.map((length, axis) => (length < 0 ? `d${axis}` : length)) }
}

const repositoryIndex = v.pipe(
  v.array(v.object({ name, version: v.optional(v.string()), state: v.optional(v.string()) })),
  v.maxLength(4096),
)

/** POST v2/repository/index: names of the models that are ready, each once. */
export function parseRepositoryIndex(body: Uint8Array): readonly string[] {
  const index = checked(repositoryIndex, jsonOf(body), 'the repository index')
  const ready = index.filter(({ state }) => state === undefined || state === 'READY')
  return [...new Set(ready.map((one) => one.name))]
}

function checked<T>(schema: v.GenericSchema<unknown, T>, value: unknown, what: string): T {
  const result = v.safeParse(schema, value)
  if (result.success) return result.output
  const [issue] = result.issues
  throw broken(`${what}: ${v.getDotPath(issue) ?? 'it'}: ${issue.message}`)
}

function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    throw broken('it answered with what is no JSON')
  }
}

/** Retryable: another server of the same model may keep to the protocol. */
function broken(line: string): InferError {
  return new InferError('run', `broke the protocol: ${line.slice(0, 300)}`, { retryable: true })
}
