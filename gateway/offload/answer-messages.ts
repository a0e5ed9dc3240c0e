/**
 * Answers as messages to a device: with their outputs where they fit, else with a ticket that they can be fetched by; and what can be
 * told before a model runs of an answer that could reach its device in neither way.
 */
import { encodeCbor } from '../../runtime/wire/cbor.ts'
import type { TensorSpec } from '../../runtime/wire/engine-protocol.ts'
import { type InferChunk, InferError } from '../../runtime/wire/infer.ts'
import { wireLimits } from '../../runtime/wire/limits.ts'
import { encodeMessage, type InferMessage, tensorBytes } from '../../runtime/wire/offload.ts'
import { elements, typedArrays } from '../../runtime/wire/tensor.ts'
import type { Serving } from './serving.ts'
import type { OffloadTickets } from './tickets.ts'

export interface Recipient extends Pick<InferMessage, 'answerBytesMax'> {
  readonly device: string
  /** Keeps what is too large for a message. */
  readonly tickets: Pick<OffloadTickets, 'keep'>
}

const retryAfterMs = 1_000
const unfetched =
  ', too many for a message, and the device knows no HTTP address of this gateway to fetch them from'

/** `about`: what the message says beside the chunk. Throws InferError where the outputs can reach the device in no way. */
export function chunkMessage(
  { outputs, final, modelMs, privacy, route, cached, served }: InferChunk,
  about: { readonly id: string; readonly seq: number },
  recipient: Recipient,
): Uint8Array {
  const head = {
    t: 'chunk',
    ...about,
    final,
    ...(modelMs !== undefined && { modelMs }),
    ...(privacy !== undefined && { privacy }),
    ...(route !== undefined && { route }),
    ...(cached !== undefined && { cached }),
    ...(served !== undefined && { served }),
  }
  // What is far too large is not encoded twice: it would hold up everybody else.
  if (tensorBytes(outputs) <= 4 * wireLimits.mqttPayloadBytesMax) {
    const message = encodeMessage({ ...head, outputs })
    if (message.byteLength <= wireLimits.mqttPayloadBytesMax) return message
  }
  return encodeMessage({ ...head, ticket: kept(encodeCbor(outputs), recipient) })
}

function kept(
  body: Uint8Array,
  { device, tickets, answerBytesMax = wireLimits.ticketBytesMax }: Recipient,
): string {
  const bytes = body.byteLength
  const large = `the answer has ${bytes} bytes`
  if (bytes > wireLimits.ticketBytesMax)
    throw new InferError(
      'run',
      `${large}, more than the ${wireLimits.ticketBytesMax} that may leave a gateway`,
    )
  if (bytes > answerBytesMax) throw new InferError('run', `${large}${unfetched}`)
  const ticket = tickets.keep(device, body)
  // Not `overloaded`: whoever refuses with that did not run it, and this did.
  if (ticket === undefined)
    throw new InferError('engine-lost', `${large}, and there is no room for it`, { retryAfterMs })
  return ticket
}

/**
 * Before the work is done, as far as the model says how large its answers are. Throws InferError `unavailable`: it did not run, and
 * another gateway may be near enough.
 */
export function checkAnswerFits(
  { model, answerBytesMax }: Pick<InferMessage, 'model' | 'answerBytesMax'>,
  serving: Pick<Serving, 'models'>,
): void {
  if (answerBytesMax === undefined) return
  const bytes = leastBytes(serving.models().find(({ name }) => name === model)?.outputs ?? [])
  if (bytes > answerBytesMax)
    throw new InferError('unavailable', `an answer of ${model} has ${bytes} bytes or more${unfetched}`)
}

/** Of outputs whose lengths are known; a length that the request decides counts as one, and so does a text. */
function leastBytes(outputs: readonly TensorSpec[]): number {
  return outputs.reduce((sum, { datatype, shape }) => {
    const length = elements(shape.map((one) => (typeof one === 'number' ? one : 1)))
    return sum + length * (datatype === 'BYTES' ? 1 : typedArrays[datatype].BYTES_PER_ELEMENT)
  }, 0)
}
