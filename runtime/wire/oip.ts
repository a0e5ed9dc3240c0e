/**
 * The server's side of the Open Inference Protocol v2 with the binary tensor data extension
 * (https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol/binary-tensor-data-extension): a body is
 * a JSON object, then the tensors' bytes in the order in which it names them, little-endian and without gaps.
 */
import * as v from 'valibot'
import type { TensorSpec } from './engine-protocol.ts'
import { type Datatype, InferError, type Tensor } from './infer.ts'
import { datatypes, elements, tensorFault } from './tensor.ts'

const count = v.pipe(v.number(), v.integer(), v.minValue(0))
const inferBody = v.object({
  id: v.optional(v.string()),
  inputs: v.array(
    v.object({
      name: v.string(),
      datatype: v.string(),
      shape: v.array(count),
      parameters: v.object({ binary_data_size: count }),
    }),
  ),
  /** `timeout`: microseconds, as Triton's schedule policy extension has it. */
  parameters: v.optional(v.object({ timeout: v.optional(count) })),
})

const arrayTypes = {
  BOOL: Uint8Array,
  UINT8: Uint8Array,
  INT8: Int8Array,
  INT16: Int16Array,
  INT32: Int32Array,
  INT64: BigInt64Array,
  FP32: Float32Array,
  FP64: Float64Array,
} as const satisfies Readonly<Record<Exclude<Datatype, 'BYTES'>, unknown>>

const lengthBytes = 4

export interface OipRequest {
  readonly inputs: readonly Tensor[]
  readonly deadlineMs: number | undefined
}

/** Reads an inference request. Throws InferError `bad-input` in one line that names the input. */
export function parseOipRequest(body: Uint8Array, jsonBytes: number): OipRequest {
  if (!(jsonBytes >= 2 && jsonBytes <= body.byteLength))
    throw bad('Inference-Header-Content-Length is not a length within the body')
  const { inputs, parameters } = parsed(body.subarray(0, jsonBytes))
  let at = jsonBytes
  const tensors = inputs.map(({ name, datatype, shape, parameters: { binary_data_size: size } }) => {
    if (at + size > body.byteLength) throw bad(`input ${name}: its ${size} bytes are not in the body`)
    const bytes = body.subarray(at, at + size)
    at += size
    return tensorOf(name, datatype, shape, bytes)
  })
  if (at !== body.byteLength) throw bad(`${body.byteLength - at} bytes belong to no input`)
  const timeout = parameters?.timeout
  return { inputs: tensors, deadlineMs: timeout === undefined ? undefined : timeout / 1000 }
}

/** Body of an answer, in parts to be sent one after the other; the first is the JSON. */
export function oipResponse(model: string, outputs: readonly Tensor[]): Uint8Array[] {
  const binary = outputs.map(bytesOf)
  const json = {
    model_name: model,
    outputs: outputs.map(({ name, datatype, shape }, index) => ({
      name,
      datatype,
      shape,
      parameters: { binary_data_size: binary[index]?.byteLength },
    })),
  }
  return [new TextEncoder().encode(JSON.stringify(json)), ...binary]
}

/** Model metadata: -1 is a dimension of any length. */
export function oipTensors(specs: readonly TensorSpec[]): object[] {
  return specs.map(({ name, datatype, shape }) => ({
    name,
    datatype,
    shape: shape.map((length) => (typeof length === 'string' ? -1 : length)),
  }))
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

function tensorOf(name: string, datatype: string, shape: number[], bytes: Uint8Array): Tensor {
  if (!datatypes.includes(datatype as Datatype))
    throw bad(`input ${name}: datatype ${datatype} is not one of ${datatypes.join(' ')}`)
  const data =
    datatype === 'BYTES'
      ? textsIn(name, bytes)
      : numbersIn(name, datatype as keyof typeof arrayTypes, shape, bytes)
  const tensor = { name, datatype, shape, data } as Tensor
  const fault = tensorFault(tensor)
  if (fault) throw bad(fault)
  return tensor
}

/** Copied, so that the array is aligned. */
function numbersIn(name: string, datatype: keyof typeof arrayTypes, shape: number[], bytes: Uint8Array) {
  const type = arrayTypes[datatype]
  const expected = elements(shape) * type.BYTES_PER_ELEMENT
  if (bytes.byteLength !== expected)
    throw bad(`input ${name}: ${bytes.byteLength} bytes, but ${datatype} [${shape}] has ${expected}`)
  return new type(new Uint8Array(bytes).buffer)
}

function textsIn(name: string, bytes: Uint8Array): string[] {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const texts: string[] = []
  let at = 0
  while (at < bytes.length) {
    const end = at + lengthBytes + (at + lengthBytes <= bytes.length ? view.getUint32(at, true) : 0)
    if (end > bytes.length) throw bad(`input ${name}: an element of BYTES is cut off`)
    try {
      texts.push(decoder.decode(bytes.subarray(at + lengthBytes, end)))
    } catch {
      throw bad(`input ${name}: an element is not text in UTF-8`)
    }
    at = end
  }
  return texts
}

function bytesOf({ data }: Tensor): Uint8Array {
  if (!Array.isArray(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  const parts = data.flatMap((text) => {
    const bytes = Buffer.from(text)
    const length = Buffer.alloc(lengthBytes)
    length.writeUInt32LE(bytes.byteLength)
    return [length, bytes]
  })
  return Buffer.concat(parts)
}

function bad(message: string): InferError {
  return new InferError('bad-input', message)
}
