/**
 * A plain HTTP GET for devices: `fetch` costs a device 20 MB at its first use.
 * Redirects are not followed: who asks for an address gets that address.
 */
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http'
import { CodedError, messageOf } from './errors.ts'
import { httpOf } from './node-http.ts'

export type HttpErrorCode = 'unreachable' | 'refused' | 'too-large'
export class HttpError extends CodedError<HttpErrorCode> {
  override readonly name = 'HttpError'
  /** Where there was an answer. */
  readonly status: number | undefined
  constructor(
    code: HttpErrorCode,
    message: string,
    options: { status?: number | undefined; retryable?: boolean; cause?: unknown } = {},
  ) {
    super(code, message, options)
    this.status = options.status
  }
}

/** The body. Throws HttpError: `refused` for any status but 200; rejects with the signal's reason when it aborts. */
export async function httpGet(
  url: string,
  bytesMax: number,
  signal: AbortSignal,
  headers: OutgoingHttpHeaders = {},
): Promise<Buffer> {
  try {
    const response = await request(new URL(url), signal, headers)
    if (response.statusCode !== 200) {
      response.destroy()
      throw new HttpError('refused', `${new URL(url).host} answered ${response.statusCode}`, {
        status: response.statusCode,
      })
    }
    return await body(response, bytesMax)
  } catch (error) {
    if (signal.aborted) throw signal.reason
    if (error instanceof HttpError) throw error
    throw new HttpError('unreachable', `${new URL(url).host} does not answer: ${messageOf(error)}`, {
      retryable: true,
      cause: error,
    })
  }
}

function request(url: URL, signal: AbortSignal, headers: OutgoingHttpHeaders): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    httpOf(url).get(url, { signal, headers }, resolve).on('error', reject)
  })
}

async function body(response: IncomingMessage, bytesMax: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength
    // Leaving the loop destroys the response.
    if (bytes > bytesMax) throw new HttpError('too-large', `the answer has more than ${bytesMax} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks, bytes)
}
