/** Talks to a hub's HTTP API. Every call has a deadline and ends with the command; every failure is one line that says what to do. */
import { CodedError, messageOf } from '../base/errors.ts'
import { authorization } from './gateway-token.ts'

export type HubErrorCode = 'unreachable' | 'rejected' | 'deadline'
export class HubError extends CodedError<HubErrorCode> {
  override readonly name = 'HubError'
  /** HTTP status, where the hub answered. */
  readonly status: number | undefined
  constructor(code: HubErrorCode, message: string, options: { status?: number; cause?: unknown } = {}) {
    super(code, message, { retryable: code !== 'rejected', cause: options.cause })
    this.status = options.status
  }
}

export class HubClient {
  readonly url: string
  readonly #signal: AbortSignal
  readonly #token: string | undefined

  /** `signal` ends every call with its reason. */
  constructor(url: string, signal: AbortSignal, token?: string) {
    this.url = url.replace(/\/+$/, '')
    this.#signal = signal
    this.#token = token
  }

  get<T>(path: string, limitMs = 10_000): Promise<T> {
    return this.#json(path, { method: 'GET' }, limitMs)
  }

  post<T>(path: string, body: unknown, limitMs: number): Promise<T> {
    return this.#json(
      path,
      { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) },
      limitMs,
    )
  }

  /** Uploads a recording. */
  upload<T>(path: string, body: Blob, contentType: string, limitMs: number): Promise<T> {
    return this.#json(path, { method: 'POST', headers: { 'content-type': contentType }, body }, limitMs)
  }

  /** Server-sent events until the hub closes the stream. */
  async *events(path: string): AsyncGenerator<{ event: string; data: unknown }> {
    try {
      const response = await this.#fetch(path, { headers: { accept: 'text/event-stream' } }, this.#signal)
      let buffer = ''
      const text = (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())
      for await (const chunk of text) {
        buffer += chunk
        const blocks = buffer.split('\n\n')
        buffer = blocks.pop() ?? ''
        for (const block of blocks) {
          const parsed = parseEvent(block)
          if (parsed) yield parsed
        }
      }
    } catch (error) {
      throw this.#explained(error)
    }
  }

  async #json<T>(path: string, init: RequestInit, limitMs: number): Promise<T> {
    const limit = AbortSignal.timeout(limitMs)
    try {
      const response = await this.#fetch(path, init, AbortSignal.any([this.#signal, limit]))
      return (await response.json()) as T
    } catch (error) {
      throw this.#explained(error, limit)
    }
  }

  async #fetch(path: string, init: RequestInit, signal: AbortSignal): Promise<Response> {
    const headers = { ...(init.headers as Record<string, string>), ...authorization(this.#token) }
    const response = await fetch(`${this.url}${path}`, { ...init, headers, signal })
    if (response.ok) return response
    const body = (await response.json().catch(() => ({}))) as { error?: { message?: string } }
    const { status } = response
    const message = body.error?.message ?? `the hub answered ${status}`
    const advice = status === 401 ? '; set GANGLION_GATEWAY_TOKEN to it' : ''
    throw new HubError('rejected', `${message}${advice}`, { status })
  }

  #explained(error: unknown, limit?: AbortSignal): unknown {
    if (error instanceof HubError) return error
    if (this.#signal.aborted) return this.#signal.reason
    if (limit?.aborted)
      return new HubError('deadline', `the hub at ${this.url} did not answer in time`, { cause: error })
    if (error instanceof SyntaxError)
      return new HubError('rejected', `${this.url} is no hub: its answer is not JSON`, { cause: error })
    const cause = error instanceof Error && error.cause ? error.cause : error
    return new HubError(
      'unreachable',
      `no hub answers at ${this.url} (${messageOf(cause)}): is it running?`,
      { cause: error },
    )
  }
}

function parseEvent(block: string): { event: string; data: unknown } | undefined {
  let event = 'message'
  let data = ''
  for (const line of block.split('\n')) {
    if (line.startsWith('event:')) event = line.slice(6).trim()
    if (line.startsWith('data:')) data += line.slice(5).trim()
  }
  if (data === '') return undefined
  return { event, data: JSON.parse(data) }
}
