/** Requests on their way through one engine process: each from its caller's hand to its final answer. */
import type { Cancel, Clock } from '../../base/clock.ts'
import { InferError, type InferFailure, type InferRequest } from '../../wire/infer.ts'
import { ChunkStream } from './chunk-stream.ts'

export interface Flight {
  readonly id: string
  readonly request: Omit<InferRequest, 'id'>
  readonly priority: InferRequest['priority']
  readonly expiresAtMs: number
  readonly stream: ChunkStream
  /** Handed to the engine that runs now. */
  sent: boolean
  retried: boolean
  streamed: boolean
  /** Its reader has gone or was told; it stays until the engine has let go of it. */
  settled: boolean
  cancelTimer: Cancel
}

export function newFlight(clock: Clock, request: Omit<InferRequest, 'id'>): Flight {
  return {
    id: clock.newId(),
    request,
    priority: request.priority,
    expiresAtMs: clock.monotonicMs() + request.deadlineMs,
    stream: new ChunkStream(),
    sent: false,
    retried: false,
    streamed: false,
    settled: false,
    cancelTimer: () => {},
  }
}

/** The request as the engine takes it, with the time that is left. */
export function onTheWire({ id, request, expiresAtMs }: Flight, nowMs: number) {
  return { ...request, id, inputs: [...request.inputs], deadlineMs: Math.max(0, expiresAtMs - nowMs) }
}

/** The engine's own words. */
export function failureIn({ code, message, retryAfterMs }: InferFailure['error']): InferError {
  const retryable = code === 'deadline' || code === 'overloaded'
  return new InferError(code, message, { retryable, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) })
}

export function late({ request: { model, deadlineMs } }: Flight): InferError {
  const line = `${model} did not answer within ${Math.round(deadlineMs)} ms`
  return new InferError('deadline', line, { retryable: true })
}

export function cancelled(): InferError {
  return new InferError('cancelled', 'cancelled by its caller')
}

export function stopped(): InferError {
  return new InferError('engine-stopped', 'the engine was stopped')
}
