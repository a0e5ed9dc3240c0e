/** What a server elsewhere means by a status that is no answer, in one line and without our key. */
import { InferError } from '../../../runtime/wire/infer.ts'

export interface Head {
  readonly status: number
  readonly header: (name: string) => string | undefined
}

/** Of a reason that is read. */
export const reasonBytesMax = 64 * 1024
/** Characters of it that are shown. */
const saidCharsMax = 300

/** `said` is the server's own reason, if it gave one. */
export function refusalOf(id: string, { status, header }: Head, said: string | undefined): InferError {
  const line = `${id} answered ${status}: ${said ?? 'no reason given'}`
  const retryable = true
  switch (status) {
    case 401:
    case 403:
      return new InferError('unavailable', `${id} refuses the gateway's key (${status})`, { retryable })
    case 402:
      return new InferError('unavailable', line, { retryable })
    case 404:
      return new InferError('model-unknown', line)
    case 408:
    case 504:
      return new InferError('deadline', line, { retryable })
    case 429:
    case 503:
      return new InferError('overloaded', line, { retryable, ...retryAfterOf(header('retry-after')) })
  }
  if (status >= 400 && status < 500) return new InferError('bad-input', line)
  return new InferError('run', line, { retryable })
}

/** The reason in the body of an error. OpenAI: `{"error": {"message": …}}`; the Open Inference Protocol, others: `{"error": "…"}`, `{"message": …}`. */
export function reasonIn(body: Buffer): string | undefined {
  const json = recordIn(body)
  const error = json?.['error']
  const message = recordOf(error)?.['message'] ?? error ?? json?.['message']
  return typeof message === 'string' ? message : undefined
}

/** In one line, and without the key: some servers say it back. */
export function shown(said: string, key: string | undefined): string {
  return (key === undefined ? said : said.replaceAll(key, '…')).replace(/\s+/g, ' ').slice(0, saidCharsMax)
}

export function jsonIn(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    return undefined
  }
}

export function recordOf(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined
}

export const recordIn = (body: Buffer) => recordOf(jsonIn(body))

/** Seconds; the other form, a date, needs two clocks to agree. */
function retryAfterOf(value: string | undefined): { retryAfterMs?: number } {
  if (value === undefined || !/^\d{1,5}(\.\d+)?$/.test(value)) return {}
  return { retryAfterMs: Math.round(Number(value) * 1000) }
}
