/** Puts one request, or the answer to one, to a gateway over HTTP, under the ticket that the gateway gave. */
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http'
import { messageOf } from '../../base/errors.ts'
import { httpOf } from '../../base/node-http.ts'
import { InferError, type InferErrorCode } from '../../wire/infer.ts'

/** `accepted`: it is on its way to the model. Else the error, and whether the gateway may have taken the request all the same. */
export type Uploaded =
  | { readonly accepted: true }
  | { readonly accepted: false; readonly error: InferError; readonly mayRun: boolean }

/** On the connection, either way: a gateway takes seconds to read the largest request. */
const silentMsMax = 15_000

const refusals: Readonly<Record<number, InferErrorCode>> = {
  400: 'bad-input',
  413: 'bad-input',
}

/** Rejects with the signal's reason when it aborts, and never else. */
export async function upload(url: string, body: Uint8Array, signal: AbortSignal): Promise<Uploaded> {
  const target = new URL(url)
  try {
    const response = await put(target, body, signal)
    response.resume()
    const status = response.statusCode ?? 0
    if (status >= 200 && status < 300) return { accepted: true }
    const code = refusals[status] ?? 'unavailable'
    const error = new InferError(code, `the gateway at ${target.host} refused the upload (${status})`, {
      retryable: code !== 'bad-input',
    })
    return { accepted: false, error, mayRun: false }
  } catch (error) {
    if (signal.aborted) throw signal.reason
    const message = `the gateway at ${target.host} does not answer: ${messageOf(error)}`
    const failure = new InferError('unavailable', message, { retryable: true, cause: error })
    // Not even a connection: nobody can have read anything.
    const mayRun = (error as NodeJS.ErrnoException).code !== 'ECONNREFUSED'
    return { accepted: false, error: failure, mayRun }
  }
}

function put(url: URL, body: Uint8Array, signal: AbortSignal): Promise<IncomingMessage> {
  const headers: OutgoingHttpHeaders = {
    'content-type': 'application/cbor',
    'content-length': body.byteLength,
  }
  return new Promise((resolve, reject) => {
    const put = httpOf(url).request(url, { method: 'PUT', headers, signal, timeout: silentMsMax }, resolve)
    put.on('timeout', () => put.destroy(new Error(`nothing went there for ${silentMsMax} ms`)))
    put.on('error', reject).end(body)
  })
}
