/**
 * HTTP/1.1 to a server elsewhere, trusting nothing of it: connecting, silence and size are bounded, nothing is unpacked, a redirect
 * is refused (what is sent is personal, and goes to nobody but the configured server), half an answer is none. `node:http`, because
 * `fetch` costs 20 MB at its first use. The key is in a header and nowhere else: neither errors nor logs have it.
 */
import type { Agent, ClientRequest, IncomingMessage, OutgoingHttpHeaders } from 'node:http'
import type { Clock } from '../../../runtime/base/clock.ts'
import { messageOf } from '../../../runtime/base/errors.ts'
import { httpOf } from '../../../runtime/base/node-http.ts'
import { InferError } from '../../../runtime/wire/infer.ts'
import { type Head, reasonBytesMax, reasonIn, refusalOf, shown } from './upstream-refusal.ts'

export interface UpstreamOptions {
  /** Names it in errors. */
  readonly id: string
  /** Without a slash at the end. */
  readonly url: string
  readonly key?: string | undefined
  /** Requests for one model at once. */
  readonly concurrency: number
}

export interface Call {
  readonly method: 'GET' | 'POST'
  /** Below the URL; starts with a slash. */
  readonly path: string
  readonly headers?: OutgoingHttpHeaders
  readonly parts?: readonly Uint8Array[]
  /** Asking twice does no harm. */
  readonly repeatable: boolean
  /** Statuses that are an answer, besides 200. */
  readonly also?: readonly number[]
  /** What the content type has to be. */
  readonly type?: RegExp
  /** The largest answer; of a stream, of all of it. */
  readonly bytesMax: number
  readonly signal: AbortSignal
}

export interface Answer extends Head {
  readonly body: Buffer
}

export interface Streamed extends Head {
  /** To be read: throws InferError; leaving the loop ends the connection. */
  readonly chunks: AsyncGenerator<Buffer>
}

/** Connections to one server are as many as requests of two models, and at least so many: the next request waits for one. */
const connectionsMin = 128
/** A server in reach has answered the handshake by then. */
const connectMs = 5_000
/** How long a connection is kept open unused: less than servers commonly do, so that theirs is seldom the end that closes it. */
const idleMs = 4_000
/** Within an answer that has begun. Servers of language models send comments or tokens more often. */
const silenceMs = 60_000

export class Upstream implements Disposable {
  readonly id: string
  readonly #url: URL
  readonly #key: string | undefined
  readonly #connectionsMax: number
  readonly #clock: Clock
  #agent: Agent | undefined
  #closed = false

  constructor(clock: Clock, options: UpstreamOptions) {
    this.id = options.id
    this.#url = new URL(options.url)
    this.#key = options.key
    this.#connectionsMax = Math.max(connectionsMin, 2 * options.concurrency)
    this.#clock = clock
  }

  /** The whole answer. Throws InferError. */
  async ask(call: Call): Promise<Answer> {
    const { chunks, ...head } = await this.stream(call)
    return { ...head, body: await wholeOf(chunks) }
  }

  /** The answer as it comes. Throws InferError, also for every status that is none, in the server's own words. */
  async stream(call: Call): Promise<Streamed> {
    call.signal.throwIfAborted()
    if (this.#closed) throw new InferError('engine-stopped', `${this.id} was closed`)
    const { request, agent } = this.#open()
    const incoming = await this.#send(request, agent, call, true)
    const head = headOf(incoming)
    const fault = await this.#fault(incoming, head, call)
    if (!fault) return { ...head, chunks: this.#read(incoming, call) }
    incoming.destroy()
    throw fault
  }

  /** It answered with what is no answer: retryable, another server of the same model may keep to the protocol. */
  broke(line: string): InferError {
    return new InferError('run', `${this.id} broke the protocol: ${line}`, { retryable: true })
  }

  /** What a server says within an answer, without our key. */
  said(text: string): string {
    return shown(text, this.#key)
  }

  [Symbol.dispose](): void {
    this.#closed = true
    this.#agent?.destroy()
  }

  #open() {
    const { Agent, request } = httpOf(this.#url)
    this.#agent ??= new Agent({
      ...{ keepAlive: true, timeout: idleMs, maxSockets: this.#connectionsMax, scheduling: 'lifo' },
    })
    return { request, agent: this.#agent }
  }

  #send(
    request: ReturnType<typeof httpOf>['request'],
    agent: Agent,
    call: Call,
    isFirst: boolean,
  ): Promise<IncomingMessage> {
    const { method, path, headers, parts = [], signal } = call
    return new Promise((resolve, reject) => {
      const sent = request(`${this.#url.href.replace(/\/$/, '')}${path}`, {
        agent,
        method,
        signal,
        headers: {
          accept: 'application/json',
          ...headers,
          ...(this.#key !== undefined && { authorization: `Bearer ${this.#key}` }),
          ...(method === 'POST' && { 'content-length': sizeOf(parts) }),
        },
      })
      const connected = this.#watchConnect(sent)
      sent.on('response', resolve)
      sent.on('error', (error: NodeJS.ErrnoException) => {
        if (signal.aborted) return reject(signal.reason)
        // An idle connection is the server's to close, and that may cross with a request. Whether it was read nobody can tell,
        // unless it could not even be written.
        const crossed =
          sent.reusedSocket && (error.code === 'EPIPE' || (error.code === 'ECONNRESET' && call.repeatable))
        if (crossed && isFirst) this.#send(request, agent, call, false).then(resolve, reject)
        else reject(connected() ? this.#lost(error) : this.#unreachable(error))
      })
      for (const part of parts) sent.write(part)
      sent.end()
    })
  }

  /** Gives up a connection that is not made in time. Tells whether it was made. */
  #watchConnect(sent: ClientRequest): () => boolean {
    let connected = false
    sent.on('socket', (socket) => {
      if (!socket.connecting) {
        connected = true
        return
      }
      const cancel = this.#clock.after(connectMs, () =>
        sent.destroy(new Error(`no connection within ${connectMs / 1000} s`)),
      )
      const done = this.#url.protocol === 'https:' ? 'secureConnect' : 'connect'
      socket.once(done, () => {
        connected = true
        cancel()
      })
      socket.once('close', cancel)
    })
    return () => connected
  }

  /** Why it is no answer, if it is none. */
  async #fault(incoming: IncomingMessage, head: Head, call: Call): Promise<InferError | undefined> {
    const { status, header } = head
    if (status >= 300 && status < 400)
      return new InferError('run', `${this.id} redirects elsewhere (${status}), which is not followed`)
    if (status !== 200 && !call.also?.includes(status))
      return refusalOf(this.id, head, await this.#reason(incoming, call))
    const packed = header('content-encoding') ?? 'identity'
    if (packed !== 'identity') return this.broke(`its answer is packed (${packed.slice(0, 40)}), unasked`)
    const type = header('content-type') || 'no content type'
    if (call.type && !call.type.test(type)) return this.broke(`it answered with ${type.slice(0, 80)}`)
    return undefined
  }

  /** None where it has no end, or breaks off: the status says enough. */
  async #reason(incoming: IncomingMessage, call: Call): Promise<string | undefined> {
    try {
      const body = await wholeOf(this.#read(incoming, { ...call, bytesMax: reasonBytesMax }))
      const reason = reasonIn(body)
      return reason === undefined ? undefined : this.said(reason)
    } catch (error) {
      if (call.signal.aborted) throw error
      return undefined
    }
  }

  async *#read(incoming: IncomingMessage, { bytesMax, signal }: Call): AsyncGenerator<Buffer> {
    const promised = Number(incoming.headers['content-length'] ?? 0)
    let bytes = 0
    let silent = false
    const watch = () =>
      this.#clock.after(silenceMs, () => {
        silent = true
        incoming.destroy()
      })
    let cancelSilence = watch()
    try {
      if (promised > bytesMax) throw this.#tooLarge(bytesMax)
      for await (const chunk of incoming as AsyncIterable<Buffer>) {
        cancelSilence()
        bytes += chunk.byteLength
        if (bytes > bytesMax) throw this.#tooLarge(bytesMax)
        yield chunk
        cancelSilence = watch()
      }
      if (!incoming.complete) throw this.#lost(new Error('the answer was cut off'))
    } catch (error) {
      if (signal.aborted) throw signal.reason
      if (silent) throw this.#lost(new Error(`silent for ${silenceMs / 1000} s within an answer`))
      throw error instanceof InferError ? error : this.#lost(error)
    } finally {
      cancelSilence()
      if (!incoming.complete) incoming.destroy()
    }
  }

  #unreachable(cause: unknown): InferError {
    return new InferError(
      'unavailable',
      `${this.id} cannot be reached: ${messageOf(cause) || codeOf(cause)}`,
      {
        retryable: true,
        cause,
      },
    )
  }

  #lost(cause: unknown): InferError {
    return new InferError(
      'engine-lost',
      `${this.id}: the connection broke: ${messageOf(cause) || codeOf(cause)}`,
      {
        retryable: true,
        cause,
      },
    )
  }

  #tooLarge(bytesMax: number): InferError {
    return new InferError('run', `${this.id} sends more than ${bytesMax} bytes`)
  }
}

/** Of several failed addresses Node tells only a code. */
function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException | undefined)?.code ?? 'no reason given'
}

function sizeOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, { byteLength }) => sum + byteLength, 0)
}

function headOf({ statusCode = 0, headers }: IncomingMessage): Head {
  const header = (name: string) => {
    const value = headers[name]
    return Array.isArray(value) ? value[0] : value
  }
  return { status: statusCode, header }
}

/** Bounded by its call. */
export async function wholeOf(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const chunk of chunks) parts.push(chunk)
  return Buffer.concat(parts)
}
