/** What makes a value a tensor of the inference envelope: its datatype's array, and as many elements as its shape says. */
import type { Datatype, Tensor, TensorArrays } from './infer.ts'

const arrays: { readonly [D in Datatype]: (data: unknown) => data is TensorArrays[D] } = {
  BOOL: (data) => data instanceof Uint8Array,
  UINT8: (data) => data instanceof Uint8Array,
  INT8: (data) => data instanceof Int8Array,
  INT16: (data) => data instanceof Int16Array,
  INT32: (data) => data instanceof Int32Array,
  INT64: (data) => data instanceof BigInt64Array,
  FP32: (data) => data instanceof Float32Array,
  FP64: (data) => data instanceof Float64Array,
  BYTES: (data) => Array.isArray(data) && data.every((item) => typeof item === 'string'),
}
export const datatypes = Object.keys(arrays) as Datatype[]

/** Number of elements of a shape; a scalar's empty shape has one. */
export function elements(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1)
}

/** What ONNX Runtime takes, which counts with 32 bits here and there. */
const lengthMax = 2 ** 31 - 1
const isLength = (length: unknown) =>
  Number.isInteger(length) && Number(length) >= 0 && Number(length) <= lengthMax

/** One line that says what is wrong with a tensor, or undefined. */
export function tensorFault(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return 'an input is not a tensor'
  const { name, datatype, shape, data } = value as Record<string, unknown>
  if (typeof name !== 'string' || name === '') return 'an input has no name'
  if (typeof datatype !== 'string') return `input ${name}: its datatype is not text`
  if (!datatypes.includes(datatype as Datatype))
    return `input ${name}: datatype ${datatype} is not one of ${datatypes.join(' ')}`
  if (!Array.isArray(shape) || !shape.every(isLength)) return `input ${name}: shape is not a list of lengths`
  if (!arrays[datatype as Datatype](data)) return `input ${name}: its elements are not ${datatype}`
  const length = (data as ArrayLike<unknown>).length
  if (length !== elements(shape))
    return `input ${name}: ${length} elements, but its shape [${shape}] holds ${elements(shape)}`
  return datatype === 'BOOL' ? boolFault(name, data as Uint8Array) : undefined
}

/** What another byte would mean is left to nobody: in native code it is neither true nor false. */
function boolFault(name: string, data: Uint8Array): string | undefined {
  const at = data.findIndex((byte) => byte > 1)
  return at < 0 ? undefined : `input ${name}: element ${at} is ${data[at]}, which is not BOOL (0 or 1)`
}

export function isTensor(value: unknown): value is Tensor {
  return tensorFault(value) === undefined
}

/** What makes the array of each datatype but BYTES. */
export const typedArrays = {
  BOOL: Uint8Array,
  UINT8: Uint8Array,
  INT8: Int8Array,
  INT16: Int16Array,
  INT32: Int32Array,
  INT64: BigInt64Array,
  FP32: Float32Array,
  FP64: Float64Array,
} as const satisfies Readonly<Record<Exclude<Datatype, 'BYTES'>, unknown>>
