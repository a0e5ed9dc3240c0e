/**
 * The call `infer`: one inference by this device's router, so wherever its policy sends it. Inputs come in the call, or by a
 * ticket from the gateway where they are larger than a message. Nothing of them is kept or logged.
 */
import * as v from 'valibot'
import type { Clock } from '../base/clock.ts'
import { CodedError } from '../base/errors.ts'
import type { Inference } from '../inference/inference.ts'
import { RpcError } from '../link/rpc-server.ts'
import { decodeCbor } from '../wire/cbor.ts'
import { type InferChunk, InferError, type Tensor } from '../wire/infer.ts'
import { wireLimits } from '../wire/limits.ts'
import { check } from '../wire/messages.ts'
import type { InferResult, inferParams, RpcErrorCode } from '../wire/rpc.ts'
import { fetchRecording } from './recording.ts'

export interface InferCallDeps {
  readonly clock: Clock
  readonly inference: Inference
  /** HTTP address of the gateway: inputs are fetched from there and nowhere else. */
  readonly inputsFrom: string | undefined
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
  { clock, inference, inputsFrom }: InferCallDeps,
  params: v.InferOutput<typeof inferParams> & { readonly deadlineMs: number },
  signal: AbortSignal,
): Promise<InferResult> {
  const startMs = clock.monotonicMs()
  const { model, priority, privacy, ticket, parameters } = params
  try {
    const inputs = ticket === undefined ? (params.inputs ?? []) : await fetched(inputsFrom, ticket, signal)
    const deadlineMs = params.deadlineMs - (clock.monotonicMs() - startMs)
    const request = {
      ...{ model, priority, privacy, deadlineMs },
      ...(parameters === undefined ? {} : { parameters }),
      // Whoever runs it names the input that is wrong.
      inputs: inputs as readonly Tensor[],
    }
    const last = await finalOf(inference.infer(request, signal))
    return {
      outputs: [...last.outputs],
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
