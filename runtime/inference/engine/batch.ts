/** Several requests as one: stacked along the first axis, and their answers taken apart again. */
import { InferError, type Tensor } from '../../wire/infer.ts'
import { elements, tensorFault, typedArrays } from '../../wire/tensor.ts'

/** What one request brings to a batch. */
export interface Share {
  /** Requests with the same key may be stacked: the same names, datatypes and axes after the first. */
  readonly key: string
  /** Length of the first axis of all its inputs. */
  readonly rows: number
}

/** Undefined for inputs that stand alone: faulty, without rows, or of differing numbers of rows. */
export function shareOf(inputs: readonly unknown[]): Share | undefined {
  const parts: string[] = []
  let rows: number | undefined
  for (const input of inputs) {
    if (tensorFault(input) !== undefined) return undefined
    const { name, datatype, shape } = input as Tensor
    const [first, ...others] = shape
    rows ??= first
    if (first === undefined || first === 0 || first !== rows) return undefined
    parts.push(JSON.stringify([name, datatype, others]))
  }
  return rows === undefined ? undefined : { key: parts.sort().join(), rows }
}

/** One tensor of all requests' tensors of one name, in their order. */
export function stack(tensors: readonly Tensor[]): Tensor {
  const [first] = tensors
  if (!first) throw new Error('nothing to stack')
  const rows = tensors.reduce((sum, { shape }) => sum + (shape[0] ?? 0), 0)
  const shape = [rows, ...first.shape.slice(1)]
  return { ...first, shape, data: joined(first, tensors, elements(shape)) } as Tensor
}

/** The rows of each request, `rows` long, as arrays of their own. Throws InferError `run` when the output has other rows. */
export function split(output: Tensor, rows: readonly number[]): Tensor[] {
  const total = rows.reduce((sum, count) => sum + count, 0)
  const [first, ...others] = output.shape
  if (first !== total)
    throw new InferError('run', `output ${output.name} has ${first} rows for ${total} rows of input`)
  const rowElements = elements(others)
  let from = 0
  return rows.map((count) => {
    const to = from + count * rowElements
    const data = output.data.slice(from, to)
    from = to
    return { ...output, shape: [count, ...others], data } as Tensor
  })
}

function joined(first: Tensor, tensors: readonly Tensor[], length: number): Tensor['data'] {
  if (first.datatype === 'BYTES') return tensors.flatMap(({ data }) => data as string[])
  const array = new typedArrays[first.datatype](length) as Float32Array
  let at = 0
  for (const { data } of tensors) {
    array.set(data as Float32Array, at)
    at += data.length
  }
  return array
}
