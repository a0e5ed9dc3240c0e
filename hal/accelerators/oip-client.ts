/**
 * Client of the Open Inference Protocol v2 over HTTP/1.1 on a Unix socket: health, metadata, the model repository extension
 * (load and unload) and inference with binary tensors. Every request has a deadline and every answer a largest size.
 */
import type { IncomingMessage } from 'node:http'
import type { AcceleratorCapabilities, AcceleratorTensor, LoadedModel } from '../contract/accelerator.ts'
import type { HostClock } from '../contract/host.ts'
import { AcceleratorError, cancelled } from './accelerator-error.ts'
import {
  type InferBody,
  inferRequest,
  inferResponse,
  modelMetadata,
  parseJson,
  serverCapabilities,
} from './oip-messages.ts'

/** Tensors of one answer; more is no answer of a model that fits a board. */
const answerBytesMax = 256 * 2 ** 20
/** An adapter queues for its chip; more connections would only wait there. */
const connectionsMax = 16
/** Metadata and health are small and quick. */
const quickMs = 5000
const messageMax = 500
/** Of a connection that the other side has closed. */
const closedCodes: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE'])

interface Answer {
  readonly status: number
  readonly jsonBytes: number
  readonly body: Buffer
}

interface Call {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly body?: InferBody
  readonly deadlineMs: number
}

export class OipClient implements Disposable {
  readonly #socketPath: string
  readonly #clock: HostClock
  /** An `import` of it would read all it offers: with its WebSocket comes all that `fetch` is made of, 9 MB. */
  readonly #http = process.getBuiltinModule('node:http')
  readonly #agent = new this.#http.Agent({ keepAlive: true, maxSockets: connectionsMax })

  constructor(socketPath: string, clock: HostClock) {
    this.#socketPath = socketPath
    this.#clock = clock
  }

  /** False while it starts; throws nothing. */
  async isReady(signal: AbortSignal, deadlineMs = quickMs): Promise<boolean> {
    try {
      const call: Call = { method: 'GET', path: '/v2/health/ready', deadlineMs }
      return (await this.#ask(call, signal)).status === 200
    } catch {
      return false
    }
  }

  /** Whether it answers at all. */
  async isLive(deadlineMs: number): Promise<boolean> {
    try {
      await this.#ask({ method: 'GET', path: '/v2/health/live', deadlineMs }, new AbortController().signal)
      return true
    } catch {
      return false
    }
  }

  async capabilities(signal: AbortSignal): Promise<AcceleratorCapabilities> {
    return serverCapabilities(await this.#json({ method: 'GET', path: '/v2', deadlineMs: quickMs }, signal))
  }

  /** Throws `model-load` with what the adapter says. */
  async load(
    name: string,
    file: { readonly path: string; readonly format: string },
    deadlineMs: number,
    signal: AbortSignal,
  ): Promise<LoadedModel> {
    const path = `/v2/repository/models/${encodeURIComponent(name)}/load`
    const loaded = await this.#ask(
      { method: 'POST', path, body: jsonBody({ parameters: file }), deadlineMs },
      signal,
    )
    if (loaded.status !== 200) throw new AcceleratorError('model-load', `model ${name}: ${saidIn(loaded)}`)
    const metadata = `/v2/models/${encodeURIComponent(name)}`
    return modelMetadata(
      name,
      await this.#json({ method: 'GET', path: metadata, deadlineMs: quickMs }, signal),
    )
  }

  async unload(name: string, signal: AbortSignal): Promise<void> {
    const path = `/v2/repository/models/${encodeURIComponent(name)}/unload`
    await this.#json({ method: 'POST', path, body: jsonBody({}), deadlineMs: quickMs }, signal)
  }

  async infer(
    name: string,
    inputs: readonly AcceleratorTensor[],
    deadlineMs: number,
    signal: AbortSignal,
  ): Promise<AcceleratorTensor[]> {
    const path = `/v2/models/${encodeURIComponent(name)}/infer`
    const answer = await this.#ask(
      { method: 'POST', path, body: inferRequest(inputs, deadlineMs), deadlineMs },
      signal,
    )
    if (answer.status !== 200) throw refusal(answer)
    return inferResponse(answer.body, answer.jsonBytes)
  }

  [Symbol.dispose](): void {
    this.#agent.destroy()
  }

  async #json(call: Call, signal: AbortSignal): Promise<unknown> {
    const answer = await this.#ask(call, signal)
    if (answer.status !== 200) throw refusal(answer)
    return answer.body.length === 0 ? undefined : parseJson(answer.body)
  }

  /** One request and its whole answer, within its deadline. */
  async #ask(call: Call, signal: AbortSignal): Promise<Answer> {
    if (signal.aborted) throw cancelled()
    const limit = new AbortController()
    const late = new AcceleratorError('deadline', `no answer within ${Math.round(call.deadlineMs)} ms`)
    const cancel = this.#clock.after(call.deadlineMs, () => limit.abort(late))
    try {
      return await this.#exchange(call, AbortSignal.any([signal, limit.signal]))
    } catch (error) {
      if (signal.aborted) throw cancelled()
      if (limit.signal.aborted) throw late
      if (error instanceof AcceleratorError) throw error
      const why = (error as NodeJS.ErrnoException).code ?? String(error)
      throw new AcceleratorError('engine-lost', `the connection broke: ${why}`, { cause: error })
    } finally {
      cancel()
    }
  }

  #exchange(call: Call, signal: AbortSignal, isFirst = true): Promise<Answer> {
    const { method, path, body } = call
    return new Promise((resolve, reject) => {
      const sent = this.#http.request(
        {
          socketPath: this.#socketPath,
          agent: this.#agent,
          method,
          path,
          signal,
          headers: body === undefined ? {} : headersOf(body),
        },
        (incoming) => readAnswer(incoming).then(resolve, reject),
      )
      sent.on('error', (error: NodeJS.ErrnoException) => {
        // Idle connections are the server's to close, and that may cross with a request: then it was never read.
        const crossed = sent.reusedSocket && closedCodes.has(error.code ?? '')
        if (crossed && isFirst && !signal.aborted) this.#exchange(call, signal, false).then(resolve, reject)
        else reject(error)
      })
      for (const part of body?.parts ?? []) sent.write(part)
      sent.end()
    })
  }
}

function headersOf(body: InferBody): Record<string, string> {
  const binary = body.parts.length > 1
  return {
    'Content-Type': binary ? 'application/octet-stream' : 'application/json',
    'Content-Length': String(body.totalBytes),
    ...(binary ? { 'Inference-Header-Content-Length': String(body.jsonBytes) } : {}),
  }
}

function jsonBody(value: unknown): InferBody {
  const json = Buffer.from(JSON.stringify(value))
  return { jsonBytes: json.byteLength, parts: [json], totalBytes: json.byteLength }
}

/** Rejects when the connection ends before the body does: half an answer is none. */
async function readAnswer(incoming: IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength
    if (bytes > answerBytesMax) {
      incoming.destroy()
      throw new AcceleratorError('run', `broke the protocol: an answer of more than ${answerBytesMax} bytes`)
    }
    chunks.push(chunk)
  }
  if (!incoming.complete) throw new AcceleratorError('engine-lost', 'the connection broke within an answer')
  const body = Buffer.concat(chunks)
  const header = incoming.headers['inference-header-content-length']
  return {
    status: incoming.statusCode ?? 0,
    jsonBytes: header === undefined ? body.byteLength : Number(header),
    body,
  }
}

/** What a status other than 200 means for a request to a model. */
function refusal(answer: Answer): AcceleratorError {
  const message = saidIn(answer)
  if (answer.status === 404) return new AcceleratorError('model-unknown', message)
  if (answer.status === 400) return new AcceleratorError('bad-input', message)
  if (answer.status === 503) return new AcceleratorError('overloaded', message)
  if (answer.status === 504) return new AcceleratorError('deadline', message)
  return new AcceleratorError('run', message)
}

/** OIP: `{"error": "<text>"}`. */
function saidIn({ status, body }: Answer): string {
  try {
    const { error } = JSON.parse(body.toString('utf8')) as { error?: unknown }
    if (typeof error === 'string') return error.replace(/\s*\n\s*/g, ' ').slice(0, messageMax)
  } catch {
    // Not as the protocol has it: the status is all that there is to say.
  }
  return `the adapter answered with status ${status} and no reason`
}
