/** What an InferError is in HTTP, the same for every API that serves models. */
import type { OutgoingHttpHeaders } from 'node:http'
import { InferError, type InferErrorCode } from '../../runtime/wire/infer.ts'
import { type ApiError, toApiError } from './api-error.ts'

const statuses: Readonly<Record<InferErrorCode, number>> = {
  'model-unknown': 404,
  'bad-input': 400,
  refused: 403,
  overloaded: 429,
  memory: 503,
  unavailable: 503,
  'engine-stopped': 503,
  'model-load': 500,
  run: 502,
  'engine-lost': 502,
  deadline: 504,
  /** Nobody is there to read it: nginx's number for that. */
  cancelled: 499,
}

/** One failure, ready to be written in any API's own form. */
export interface HttpFailure {
  readonly status: number
  readonly message: string
  readonly code: InferErrorCode | ApiError['code']
  readonly headers: OutgoingHttpHeaders
  /** It is ours to look into: the log should have it. */
  readonly internal: boolean
}

export function httpFailure(error: unknown): HttpFailure {
  if (error instanceof InferError) {
    const { code, message, retryAfterMs } = error
    const headers = retryAfterMs === undefined ? {} : retryAfter(retryAfterMs)
    return { status: statuses[code], message, code, headers, internal: false }
  }
  const { status, message, code } = toApiError(error)
  const headers: OutgoingHttpHeaders = {}
  if (code === 'busy') Object.assign(headers, retryAfter(1_000))
  // The rest of a refused upload is not worth waiting for.
  if (status === 413 || status === 415) headers['connection'] = 'close'
  return { status, message, code, headers, internal: code === 'internal' }
}

/** RFC 9110, 10.2.3 has whole seconds; OpenAI's clients also know milliseconds. */
function retryAfter(ms: number): OutgoingHttpHeaders {
  return { 'retry-after': String(Math.max(1, Math.ceil(ms / 1000))), 'retry-after-ms': String(Math.ceil(ms)) }
}
