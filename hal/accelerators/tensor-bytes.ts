/**
 * Tensors as bytes, as the binary tensor data extension of the Open Inference Protocol has them: little-endian, row-major,
 * without gaps; BOOL one byte of 0 or 1, BYTES each element behind its length as 4 bytes. Every count is checked against
 * the shape, in both directions.
 */
import type { AcceleratorTensor, TensorDatatype, TensorPlace } from '../contract/accelerator.ts'
import { AcceleratorError } from './accelerator-error.ts'

type NumberArray = Exclude<AcceleratorTensor['data'], string[]>
interface NumberArrayType {
  readonly BYTES_PER_ELEMENT: number
  new (buffer: ArrayBuffer): NumberArray
}

const arrayTypes: Readonly<Record<Exclude<TensorDatatype, 'BYTES'>, NumberArrayType>> = {
  BOOL: Uint8Array,
  UINT8: Uint8Array,
  UINT16: Uint16Array,
  UINT32: Uint32Array,
  UINT64: BigUint64Array,
  INT8: Int8Array,
  INT16: Int16Array,
  INT32: Int32Array,
  INT64: BigInt64Array,
  FP16: Uint16Array,
  FP32: Float32Array,
  FP64: Float64Array,
}
const datatypes: readonly string[] = [...Object.keys(arrayTypes), 'BYTES']
const lengthBytes = 4

export function isDatatype(name: unknown): name is TensorDatatype {
  return datatypes.includes(String(name))
}

/** Number of elements; an empty shape is one scalar. */
export function elementsOf(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1)
}

/** Throws `bad-input` where the array does not fit datatype and shape. */
export function toBytes(tensor: AcceleratorTensor): Uint8Array {
  const { name, datatype, shape, data } = tensor
  if (data.length !== elementsOf(shape))
    throw bad(`input ${name}: ${data.length} elements, but its shape [${shape}] holds ${elementsOf(shape)}`)
  if (datatype === 'BYTES') return textBytes(data as string[])
  const type = arrayTypes[datatype]
  if (!(data instanceof type)) throw bad(`input ${name}: its elements are not ${datatype}`)
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
}

/** `bytes` must be exactly what the shape needs: throws `run` otherwise. Copies, so that it is aligned and its own. */
export function fromBytes(
  place: { name: string; datatype: TensorDatatype; shape: readonly number[] },
  bytes: Uint8Array,
): AcceleratorTensor {
  const { name, datatype, shape } = place
  const elements = elementsOf(shape)
  if (datatype === 'BYTES') return { name, datatype, shape, data: textsIn(name, elements, bytes) }
  const type = arrayTypes[datatype]
  const expected = elements * type.BYTES_PER_ELEMENT
  if (bytes.byteLength !== expected)
    throw broken(`output ${name} has ${bytes.byteLength} bytes; ${datatype} [${shape}] has ${expected}`)
  const data = new type(new Uint8Array(bytes).buffer)
  return { name, datatype, shape, data } as AcceleratorTensor
}

/** Throws `bad-input`, naming the input, where inputs are not what the model takes. */
export function checkInputs(inputs: readonly AcceleratorTensor[], places: readonly TensorPlace[]): void {
  const given = new Set<string>()
  for (const input of inputs) {
    if (given.has(input.name)) throw bad(`input ${input.name} is given twice`)
    given.add(input.name)
    const place = places.find(({ name }) => name === input.name)
    if (!place) throw bad(`input ${input.name} is not known; expected ${places.map(describe).join(', ')}`)
    if (!fits(input, place))
      throw bad(`input ${input.name} is ${shapeText(input)}; expected ${shapeText(place)}`)
  }
  const missing = places.find(({ name }) => !given.has(name))
  if (missing) throw bad(`input ${missing.name} is missing; expected ${shapeText(missing)}`)
}

/** Throws `run` where outputs are not what the model said that it gives. */
export function checkOutputs(outputs: readonly AcceleratorTensor[], places: readonly TensorPlace[]): void {
  for (const place of places) {
    const output = outputs.find(({ name }) => name === place.name)
    if (!output) throw broken(`output ${place.name} is missing`)
    if (!fits(output, place))
      throw broken(`output ${place.name} is ${shapeText(output)}; expected ${shapeText(place)}`)
  }
}

function fits(tensor: AcceleratorTensor, place: TensorPlace): boolean {
  if (tensor.datatype !== place.datatype || tensor.shape.length !== place.shape.length) return false
  return place.shape.every((length, axis) => isOpen(length) || length === tensor.shape[axis])
}

const isOpen = (length: number | string) => typeof length === 'string' || length < 0

const describe = (place: TensorPlace) => `${place.name} ${shapeText(place)}`

/** `FP32 [1,n]`. */
function shapeText({ datatype, shape }: { datatype: string; shape: readonly (number | string)[] }): string {
  return `${datatype} [${shape.map((length) => (length === '' || Number(length) < 0 ? '?' : length)).join(',')}]`
}

function textBytes(texts: readonly string[]): Uint8Array {
  const encoded = texts.map((text) => new TextEncoder().encode(text))
  const bytes = new Uint8Array(encoded.reduce((sum, { length }) => sum + lengthBytes + length, 0))
  const view = new DataView(bytes.buffer)
  let at = 0
  for (const text of encoded) {
    view.setUint32(at, text.length, true)
    bytes.set(text, at + lengthBytes)
    at += lengthBytes + text.length
  }
  return bytes
}

function textsIn(name: string, elements: number, bytes: Uint8Array): string[] {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const texts: string[] = []
  let at = 0
  while (at + lengthBytes <= bytes.length) {
    const end = at + lengthBytes + view.getUint32(at, true)
    if (end > bytes.length) break
    try {
      texts.push(decoder.decode(bytes.subarray(at + lengthBytes, end)))
    } catch (cause) {
      throw broken(`output ${name}: an element is not text in UTF-8`, cause)
    }
    at = end
  }
  if (at !== bytes.length || texts.length !== elements)
    throw broken(`output ${name}: ${bytes.length} bytes are not ${elements} elements of BYTES`)
  return texts
}

const bad = (message: string) => new AcceleratorError('bad-input', message)
const broken = (message: string, cause?: unknown) => new AcceleratorError('run', message, { cause })
