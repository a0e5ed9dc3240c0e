/** Talks to a hub's HTTP API. Every call has a deadline; every failure is one line that says what to do. */
import { CodedError, messageOf } from '../base/errors.ts'

export type HubErrorCode = 'unreachable' | 'rejected' | 'deadline'
export class HubError extends CodedError<HubErrorCode> {
  override readonly name = 'HubError'
  /** HTTP status, where the hub answered. */
  readonly status: number | undefined
  constructor(code: HubErrorCode, message: string, status?: number, cause?: unknown) {
    super(code, message, { retryable: code !== 'rejected', cause })
    this.status = status
  }
}

export class HubClient {
  readonly url: string

  constructor(url: string) {
    this.url = url.replace(/\/+$/, '')
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

  /** Server-sent events until the signal aborts or the hub closes the stream. */
  async *events(path: string, signal: AbortSignal): AsyncGenerator<{ event: string; data: unknown }> {
    const response = await this.#fetch(path, { headers: { accept: 'text/event-stream' } }, signal)
    let buffer = ''
    for await (const chunk of (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream())) {
      buffer += chunk
      const blocks = buffer.split('\n\n')
      buffer = blocks.pop() ?? ''
      for (const block of blocks) {
        const parsed = parseEvent(block)
        if (parsed) yield parsed
      }
    }
  }

  async #json<T>(path: string, init: RequestInit, limitMs: number): Promise<T> {
    const response = await this.#fetch(path, init, AbortSignal.timeout(limitMs))
    return (await response.json()) as T
  }

  async #fetch(path: string, init: RequestInit, signal: AbortSignal): Promise<Response> {
    let response: Response
    try {
      response = await fetch(`${this.url}${path}`, { ...init, signal })
    } catch (error) {
      if (signal.aborted && (signal.reason as Error | undefined)?.name !== 'TimeoutError') throw error
      if (signal.aborted)
        throw new HubError('deadline', `the hub at ${this.url} did not answer in time`, undefined, error)
      const cause = error instanceof Error && error.cause ? error.cause : error
      throw new HubError(
        'unreachable',
        `no hub answers at ${this.url} (${messageOf(cause)}): is it running?`,
        undefined,
        error,
      )
    }
    if (response.ok) return response
    const body = (await response.json().catch(() => ({}))) as { error?: { message?: string } }
    throw new HubError(
      'rejected',
      body.error?.message ?? `the hub answered ${response.status}`,
      response.status,
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
