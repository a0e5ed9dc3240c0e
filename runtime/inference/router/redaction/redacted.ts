/**
 * A request whose texts leave the site, and its answer on the way back. Only tensors of texts (BYTES) are looked at: what is
 * in a picture or a sound is hidden by no pattern, and its label decides.
 */
import { type InferChunk, InferError, type InferRequest, type Tensor } from '../../../wire/infer.ts'
import type { Redactor, Restorer } from './redactor.ts'

/** Parameter of a request whose text streams in pieces, `delta`, rather than as the whole so far. */
export const textStreamParameter = 'text_stream'

export interface Redacted {
  readonly request: Omit<InferRequest, 'id'>
  /** A chunk as the caller may see it. */
  readonly back: (chunk: InferChunk) => InferChunk
}

/** Throws InferError `bad-input` for a text that is too long. */
export function redacted(redactor: Redactor, request: Omit<InferRequest, 'id'>): Redacted {
  const session = redactor.session()
  try {
    const inputs = request.inputs.map((tensor) => withTexts(tensor, (text) => session.redact(text)))
    if (session.size === 0) return { request, back: (chunk) => chunk }
    const pieces = new Map<string, Restorer>()
    const inPieces = request.parameters?.[textStreamParameter] === 'delta'
    const restorer = (name: string, at: number) => {
      const key = `${name}\n${at}`
      const one = pieces.get(key) ?? session.restorer()
      pieces.set(key, one)
      return one
    }
    const back = (tensor: Tensor, final: boolean): Tensor =>
      withTexts(tensor, (text, at) => {
        if (inPieces) {
          const shown = restorer(tensor.name, at).push(text)
          return final ? shown + restorer(tensor.name, at).end() : shown
        }
        if (final) return session.restore(text)
        // The whole so far: what may be half a placeholder waits for the next piece.
        return session.restorer().push(text)
      })
    return {
      request: { ...request, inputs },
      back: (chunk) => ({ ...chunk, outputs: chunk.outputs.map((one) => back(one, chunk.final)) }),
    }
  } catch (error) {
    if (error instanceof RangeError) throw new InferError('bad-input', error.message, { cause: error })
    throw error
  }
}

function withTexts(tensor: Tensor, change: (text: string, at: number) => string): Tensor {
  if (tensor.datatype !== 'BYTES') return tensor
  return { ...tensor, data: tensor.data.map((text, at) => change(text, at)) }
}
