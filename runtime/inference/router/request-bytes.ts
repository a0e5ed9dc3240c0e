/** How much would have to travel: the bytes of a request's tensors, without their names. */
import type { InferRequest, Tensor } from '../../wire/infer.ts'

export function requestBytes({ inputs }: Pick<InferRequest, 'inputs'>): number {
  return inputs.reduce((sum, tensor) => sum + tensorBytes(tensor), 0)
}

/** 0 for what is no tensor: the engine names that one. */
function tensorBytes(tensor: Tensor): number {
  const data: unknown = tensor?.data
  if (ArrayBuffer.isView(data)) return data.byteLength
  if (!Array.isArray(data)) return 0
  return data.reduce<number>((sum, text) => sum + Buffer.byteLength(String(text)), 0)
}
