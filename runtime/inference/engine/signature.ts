/** Checks tensors against what a model takes, and says in one line which is wrong and what was expected. */
import type { TensorSpec } from '../../wire/engine-protocol.ts'
import { InferError, type Tensor } from '../../wire/infer.ts'
import { tensorFault } from '../../wire/tensor.ts'
import { notFiniteAt } from './finite.ts'

export interface InputSpec extends TensorSpec {
  readonly optional?: boolean
}

/** The inputs by name; with numbers only, unless `allowNaN`. Throws InferError `bad-input`. */
export function checkInputs(
  inputs: readonly unknown[],
  specs: readonly InputSpec[],
  { allowNaN = false }: { readonly allowNaN?: boolean } = {},
): ReadonlyMap<string, Tensor> {
  const given = new Map<string, Tensor>()
  for (const input of inputs) {
    const fault = tensorFault(input)
    if (fault) throw bad(`${fault}; expected ${describeAll(specs)}`)
    const tensor = input as Tensor
    if (given.has(tensor.name)) throw bad(`input ${tensor.name} is given twice`)
    given.set(tensor.name, tensor)
  }
  for (const spec of specs) checkInput(given.get(spec.name), spec)
  for (const name of given.keys())
    if (!specs.some((spec) => spec.name === name))
      throw bad(`input ${name} is not known; expected ${describeAll(specs)}`)
  for (const tensor of given.values()) checkTexts(tensor)
  if (!allowNaN) for (const tensor of given.values()) checkFinite(tensor)
  return given
}

/** One line of how two signatures differ, or undefined. A declared text dimension stands for any length. */
export function signatureFault(
  kind: 'input' | 'output',
  declared: readonly TensorSpec[],
  actual: readonly TensorSpec[],
): string | undefined {
  for (const spec of declared) {
    const found = actual.find((other) => other.name === spec.name)
    if (!found) return `${kind} ${spec.name} is declared, but the graph has ${describeAll(actual)}`
    if (found.datatype !== spec.datatype || !shapesAgree(spec.shape, found.shape))
      return `${kind} ${spec.name} is declared ${describe(spec)}, but is ${describe(found)} in the graph`
  }
  return undefined
}

/** `FP32 [1,n]`; a nameless dimension is `?`. */
export function describe(spec: { datatype: string; shape: readonly (number | string)[] }): string {
  return `${spec.datatype} [${spec.shape.map((length) => (length === '' ? '?' : length)).join(',')}]`
}

function checkInput(tensor: Tensor | undefined, spec: InputSpec): void {
  if (!tensor) {
    if (spec.optional) return
    throw bad(`input ${spec.name} is missing; expected ${describe(spec)}`)
  }
  if (tensor.datatype !== spec.datatype || !shapesAgree(spec.shape, tensor.shape))
    throw bad(`input ${spec.name} is ${describe(tensor)}; expected ${describe(spec)}`)
}

/** In native code a text ends there, and the model would answer to a part of it. */
function checkTexts({ name, datatype, data }: Tensor): void {
  const at = datatype === 'BYTES' ? data.findIndex((text) => text.includes('\0')) : -1
  if (at >= 0) throw bad(`input ${name} has the character U+0000 in element ${at}`)
}

function checkFinite(tensor: Tensor): void {
  const at = notFiniteAt(tensor)
  if (at !== undefined)
    throw bad(`input ${tensor.name} is ${String(tensor.data[at])} at element ${at}; expected finite numbers`)
}

function shapesAgree(expected: readonly (number | string)[], actual: readonly (number | string)[]): boolean {
  if (expected.length !== actual.length) return false
  return expected.every((length, axis) => {
    const other = actual[axis]
    return typeof length === 'string' || typeof other === 'string' || length === other
  })
}

function describeAll(specs: readonly InputSpec[]): string {
  return specs.map((spec) => `${spec.name} ${describe(spec)}${spec.optional ? ' (optional)' : ''}`).join(', ')
}

function bad(message: string): InferError {
  return new InferError('bad-input', message)
}
