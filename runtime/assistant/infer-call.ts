/**
 * The call `infer`: one inference by this device's router, so wherever its policy sends it. Inputs come in the call and
 * outputs in its answer, or by tickets of the gateway where they are larger than a message. Nothing of them is kept or logged.
 */
import * as v from 'valibot'
import type { Clock } from '../base/clock.ts'
import { CodedError } from '../base/errors.ts'
import type { Inference } from '../inference/inference.ts'
import { upload } from '../inference/offload/upload.ts'
import { RpcError } from '../link/rpc-server.ts'
import { decodeCbor, encodeCbor } from '../wire/cbor.ts'
import { type InferChunk, InferError, type Tensor } from '../wire/infer.ts'
import { wireLimits } from '../wire/limits.ts'
import { check } from '../wire/messages.ts'
import { tensorBytes } from '../wire/offload.ts'
import type { InferReply, inferParams, RpcErrorCode } from '../wire/rpc.ts'
import { fetchRecording } from './recording.ts'

export interface InferCallDeps {
  readonly clock: Clock
  readonly inference: Inference
  /** HTTP address of the gateway: large inputs are fetched from there, and large outputs sent there, and nowhere else. */
  readonly gateway: string | undefined
}

const ticketContent = v.looseObject({ inputs: v.array(v.unknown()) })

/** What each failure is to a caller. */
const codes: Readonly<Partial<Record<InferError['code'], RpcErrorCode>>> = {
  'model-unknown': 'not-found',
  'bad-input': 'bad-request',
  refused: 'unsupported',
  deadline: 'deadline',
}

/** Throws RpcError. `deadlineMs`: time left for all of it. */
export async function inferCall(
  { clock, inference, gateway }: InferCallDeps,
  params: v.InferOutput<typeof inferParams> & { readonly deadlineMs: number },
  signal: AbortSignal,
): Promise<InferReply> {
  const startMs = clock.monotonicMs()
  const { model, priority, privacy, ticket, parameters } = params
  try {
    const inputs = ticket === undefined ? (params.inputs ?? []) : await fetched(gateway, ticket, signal)
    const deadlineMs = params.deadlineMs - (clock.monotonicMs() - startMs)
    const request = {
      ...{ model, priority, privacy, deadlineMs },
      ...(parameters === undefined ? {} : { parameters }),
      // Whoever runs it names the input that is wrong.
      inputs: inputs as readonly Tensor[],
    }
    const last = await finalOf(inference.infer(request, signal))
    const outputs = await handedOver(last, gateway, params, signal)
    return {
      ...outputs,
      route: last.route ?? 'engine',
      ms: Math.round((clock.monotonicMs() - startMs) * 100) / 100,
      privacy: last.privacy ?? privacy,
      ...(last.decision === undefined ? {} : { decision: last.decision }),
      ...(last.modelMs === undefined ? {} : { modelMs: last.modelMs }),
      ...(last.cached ? { cached: true } : {}),
    }
  } catch (error) {
    if (error instanceof RpcError || !(error instanceof CodedError)) throw error
    const code = error instanceof InferError ? (codes[error.code] ?? 'unavailable') : 'unavailable'
    throw new RpcError(code, error.message, { cause: error })
  }
}

/** With the rest of the reply in one message. */
const inlineBytesMax = wireLimits.mqttPayloadBytesMax - 4 * 1024

/** The outputs, where they fit into the reply; else they are uploaded under the caller's ticket. Throws RpcError, InferError. */
async function handedOver(
  { outputs }: InferChunk,
  gateway: string | undefined,
  { model, answerTicket }: v.InferOutput<typeof inferParams>,
  signal: AbortSignal,
): Promise<Pick<InferReply, 'outputs'>> {
  // The estimate is never too small, and spares small answers a second encoding.
  if (tensorBytes(outputs) <= inlineBytesMax) return { outputs: [...outputs] }
  const body = encodeCbor(outputs)
  if (body.byteLength <= inlineBytesMax) return { outputs: [...outputs] }
  const large = `the answer of ${model} has ${body.byteLength} bytes`
  if (body.byteLength > wireLimits.answerBytesMax)
    throw new RpcError(
      'unsupported',
      `${large}, more than the ${wireLimits.answerBytesMax} that a caller is given`,
    )
  if (answerTicket === undefined)
    throw new RpcError('unsupported', `${large}, too many for a message: ask for it through the gateway`)
  if (gateway === undefined)
    throw new RpcError(
      'unsupported',
      `${large}, too many for a message, and this device was given no gateway to send them to: start it with --gateway`,
    )
  const uploaded = await upload(new URL(`/api/tickets/${answerTicket}`, gateway).href, body, signal)
  if (!uploaded.accepted) throw uploaded.error
  return {}
}

async function finalOf(chunks: AsyncIterable<InferChunk>): Promise<InferChunk> {
  for await (const chunk of chunks) if (chunk.final) return chunk
  throw new InferError('run', 'the model ended without an answer')
}

async function fetched(from: string | undefined, ticket: string, signal: AbortSignal): Promise<unknown[]> {
  if (from === undefined)
    throw new RpcError(
      'unavailable',
      'this device was given no gateway to fetch inputs from: start it with --gateway',
    )
  const bytes = await fetchRecording(from, ticket, wireLimits.inputsBytesMax, signal)
  const decoded = decodeCbor(bytes, wireLimits.inputsBytesMax)
  const content = decoded.ok ? check(ticketContent, decoded.value) : decoded
  if (!content.ok) throw new RpcError('bad-request', `the inputs are ${content.reason}`)
  return content.value.inputs
}
