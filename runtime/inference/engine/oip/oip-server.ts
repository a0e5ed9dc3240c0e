/**
 * The engine as a server of the Open Inference Protocol v2 over HTTP on a Unix socket: health, metadata, the model repository
 * extension (load by file, unload, index) and inference with binary tensors. It is the adapter of the CPU, and the pattern for
 * a vendor's.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { isAbsolute } from 'node:path'
import { messageOf } from '../../../base/errors.ts'
import { version } from '../../../base/version.ts'
import { InferError, type InferErrorCode } from '../../../wire/infer.ts'
import { type OipBody, oipResponse, oipTensors, parseOipRequest } from '../../../wire/oip.ts'
import { datatypes } from '../../../wire/tensor.ts'
import type { FileModels } from './file-models.ts'

/** Tensors of one request. */
const bodyBytesMax = 256 * 2 ** 20
/** For requests that name no deadline. */
const deadlineMsDefault = 60_000

const statusOf: Readonly<Partial<Record<InferErrorCode, number>>> = {
  'model-unknown': 404,
  'model-load': 400,
  'bad-input': 400,
  overloaded: 503,
  memory: 503,
  deadline: 504,
}

interface Exchange {
  readonly request: IncomingMessage
  readonly body: Buffer
  readonly models: FileModels
  /** Aborts when the caller has gone. */
  readonly gone: AbortSignal
}

interface Reply {
  readonly json?: unknown
  readonly infer?: OipBody
}

interface Route {
  readonly method: 'GET' | 'POST'
  readonly pattern: RegExp
  answer(exchange: Exchange, name: string): Promise<Reply> | Reply
}

const routes: readonly Route[] = [
  { method: 'GET', pattern: /^\/v2\/health\/(?:live|ready)$/, answer: () => ({}) },
  { method: 'GET', pattern: /^\/v2$/, answer: () => ({ json: serverMetadata }) },
  { method: 'GET', pattern: /^\/v2\/models\/([^/]+)$/, answer: ({ models }, name) => metadata(models, name) },
  {
    method: 'GET',
    pattern: /^\/v2\/models\/([^/]+)\/ready$/,
    answer: ({ models }, name) => ready(models, name),
  },
  { method: 'POST', pattern: /^\/v2\/models\/([^/]+)\/infer$/, answer: infer },
  { method: 'POST', pattern: /^\/v2\/repository\/index$/, answer: ({ models }) => index(models) },
  { method: 'POST', pattern: /^\/v2\/repository\/models\/([^/]+)\/load$/, answer: load },
  { method: 'POST', pattern: /^\/v2\/repository\/models\/([^/]+)\/unload$/, answer: unload },
]

const serverMetadata = {
  name: 'ganglion-engine',
  version,
  extensions: ['binary_tensor_data', 'model_repository'],
  parameters: { device: 'cpu', formats: ['onnx'], precisions: datatypes },
}

/** Listens from the call on; the caller closes it. */
export function serveOip(models: FileModels, socketPath: string): Server {
  // An `import` of it would read all it offers: with its WebSocket comes all that `fetch` is made of, 9 MB.
  const server = process
    .getBuiltinModule('node:http')
    .createServer((request, response) => void answer(models, request, response))
  // Idle connections are the client's to close: its next request would cross with ours.
  server.keepAliveTimeout = 0
  return server.listen(socketPath)
}

async function answer(models: FileModels, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const gone = new AbortController()
  response.on('close', () => gone.abort())
  try {
    const path = (request.url ?? '').split('?')[0] ?? ''
    const route = routes.find(({ method, pattern }) => method === request.method && pattern.test(path))
    if (!route) return sendError(response, 404, `there is no ${request.method} ${path.slice(0, 200)}`)
    const name = decodeURIComponent(route.pattern.exec(path)?.[1] ?? '')
    const body = await readBody(request)
    send(response, await route.answer({ request, body, models, gone: gone.signal }, name))
  } catch (error) {
    const status = error instanceof InferError ? (statusOf[error.code] ?? 500) : 500
    sendError(response, status, messageOf(error))
  }
}

async function infer({ request, body, models, gone }: Exchange, name: string): Promise<Reply> {
  signature(models, name)
  const header = request.headers['inference-header-content-length']
  const asked = parseOipRequest(body, header === undefined ? body.byteLength : Number(header))
  const outputs = await models.infer(name, asked.inputs, asked.deadlineMs ?? deadlineMsDefault, gone)
  return { infer: oipResponse({ model: name, outputs }, asked) }
}

async function load({ body, models }: Exchange, name: string): Promise<Reply> {
  const { parameters } = jsonIn(body)
  const { path, format } = parameters ?? {}
  if (typeof path !== 'string' || !isAbsolute(path))
    throw new InferError('model-load', `model ${name}: parameters.path is not an absolute path`)
  if (format !== undefined && format !== 'onnx')
    throw new InferError('model-load', `model ${name}: the format ${String(format)} is not onnx`)
  await models.load(name, path)
  return {}
}

function unload({ models }: Exchange, name: string): Reply {
  models.unload(name)
  return {}
}

function metadata(models: FileModels, name: string): Reply {
  const { inputs, outputs } = signature(models, name)
  return {
    json: { name, platform: 'onnxruntime_onnx', inputs: oipTensors(inputs), outputs: oipTensors(outputs) },
  }
}

function ready(models: FileModels, name: string): Reply {
  signature(models, name)
  return {}
}

function index(models: FileModels): Reply {
  return { json: models.names.map((name) => ({ name, state: 'READY' })) }
}

function signature(models: FileModels, name: string) {
  const found = models.signatureOf(name)
  if (found) return found
  throw new InferError(
    'model-unknown',
    `no model ${name} is loaded; there are: ${models.names.join(', ') || 'none'}`,
  )
}

function jsonIn(body: Buffer): { parameters?: { path?: unknown; format?: unknown } } {
  try {
    return JSON.parse(body.toString('utf8')) ?? {}
  } catch {
    throw new InferError('bad-input', 'the request is no JSON')
  }
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  // Said beforehand, it is refused beforehand.
  if (Number(request.headers['content-length'] ?? 0) > bodyBytesMax) throw tooLarge()
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength
    if (bytes > bodyBytesMax) throw tooLarge()
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function tooLarge(): InferError {
  return new InferError('bad-input', `more than ${bodyBytesMax} bytes`)
}

function send(response: ServerResponse, { json, infer }: Reply): void {
  const parts = infer?.parts ?? (json === undefined ? [] : [Buffer.from(JSON.stringify(json))])
  response.writeHead(200, {
    'Content-Type': infer?.contentType ?? 'application/json',
    'Content-Length': parts.reduce((sum, { byteLength }) => sum + byteLength, 0),
    ...(infer?.jsonBytes === undefined ? {} : { 'Inference-Header-Content-Length': infer.jsonBytes }),
  })
  for (const part of parts) response.write(part)
  response.end()
}

function sendError(response: ServerResponse, status: number, error: string): void {
  if (response.headersSent || response.destroyed) return
  // What is left of an oversized body is not read.
  response.writeHead(status, { 'Content-Type': 'application/json', Connection: 'close' })
  response.end(JSON.stringify({ error }))
}
