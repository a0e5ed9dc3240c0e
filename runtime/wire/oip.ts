/**
 * The server's side of the Open Inference Protocol v2
 * (https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md, "Inference Request JSON
 * Object", "Inference Response JSON Object") with the binary tensor data extension (extension_binary_data.md of Triton): a body
 * is a JSON object, then the tensors' bytes in the order in which it names them. Parameters `priority` and `timeout` are those
 * of Triton's schedule policy extension.
 */
import * as v from 'valibot'
import type { TensorSpec } from './engine-protocol.ts'
import { InferError, type InferRequest, type Priority, privacies, type Tensor } from './infer.ts'
import { bytesOfTensor, jsonOfTensor, tensorOfBytes, tensorOfJson } from './oip-tensor.ts'

const count = v.pipe(v.number(), v.integer(), v.minValue(0))
const length = v.pipe(count, v.maxValue(Number.MAX_SAFE_INTEGER))
const name = v.pipe(v.string(), v.minLength(1), v.maxLength(256))
const inferBody = v.object({
  id: v.optional(v.pipe(v.string(), v.maxLength(256))),
  inputs: v.pipe(
    v.array(
      v.object({
        name,
        datatype: v.string(),
        shape: v.pipe(v.array(length), v.maxLength(8)),
        parameters: v.optional(v.object({ binary_data_size: v.optional(count) })),
        data: v.optional(v.unknown()),
      }),
    ),
    v.maxLength(256),
  ),
  outputs: v.optional(
    v.pipe(
      v.array(v.object({ name, parameters: v.optional(v.object({ binary_data: v.optional(v.boolean()) })) })),
      v.maxLength(256),
    ),
  ),
  parameters: v.optional(
    v.pipe(
      v.objectWithRest(
        {
          /** Microseconds. */
          timeout: v.optional(count),
          /** 1 is the most urgent; 0: the server's default. */
          priority: v.optional(count),
          binary_data_output: v.optional(v.boolean()),
          /** How far the inputs may travel: this project's addition. */
          privacy: v.optional(v.picklist(privacies)),
        },
        v.union([v.string(), v.number(), v.boolean()]),
      ),
      v.check((all) => Object.keys(all).length <= 32, 'has more than 32 entries'),
    ),
  ),
})

/** Which output is wanted, and whether as binary data. */
export interface WantedOutput {
  readonly name: string
  readonly binary: boolean
}

export interface OipRequest {
  /** Returned with the answer. */
  readonly id: string | undefined
  readonly inputs: readonly Tensor[]
  /** Undefined: every output, as `binary` says. */
  readonly outputs: readonly WantedOutput[] | undefined
  readonly binary: boolean
  readonly deadlineMs: number | undefined
  readonly priority: Priority | undefined
  readonly privacy: InferRequest['privacy'] | undefined
  /** The others, for the model. */
  readonly parameters: NonNullable<InferRequest['parameters']>
}

/** Our classes as numbers of the schedule policy extension, and back. */
export const oipPriorities: readonly Priority[] = ['control', 'interactive', 'background']

const reading = { side: 'input', fault: (line: string) => bad(line) } as const

/** Reads an inference request. Throws InferError `bad-input` in one line that names the input. */
export function parseOipRequest(body: Uint8Array, jsonBytes: number): OipRequest {
  if (!(Number.isInteger(jsonBytes) && jsonBytes >= 0 && jsonBytes <= body.byteLength))
    throw bad('Inference-Header-Content-Length is not a length within the body')
  const { id, inputs, outputs, parameters = {} } = parsed(body.subarray(0, jsonBytes))
  const { timeout, priority, binary_data_output: binary = false, privacy, ...others } = parameters
  return {
    id,
    inputs: tensorsIn(inputs, body.subarray(jsonBytes)),
    outputs: outputs?.map((output) => ({
      name: output.name,
      binary: output.parameters?.binary_data ?? binary,
    })),
    binary,
    deadlineMs: timeout ? timeout / 1000 : undefined,
    priority: priority ? oipPriorities[Math.min(priority, oipPriorities.length) - 1] : undefined,
    privacy,
    parameters: others as OipRequest['parameters'],
  }
}

function tensorsIn(inputs: v.InferOutput<typeof inferBody>['inputs'], binary: Uint8Array): Tensor[] {
  let at = 0
  const tensors = inputs.map((input) => {
    const size = input.parameters?.binary_data_size
    if (size === undefined) return tensorOfJson(input, input.data, reading)
    if (input.data !== undefined) throw bad(`input ${input.name}: it has data and binary_data_size`)
    if (at + size > binary.byteLength) throw bad(`input ${input.name}: its ${size} bytes are not in the body`)
    at += size
    return tensorOfBytes(input, binary.subarray(at - size, at), reading)
  })
  if (at !== binary.byteLength) throw bad(`${binary.byteLength - at} bytes belong to no input`)
  return tensors.map(({ name, datatype, shape, data }) => ({ name, datatype, shape, data }) as Tensor)
}

export interface OipAnswer {
  readonly model: string
  readonly version?: string | undefined
  readonly outputs: readonly Tensor[]
  readonly parameters?: Readonly<Record<string, string | number | boolean>>
}

/** A body in parts, to be sent one after the other; the first is the JSON. */
export interface OipBody {
  readonly parts: readonly Uint8Array[]
  /** For Inference-Header-Content-Length; undefined where nothing is binary. */
  readonly jsonBytes: number | undefined
  readonly contentType: 'application/json' | 'application/octet-stream'
  readonly bytes: number
}

/** The answer as the request wants it. Throws InferError `bad-input` for an output that there is not, or JSON cannot hold. */
export function oipResponse(
  { model, version, outputs, parameters }: OipAnswer,
  request: Pick<OipRequest, 'id' | 'outputs' | 'binary'>,
): OipBody {
  const wanted = request.outputs ?? outputs.map((output) => ({ name: output.name, binary: request.binary }))
  const binary: Uint8Array[] = []
  const entries = wanted.map((want) => {
    const output = outputs.find((one) => one.name === want.name)
    if (!output)
      throw bad(`output ${want.name} is not known; there are: ${outputs.map((one) => one.name).join(', ')}`)
    if (!want.binary) return jsonOutput(output)
    const bytes = bytesOfTensor(output)
    binary.push(bytes)
    return `${head(output)},"parameters":{"binary_data_size":${bytes.byteLength}}}`
  })
  const about = {
    model_name: model,
    ...(version !== undefined && { model_version: version }),
    ...(request.id !== undefined && { id: request.id }),
    ...(parameters && { parameters }),
  }
  const json = Buffer.from(`${JSON.stringify(about).slice(0, -1)},"outputs":[${entries.join(',')}]}`)
  return bodyOf(json, binary)
}

export function bodyOf(json: Uint8Array, binary: readonly Uint8Array[]): OipBody {
  const parts = [json, ...binary]
  return {
    parts,
    jsonBytes: binary.length > 0 ? json.byteLength : undefined,
    contentType: binary.length > 0 ? 'application/octet-stream' : 'application/json',
    bytes: parts.reduce((sum, { byteLength }) => sum + byteLength, 0),
  }
}

/** Model metadata: -1 is a dimension of any length. */
export function oipTensors(specs: readonly TensorSpec[]): object[] {
  return specs.map(({ name, datatype, shape }) => ({
    name,
    datatype,
    shape: shape.map((length) => (typeof length === 'string' ? -1 : length)),
  }))
}

function jsonOutput(output: Tensor): string {
  const data = jsonOfTensor(output)
  if (data === undefined)
    throw bad(`output ${output.name} holds NaN or infinity, which JSON cannot: ask for binary data`)
  return `${head(output)},"data":${data}}`
}

/** Left open, for what follows. */
function head({ name, datatype, shape }: Tensor): string {
  return JSON.stringify({ name, datatype, shape }).slice(0, -1)
}

function parsed(json: Uint8Array): v.InferOutput<typeof inferBody> {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(json))
  } catch {
    throw bad('the request is no JSON')
  }
  const checked = v.safeParse(inferBody, value)
  if (checked.success) return checked.output
  const [issue] = checked.issues
  throw bad(`the request is not understood: ${v.getDotPath(issue) ?? 'it'}: ${issue.message}`)
}

function bad(message: string): InferError {
  return new InferError('bad-input', message)
}
