/**
 * Fetches one file over HTTPS into a part file. An interrupted download goes on where it stopped: Range with If-Range
 * (RFC 9110 §13.1.5, §14.2), and a server that ignores either simply starts again. Proxies: NODE_USE_ENV_PROXY=1.
 */
import { readFile, rm, writeFile } from 'node:fs/promises'
import type { Clock } from '../../base/clock.ts'
import type { BlobWriter } from './blob-writer.ts'
import { IdleLimit } from './idle-limit.ts'
import { isFetchable } from './source.ts'
import { redacted, StoreError } from './store-error.ts'

/** A server that says nothing for this long is gone. */
const idleMsMax = 30_000
const redirectsMax = 5

export interface HttpFetch {
  readonly clock: Clock
  readonly url: URL
  readonly writer: BlobWriter
  /** Where the validator of the part file is remembered. */
  readonly validatorPath: string
  readonly onBytes: () => void
}

/** Fills the writer. Throws StoreError `source-unreachable` or `not-found`. */
export async function fetchHttp(fetching: HttpFetch, signal: AbortSignal): Promise<void> {
  const { clock, url, writer, onBytes } = fetching
  using idle = new IdleLimit(clock, url.origin, idleMsMax, signal)
  const validator = writer.bytes > 0 ? await storedValidator(fetching.validatorPath) : undefined
  if (!validator && writer.bytes > 0) await writer.restart()
  try {
    const response = await request(url, validator, writer.bytes, idle.signal)
    await prepare(response, fetching)
    if (!response.body) throw unreachable(url, 'an empty answer')
    for await (const chunk of response.body) {
      idle.touch()
      await writer.write(chunk)
      onBytes()
    }
  } catch (error) {
    if (error instanceof StoreError) throw error
    if (idle.signal.aborted) throw idle.signal.reason
    throw isNetworkError(error) ? unreachable(url, redacted(causeOf(error)), error) : error
  }
}

async function request(
  start: URL,
  validator: string | undefined,
  fromByte: number,
  signal: AbortSignal,
): Promise<Response> {
  const headers: Record<string, string> = { 'accept-encoding': 'identity' }
  if (validator) Object.assign(headers, { range: `bytes=${fromByte}-`, 'if-range': validator })
  let url = start
  for (let hop = 0; hop <= redirectsMax; hop += 1) {
    const response = await fetch(url, { headers, redirect: 'manual', signal })
    const location = response.status >= 300 && response.status < 400 && response.headers.get('location')
    if (!location) return response
    await response.body?.cancel()
    url = new URL(location, url)
    if (!isFetchable(url)) throw unreachable(start, 'a redirect to an address that is not https')
  }
  throw unreachable(start, `more than ${redirectsMax} redirects`)
}

/** Looks at the status: go on, start again, or fail. */
async function prepare(response: Response, fetching: HttpFetch): Promise<void> {
  const { url, writer } = fetching
  if (response.status === 206) {
    if (Number(/^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '')?.[1]) === writer.bytes)
      return
    await writer.restart()
    await rm(fetching.validatorPath, { force: true })
    await response.body?.cancel()
    throw unreachable(url, 'a range that was not asked for')
  }
  if (response.status === 416) {
    await writer.restart()
    await response.body?.cancel()
    throw unreachable(url, 'no such range')
  }
  if (response.status !== 200) {
    await response.body?.cancel()
    if (response.status === 404 || response.status === 410)
      throw new StoreError(
        'not-found',
        `${bare(url)} does not exist (HTTP ${response.status}): check the manifest`,
      )
    throw unreachable(url, `HTTP ${response.status}`)
  }
  await writer.restart()
  await rememberValidator(response, fetching.validatorPath)
}

/** Only a strong validator may join two downloads (RFC 9110 §13.1.5). */
async function rememberValidator(response: Response, path: string): Promise<void> {
  const etag = response.headers.get('etag')
  if (etag && !etag.startsWith('W/')) await writeFile(path, etag)
  else await rm(path, { force: true })
}

async function storedValidator(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, 'utf8')) || undefined
  } catch {
    return undefined
  }
}

function unreachable(url: URL, what: string, cause?: unknown): StoreError {
  return new StoreError(
    'source-unreachable',
    `${bare(url)} could not be fetched (${what}): check the network and try again`,
    { retryable: true, cause },
  )
}

/** A URL for people: credentials and query stay out. */
function bare(url: URL): string {
  return `${url.origin}${url.pathname}`
}

/** `fetch` reports every network failure as a TypeError with the real error as its cause. */
function isNetworkError(error: unknown): error is TypeError {
  return error instanceof TypeError
}

function causeOf(error: TypeError): unknown {
  return error.cause ?? error
}
