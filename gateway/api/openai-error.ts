/** Errors in the shape that OpenAI's clients read: `{error: {message, type, param, code}}`. */
import type { FastifyReply } from 'fastify'
import { CodedError } from '../../runtime/base/errors.ts'
import { type HttpFailure, httpFailure } from './infer-status.ts'

export interface OpenAiErrorBody {
  readonly error: {
    readonly message: string
    readonly type: string
    readonly param: string | null
    readonly code: string | null
  }
}

/** A request that OpenAI's API does not allow, or that is not served here; `param` names the field. */
export class OpenAiRequestError extends CodedError<'invalid' | 'model_not_found'> {
  override readonly name = 'OpenAiRequestError'
  readonly param: string | null

  constructor(message: string, param: string | null = null, code: 'invalid' | 'model_not_found' = 'invalid') {
    super(code, message)
    this.param = param
  }

  get status(): number {
    return this.code === 'model_not_found' ? 404 : 400
  }
}

const codes: Readonly<Partial<Record<HttpFailure['code'], string>>> = {
  'model-unknown': 'model_not_found',
  unauthorized: 'invalid_api_key',
  overloaded: 'rate_limit_exceeded',
  busy: 'rate_limit_exceeded',
}

export interface OpenAiFailure {
  readonly status: number
  readonly headers: HttpFailure['headers']
  readonly body: OpenAiErrorBody
  readonly internal: boolean
}

export function openAiFailure(error: unknown): OpenAiFailure {
  if (error instanceof OpenAiRequestError) {
    const { message, param, code, status } = error
    const body = {
      error: { message, type: 'invalid_request_error', param, code: code === 'invalid' ? null : code },
    }
    return { status, headers: {}, body, internal: false }
  }
  const { status, message, code, headers, internal } = httpFailure(error)
  const body = { error: { message, type: typeOf(status), param: null, code: codes[code] ?? code } }
  return { status, headers, body, internal }
}

function typeOf(status: number): string {
  if (status === 401) return 'authentication_error'
  if (status === 403) return 'permission_error'
  if (status === 429) return 'rate_limit_error'
  return status < 500 ? 'invalid_request_error' : 'server_error'
}

export function sendOpenAiFailure(reply: FastifyReply, { status, headers, body }: OpenAiFailure): void {
  reply.code(status).headers(headers).type('application/json').send(body)
}
