/** One request on its way to the gateways, however often it is sent; and what its caller hears when it comes to nothing. */
import type { Cancel } from '../../base/clock.ts'
import { InferError, type InferRequest } from '../../wire/infer.ts'
import type { AnswerStream } from './answer-stream.ts'
import type { Attempt } from './attempt.ts'
import type { QueueItem } from './credit-queue.ts'

/** Where a model runs: on this site, or only in the cloud. */
export type OffloadReach = 'site' | 'cloud'

/** When trying again makes sense, where nobody said. */
export const retryAfterMsDefault = 1_000
/** The worker did not run it: another one, or the same one later, may. */
export const notRunCodes: ReadonlySet<string> = new Set([
  'overloaded',
  'unavailable',
  'model-unknown',
  'model-load',
  'memory',
])
/** It may have run, and came to nothing. */
export const lostCodes: ReadonlySet<string> = new Set(['engine-lost', 'engine-stopped'])

export type Asked = Omit<InferRequest, 'id'>

/** One request, however often it is sent. */
export interface Job extends QueueItem {
  readonly request: Asked
  readonly reach: OffloadReach
  readonly stream: AnswerStream
  /** Workers that said no. */
  readonly refusedBy: Set<string>
  cancelDeadline: Cancel
  /** As the worker that was asked last says of the model. */
  idempotent: boolean
  attempts: number
  attempt: Attempt | undefined
  /** What became of the last attempt: what the caller hears where nobody else can be asked. */
  lastError: InferError | undefined
  waitsSinceMs: number
}

export function full(why: string): InferError {
  return new InferError('overloaded', `the way to the gateways is full: ${why}`, {
    retryable: true,
    retryAfterMs: retryAfterMsDefault,
  })
}

export function late({ model, deadlineMs }: Pick<Asked, 'model' | 'deadlineMs'>): InferError {
  return new InferError('deadline', `no gateway answered ${model} within ${Math.round(deadlineMs)} ms`, {
    retryable: true,
  })
}

export function lost(message: string, cause: InferError): InferError {
  return new InferError('engine-lost', message, { cause })
}

export function cancelled({ model }: Asked, { reason }: AbortSignal): InferError {
  return new InferError('cancelled', `${model} was cancelled`, { cause: reason })
}
