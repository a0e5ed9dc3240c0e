/**
 * One connection to a server of tools: a child process, or an HTTP address. The library that speaks the protocol is read when the first
 * is opened. What the other side may do to this process is bounded here: the length of its messages, how much of them is no message.
 */
import { closeSync, openSync, readSync } from 'node:fs'
import type { Client, FetchLike, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { messageOf } from '../../base/errors.ts'
import type { ToolServerConfig } from '../../config/tool-servers.ts'
import type { Json } from '../contract.ts'
import { ProgramTransport } from './program-transport.ts'
import { ToolServerError } from './tool-server-error.ts'

export interface ToolAnswer {
  readonly isError: boolean
  /** JSON as the server said it, where it did; else its texts. */
  readonly value: Json
}

/** As the server says it: of any shape. */
export interface ListedTool {
  readonly name: string
  readonly description?: string | undefined
  readonly inputSchema: object
  readonly annotations?: { readonly readOnlyHint?: boolean; readonly idempotentHint?: boolean } | undefined
}

export interface Connection {
  /** Settles when the other side has gone, or was sent away. */
  readonly closed: Promise<void>
  /** Throws what the library throws; `lost` for a connection that ended. */
  list(signal: AbortSignal): Promise<readonly ListedTool[]>
  call(tool: string, args: { readonly [name: string]: Json }, signal: AbortSignal): Promise<ToolAnswer>
  close(): Promise<void>
}

/** One message: an answer of 64 KB, and what JSON and pictures that are left out add. */
const messageBytesMax = 1024 * 1024
/** Of one HTTP response, which may be a stream of messages. */
const responseBytesMax = 4 * messageBytesMax
const tokenBytesMax = 8 * 1024
/** Lines that are no message: whoever writes more does not speak the protocol. */
const faultsMax = 100
const pagesMax = 4
/** The library's own limit: ours come first, by the signal. */
const libraryMs = 3_600_000

/** Throws ToolServerError. `signal` ends the opening, not the connection. */
export async function openConnection(
  name: string,
  config: ToolServerConfig,
  signal: AbortSignal,
): Promise<Connection> {
  const library = await import('@modelcontextprotocol/client')
  signal.throwIfAborted()
  const client = new library.Client(
    { name: 'ganglion', version: '1' },
    // What a tool gives is data that a model reads: nothing of ours depends on the schema that its server says it has.
    {
      capabilities: {},
      listMaxPages: pagesMax,
      jsonSchemaValidator: {
        getValidator: () => (data) => ({ valid: true, data: data as never, errorMessage: undefined }),
      },
    },
  )
  const transport =
    'url' in config
      ? httpTransport(library.StreamableHTTPClientTransport, name, config)
      : new ProgramTransport({ name, ...config }, new library.ReadBuffer({ maxBufferSize: messageBytesMax }))
  const closed = Promise.withResolvers<void>()
  let faults = 0
  client.onclose = () => closed.resolve()
  client.onerror = () => {
    faults += 1
    if (faults === faultsMax) void close()
  }
  const close = async () => {
    await client.close().catch(() => {})
    closed.resolve()
  }
  try {
    await client.connect(transport, { signal, timeout: libraryMs })
    signal.throwIfAborted()
  } catch (error) {
    await close()
    throw (transport instanceof ProgramTransport && transport.failure) || error
  }
  return { closed: closed.promise, close, ...requestsOf(client) }
}

function requestsOf(client: Client): Pick<Connection, 'list' | 'call'> {
  const options = (signal: AbortSignal) => ({ signal, timeout: libraryMs, maxTotalTimeout: libraryMs })
  return {
    async list(signal) {
      const { tools } = await client.listTools(undefined, options(signal))
      return tools as unknown as readonly ListedTool[]
    },
    async call(tool, args, signal) {
      const result = await client.callTool({ name: tool, arguments: args }, options(signal))
      const { structuredContent, content = [], isError = false } = result
      if (structuredContent !== undefined && !isError) return { isError, value: structuredContent as Json }
      const texts = content.map((part) => (part.type === 'text' ? part.text : `(${part.type}: left out)`))
      return { isError, value: texts.join('\n') }
    },
  }
}

function httpTransport(
  Transport: typeof StreamableHTTPClientTransport,
  name: string,
  { url, tokenFile }: Extract<ToolServerConfig, { url: string }>,
) {
  const headers = tokenFile === undefined ? {} : { authorization: `Bearer ${tokenIn(name, tokenFile)}` }
  return new Transport(new URL(url), {
    ...{ fetch: boundedFetch, requestInit: { headers } },
    reconnectionOptions: {
      ...{ maxRetries: 0, initialReconnectionDelay: 1_000 },
      ...{ maxReconnectionDelay: 1_000, reconnectionDelayGrowFactor: 1 },
    },
  })
}

/** A redirect would take what is sent to where nobody said that it may go. */
const boundedFetch: FetchLike = async (url, init) => {
  const response = await fetch(url, { ...init, redirect: 'error' })
  if (!response.body) return response
  let bytes = 0
  const bounded = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      bytes += chunk.byteLength
      if (bytes > responseBytesMax)
        controller.error(new Error(`it answered more than ${responseBytesMax} bytes`))
      else controller.enqueue(chunk)
    },
  })
  const { status, statusText, headers } = response
  return new Response(response.body.pipeThrough(bounded), { status, statusText, headers })
}

function tokenIn(name: string, path: string): string {
  const bytes = Buffer.alloc(tokenBytesMax)
  try {
    const file = openSync(path, 'r')
    try {
      const token = bytes.toString('utf8', 0, readSync(file, bytes)).trim()
      if (/^[\x21-\x7e]+$/.test(token)) return token
    } finally {
      closeSync(file)
    }
  } catch (error) {
    throw new ToolServerError('unavailable', `the token of the tool server ${name}: ${messageOf(error)}`)
  }
  throw new ToolServerError(
    'unavailable',
    `the token of the tool server ${name}: there is no token in ${path}`,
  )
}
