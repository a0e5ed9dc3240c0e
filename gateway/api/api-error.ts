/** What the HTTP API answers when it cannot do what was asked: a closed set of codes, one status each. */
import { CodedError } from '../../runtime/base/errors.ts'
import { CallError, type CallErrorCode } from './device-bus.ts'

const statuses = {
  'bad-request': 400,
  unauthorized: 401,
  forbidden: 403,
  'not-found': 404,
  conflict: 409,
  'too-large': 413,
  'unsupported-media-type': 415,
  unsupported: 422,
  busy: 429,
  'device-failed': 502,
  'no-device': 503,
  unreachable: 503,
  unavailable: 503,
  deadline: 504,
  internal: 500,
} as const

export type ApiErrorCode = keyof typeof statuses

export class ApiError extends CodedError<ApiErrorCode> {
  override readonly name = 'ApiError'

  get status(): number {
    return statuses[this.code]
  }
}

const ofCall: Record<CallErrorCode, ApiErrorCode> = {
  unreachable: 'unreachable',
  overloaded: 'busy',
  'bad-request': 'bad-request',
  forbidden: 'forbidden',
  'not-found': 'not-found',
  unsupported: 'unsupported',
  deadline: 'deadline',
  unavailable: 'unavailable',
  internal: 'device-failed',
}

/** Anything thrown while answering, as an ApiError. Its own message is shown only where it is known to be meant for people. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error
  if (error instanceof CallError) return new ApiError(ofCall[error.code], error.message, { cause: error })
  const { statusCode, message } = error as { statusCode?: number; message?: string }
  if (statusCode === 413) return new ApiError('too-large', 'the request is too large')
  if (statusCode === 415)
    return new ApiError('unsupported-media-type', 'send JSON (application/json) or a recording (audio/wav)')
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500)
    return new ApiError('bad-request', (message ?? 'bad request').replace(/\s+/g, ' '))
  return new ApiError('internal', 'the gateway failed to answer; its log says why', { cause: error })
}
