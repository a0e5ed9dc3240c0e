/**
 * Tensors of the Open Inference Protocol v2, as bytes and as JSON, in both directions. Binary
 * (https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md): little-endian,
 * row-major, without gaps; BOOL one byte of 0 or 1; BYTES each element behind its length as 4 bytes. JSON ("Tensor Data" of the
 * protocol): row-major, flat or nested. Every count is checked against the shape.
 */
import type { Datatype, InferError, Tensor } from './infer.ts'
import { datatypes, elements, tensorFault, typedArrays } from './tensor.ts'

type NumberType = keyof typeof typedArrays

const integerRange: Readonly<Partial<Record<NumberType, readonly [number, number]>>> = {
  UINT8: [0, 255],
  INT8: [-128, 127],
  INT16: [-32_768, 32_767],
  INT32: [-2_147_483_648, 2_147_483_647],
  // Beyond it a JSON number has lost digits already.
  INT64: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
}

const lengthBytes = 4

/** A tensor without its elements, as it stands in a request or an answer. */
export interface TensorPlace {
  readonly name: string
  readonly datatype: string
  readonly shape: readonly number[]
}

/** What reads a tensor: whose it is (`input`, `output`), and what to throw with a line about it. */
export interface Reading {
  readonly side: 'input' | 'output'
  readonly fault: (line: string) => InferError
}

/** The tensor in these bytes, copied so that its array is aligned. Throws what `reading.fault` makes of one line. */
export function tensorOfBytes(place: TensorPlace, bytes: Uint8Array, reading: Reading): Tensor {
  const datatype = datatypeOf(place, reading)
  const data =
    datatype === 'BYTES' ? textsIn(place, bytes, reading) : numbersIn(place, datatype, bytes, reading)
  return checked({ ...place, datatype, data } as Tensor, reading)
}

/** The tensor in parsed JSON, flat or nested. Throws what `reading.fault` makes of one line. */
export function tensorOfJson(place: TensorPlace, json: unknown, reading: Reading): Tensor {
  const datatype = datatypeOf(place, reading)
  const count = elements(place.shape)
  if (!Number.isSafeInteger(count)) throw faultOf(place, reading, `its shape [${place.shape}] is too large`)
  if (!Array.isArray(json)) throw faultOf(place, reading, 'its data is no array')
  const flat: unknown[] = []
  // One more than there may be is enough to know that there are too many.
  flatten(json, flat, count + 1, 0)
  if (flat.length !== count)
    throw faultOf(
      place,
      reading,
      `${flat.length > count ? `more than ${count}` : flat.length} elements, but its shape [${place.shape}] holds ${count}`,
    )
  const wrong = flat.find((element) => !fits(element, datatype))
  if (wrong !== undefined || flat.includes(undefined))
    throw faultOf(place, reading, `${describe(wrong)} is not ${datatype}${hint(wrong, datatype)}`)
  return checked({ ...place, datatype, data: arrayOf(flat, datatype) } as Tensor, reading)
}

/** The elements as the binary extension has them. */
export function bytesOfTensor({ data }: Tensor): Uint8Array {
  if (!Array.isArray(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  const parts = data.flatMap((text) => {
    const bytes = Buffer.from(text)
    const length = Buffer.alloc(lengthBytes)
    length.writeUInt32LE(bytes.byteLength)
    return [length, bytes]
  })
  return Buffer.concat(parts)
}

/** The elements as JSON text, flat. Undefined where JSON has no way to write them: NaN and the infinities. */
export function jsonOfTensor(tensor: Tensor): string | undefined {
  if (tensor.datatype === 'BYTES') return JSON.stringify(tensor.data)
  if (tensor.datatype === 'BOOL') return `[${Array.from(tensor.data, (bit) => bit !== 0).join(',')}]`
  // Integers of 64 bits keep all their digits as text.
  if (tensor.datatype === 'INT64') return `[${tensor.data.join(',')}]`
  if (tensor.datatype === 'FP32' || tensor.datatype === 'FP64')
    if (!(tensor.data as Float32Array).every(Number.isFinite)) return undefined
  return `[${tensor.data.join(',')}]`
}

function datatypeOf(place: TensorPlace, reading: Reading): Datatype {
  if (datatypes.includes(place.datatype as Datatype)) return place.datatype as Datatype
  throw faultOf(
    place,
    reading,
    `datatype ${place.datatype.slice(0, 40)} is not one of ${datatypes.join(' ')}`,
  )
}

function checked(tensor: Tensor, reading: Reading): Tensor {
  const fault = tensorFault(tensor)
  if (fault !== undefined) throw reading.fault(fault.replace(/^input\b/, reading.side))
  return tensor
}

function numbersIn(place: TensorPlace, datatype: NumberType, bytes: Uint8Array, reading: Reading) {
  const type = typedArrays[datatype]
  const expected = elements(place.shape) * type.BYTES_PER_ELEMENT
  if (bytes.byteLength !== expected)
    throw faultOf(
      place,
      reading,
      `${bytes.byteLength} bytes, but ${datatype} [${place.shape}] has ${expected}`,
    )
  return new type(new Uint8Array(bytes).buffer)
}

function textsIn(place: TensorPlace, bytes: Uint8Array, reading: Reading): string[] {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const texts: string[] = []
  let at = 0
  while (at < bytes.length) {
    const end = at + lengthBytes + (at + lengthBytes <= bytes.length ? view.getUint32(at, true) : 0)
    if (end > bytes.length) throw faultOf(place, reading, 'an element of BYTES is cut off')
    try {
      texts.push(decoder.decode(bytes.subarray(at + lengthBytes, end)))
    } catch {
      throw faultOf(place, reading, 'an element is not text in UTF-8')
    }
    at = end
  }
  return texts
}

/** As deep as a shape may be: what lies deeper is an element, and no valid one. */
const depthMax = 8

function flatten(json: readonly unknown[], into: unknown[], max: number, depth: number): void {
  for (const item of json) {
    if (into.length >= max) return
    if (Array.isArray(item) && depth < depthMax) flatten(item, into, max, depth + 1)
    else into.push(item)
  }
}

function fits(element: unknown, datatype: Datatype): boolean {
  if (datatype === 'BYTES') return typeof element === 'string'
  if (datatype === 'BOOL') return typeof element === 'boolean'
  if (typeof element !== 'number') return false
  const range = integerRange[datatype]
  if (!range) return Number.isFinite(element)
  return Number.isInteger(element) && element >= range[0] && element <= range[1]
}

function arrayOf(flat: readonly unknown[], datatype: Datatype): Tensor['data'] {
  if (datatype === 'BYTES') return flat as string[]
  if (datatype === 'INT64') return BigInt64Array.from(flat as number[], BigInt)
  return typedArrays[datatype].from(flat as number[])
}

function describe(element: unknown): string {
  return String(JSON.stringify(element)).slice(0, 40)
}

function hint(element: unknown, datatype: Datatype): string {
  const unsafe = datatype === 'INT64' && typeof element === 'number' && Number.isInteger(element)
  return unsafe ? ': beyond 2^53 send binary data' : ''
}

function faultOf({ name }: TensorPlace, reading: Reading, line: string): InferError {
  return reading.fault(`${reading.side} ${name}: ${line}`)
}
