/**
 * Bodies of the Open Inference Protocol v2 with the binary tensor data extension
 * (https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol/binary-tensor-data-extension): a JSON
 * object, then the tensors' bytes in the order in which the object names them. Pure; what an adapter says is checked here.
 */
import type {
  AcceleratorCapabilities,
  AcceleratorTensor,
  LoadedModel,
  TensorPlace,
} from '../contract/accelerator.ts'
import { AcceleratorError } from './accelerator-error.ts'
import { elementsOf, fromBytes, isDatatype, toBytes } from './tensor-bytes.ts'

export interface InferBody {
  /** For the header Inference-Header-Content-Length. */
  readonly jsonBytes: number
  readonly parts: readonly Uint8Array[]
  readonly totalBytes: number
}

/** `timeout` is the deadline in microseconds, as Triton's schedule policy extension has it. */
export function inferRequest(inputs: readonly AcceleratorTensor[], deadlineMs: number): InferBody {
  const binary = inputs.map(toBytes)
  const json = Buffer.from(
    JSON.stringify({
      parameters: { binary_data_output: true, timeout: Math.round(deadlineMs * 1000) },
      inputs: inputs.map(({ name, datatype, shape }, index) => ({
        name,
        datatype,
        shape,
        parameters: { binary_data_size: binary[index]?.byteLength },
      })),
    }),
  )
  const parts = [json, ...binary]
  const totalBytes = parts.reduce((sum, { byteLength }) => sum + byteLength, 0)
  return { jsonBytes: json.byteLength, parts, totalBytes }
}

/** Throws `run` in one line where the answer breaks the protocol: too few bytes, too many, a shape that does not fit them. */
export function inferResponse(body: Uint8Array, jsonBytes: number): AcceleratorTensor[] {
  if (!Number.isInteger(jsonBytes) || jsonBytes < 2 || jsonBytes > body.byteLength)
    throw broken(`its header says ${jsonBytes} bytes of JSON in a body of ${body.byteLength}`)
  const { outputs } = record(parseJson(body.subarray(0, jsonBytes)), 'the answer')
  if (!Array.isArray(outputs)) throw broken('the answer has no list of outputs')
  let at = jsonBytes
  const tensors = outputs.map((output: unknown) => {
    const { name, datatype, shape, parameters } = record(output, 'an output')
    if (typeof name !== 'string') throw broken('an output has no name')
    if (!isDatatype(datatype)) throw broken(`output ${name}: datatype ${String(datatype)} is not known`)
    if (!isShape(shape)) throw broken(`output ${name}: its shape is not a list of lengths`)
    const size = record(parameters, `parameters of output ${name}`)['binary_data_size']
    if (typeof size !== 'number' || !Number.isInteger(size) || size < 0 || at + size > body.byteLength)
      throw broken(`output ${name}: binary_data_size ${String(size)} is not in the body`)
    const bytes = body.subarray(at, at + size)
    at += size
    return fromBytes({ name, datatype, shape }, bytes)
  })
  if (at !== body.byteLength) throw broken(`${body.byteLength - at} bytes belong to no output`)
  return tensors
}

/** GET v2: what the adapter is. Its `parameters` are this project's addition to the server metadata. */
export function serverCapabilities(json: unknown): AcceleratorCapabilities {
  const { name, extensions, parameters } = record(json, 'the server metadata')
  const missing = requiredExtensions.find((one) => !Array.isArray(extensions) || !extensions.includes(one))
  if (missing !== undefined) throw broken(`it does not offer the extension ${missing}`)
  const { device, formats, precisions, memory_mb: memoryMb } = record(parameters, 'parameters of the server')
  if (!isTexts(formats) || formats.length === 0 || !isTexts(precisions))
    throw broken('its parameters name no formats or precisions')
  return {
    device: typeof device === 'string' ? device : String(name),
    formats,
    precisions,
    ...(typeof memoryMb === 'number' && memoryMb > 0 ? { memoryMb } : {}),
  }
}

const requiredExtensions = ['binary_tensor_data', 'model_repository']

/** GET v2/models/<name>. */
export function modelMetadata(name: string, json: unknown): LoadedModel {
  const { inputs, outputs } = record(json, `the metadata of model ${name}`)
  return { name, inputs: places(inputs), outputs: places(outputs) }
}

function places(list: unknown): TensorPlace[] {
  if (!Array.isArray(list) || list.length === 0) throw broken('its model names no inputs or outputs')
  return list.map((one: unknown) => {
    const { name, datatype, shape } = record(one, 'a tensor of the model')
    if (
      typeof name !== 'string' ||
      !isDatatype(datatype) ||
      !Array.isArray(shape) ||
      !shape.every(Number.isInteger)
    )
      throw broken(`a tensor of its model is not described: ${JSON.stringify(one).slice(0, 200)}`)
    return { name, datatype, shape: shape as number[] }
  })
}

export function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'))
  } catch (cause) {
    throw new AcceleratorError('run', 'broke the protocol: it answered with what is no JSON', { cause })
  }
}

function record(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  throw broken(`${what} is no object`)
}

const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((one) => typeof one === 'string')

function isShape(value: unknown): value is number[] {
  return (
    Array.isArray(value) &&
    value.every((length) => Number.isInteger(length) && length >= 0) &&
    Number.isSafeInteger(elementsOf(value as number[]))
  )
}

function broken(why: string): AcceleratorError {
  return new AcceleratorError('run', `broke the protocol: ${why}`)
}
