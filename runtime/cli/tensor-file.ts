/**
 * Tensors from files and from the command line: `name=FILE.npy`, `name=FILE.json`, `name=[[1, 2], [3, 4]]`. NumPy's format:
 * https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html, versions 1 to 3, little-endian, row-major.
 */
import { readFileSync, statSync } from 'node:fs'
import { messageOf, UsageError } from '../base/errors.ts'
import type { TensorSpec } from '../wire/engine-protocol.ts'
import { type Datatype, InferError, type Tensor } from '../wire/infer.ts'
import { wireLimits } from '../wire/limits.ts'
import { tensorOfBytes, tensorOfJson } from '../wire/oip-tensor.ts'

const npyTypes: Readonly<Record<string, Datatype>> = {
  '|b1': 'BOOL',
  '|u1': 'UINT8',
  '|i1': 'INT8',
  '<i2': 'INT16',
  '<i4': 'INT32',
  '<i8': 'INT64',
  '<f4': 'FP32',
  '<f8': 'FP64',
}

/** The tensor that `text` (`name=…`) stands for. Without a name: the model's only input. Throws UsageError. */
export function tensorFrom(text: string, specs: readonly TensorSpec[]): Tensor {
  const at = text.indexOf('=')
  const only = specs.length === 1 ? specs[0]?.name : undefined
  const name = at > 0 ? text.slice(0, at) : only
  if (name === undefined)
    throw new UsageError(`--input ${text}: write it as NAME=FILE.npy, NAME=FILE.json or NAME=JSON`)
  const content = at > 0 ? text.slice(at + 1) : text
  const spec = specs.find((one) => one.name === name)
  if (specs.length > 0 && !spec)
    throw new UsageError(
      `--input ${name}: the model has no such input; there are: ${specs.map((one) => one.name).join(', ')}`,
    )
  if (content.endsWith('.npy')) return npyTensor(name, content, read(content))
  const json = content.endsWith('.json') ? read(content).toString() : content
  return jsonTensor(name, spec?.datatype, json)
}

function read(file: string): Buffer {
  try {
    if (statSync(file).size > wireLimits.inputsBytesMax)
      throw new Error(`larger than the ${wireLimits.inputsBytesMax} bytes allowed`)
    return readFileSync(file)
  } catch (error) {
    throw new UsageError(`cannot read ${file}: ${messageOf(error)}`, { cause: error })
  }
}

const fault = (line: string) => new InferError('bad-input', line)

/** Of a model that only another gateway knows, the values say what they are: text, or numbers. */
function jsonTensor(name: string, wanted: Datatype | undefined, text: string): Tensor {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new UsageError(`--input ${name}: neither JSON nor a file that ends with .npy or .json`)
  }
  const nested = Array.isArray(value) ? value : [value]
  const shape = Array.isArray(value) ? shapeOf(value) : []
  const datatype = wanted ?? (typeof firstOf(value) === 'string' ? 'BYTES' : 'FP32')
  return mistaken(() => tensorOfJson({ name, datatype, shape }, nested, { side: 'input', fault }))
}

function shapeOf(value: unknown): number[] {
  return Array.isArray(value) ? [value.length, ...shapeOf(value[0])] : []
}

function firstOf(value: unknown): unknown {
  return Array.isArray(value) ? firstOf(value[0]) : value
}

function npyTensor(name: string, file: string, bytes: Buffer): Tensor {
  const version = bytes[6] ?? 0
  const isNpy = bytes.length > 12 && bytes.toString('latin1', 1, 6) === 'NUMPY' && version <= 3
  const start = version === 1 ? 10 : 12
  const length = isNpy ? (version === 1 ? bytes.readUInt16LE(8) : bytes.readUInt32LE(8)) : 0
  const header = bytes.toString('latin1', start, start + length)
  const type = /'descr':\s*'([^']+)'/.exec(header)?.[1]
  const shape = /'shape':\s*\(([^)]*)\)/.exec(header)?.[1]
  if (!isNpy || type === undefined || shape === undefined) throw new UsageError(`${file} is no NumPy file`)
  if (/'fortran_order':\s*True/.test(header))
    throw new UsageError(`${file} is in Fortran's order: save numpy.ascontiguousarray of it`)
  const datatype = npyTypes[type]
  if (!datatype) throw new UsageError(`${file} holds ${type}; there are: ${Object.keys(npyTypes).join(' ')}`)
  const lengths = shape
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean)
    .map(Number)
  const content = bytes.subarray(start + length)
  return mistaken(() => tensorOfBytes({ name, datatype, shape: lengths }, content, { side: 'input', fault }))
}

function mistaken<T>(make: () => T): T {
  try {
    return make()
  } catch (error) {
    if (error instanceof InferError) throw new UsageError(error.message, { cause: error })
    throw error
  }
}
