/**
 * The HTTP server: the API under /api, models for anybody's client under /v1 and /v2, and the built dashboard at /. Every request passes `Access` first; every error is
 * answered as `{error: {code, message}}`, one line, without internals.
 */
import { existsSync } from 'node:fs'
import { type AddressInfo, isIPv6 } from 'node:net'
import fastifyStatic from '@fastify/static'
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { Clock } from '../../runtime/base/clock.ts'
import { withDeadline } from '../../runtime/base/deadline.ts'
import { messageOf } from '../../runtime/base/errors.ts'
import type { Log } from '../../runtime/base/log.ts'
import { wireLimits } from '../../runtime/wire/limits.ts'
import { listenError } from '../errors.ts'
import type { OffloadListener } from '../offload/listener.ts'
import type { InferenceService } from '../offload/service.ts'
import { securityHeaders, type Visitor } from './access.ts'
import { addAgentsApi } from './agents-api.ts'
import { ApiError, toApiError } from './api-error.ts'
import { BodyBudget } from './body-budget.ts'
import { addInferApi } from './infer-api.ts'
import { addMetrics } from './metrics.ts'
import { addOffloadApi } from './offload-api.ts'
import { addOipApi } from './oip-api.ts'
import { addOpenAiApi } from './openai-api.ts'
import { openAiFailure, sendOpenAiFailure } from './openai-error.ts'
import type { People } from './people.ts'
import { addRoutes, type RoutesDeps } from './routes.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks, once the request passed `Access`. */
    visitor: Visitor
  }
}

export interface HttpApiOptions {
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  /** The built dashboard. Not there: a page that says how to build it. */
  readonly dashboard: string
}

export interface HttpApiDeps extends RoutesDeps {
  readonly clock: Clock
  readonly log: Log
  readonly version: string
  readonly people: People
  readonly inference: InferenceService
  readonly offload: OffloadListener
}

/** The largest command or utterance, with room. */
const jsonBytesMax = 64 * 1024
/** Sockets at once; the event stream has its own, smaller, maximum. */
const connectionsMax = 256
/** Bodies of inference requests at once: four of the largest frames, or of the largest recordings. */
const bodiesBytesMax = 256 * 2 ** 20
/** Half of it: whoever asks for more leaves room for others. */
const clientBytesMax = 128 * 2 ** 20
/** For a whole request to arrive: a recording of 256 MB over 10 Mbit/s. */
const requestMs = 240_000
const closeMs = 3_000

export class HttpApi implements AsyncDisposable {
  readonly url: string
  readonly port: number
  readonly #app: FastifyInstance
  readonly #clock: Clock
  #closing: Promise<void> | undefined

  private constructor(app: FastifyInstance, clock: Clock) {
    const { address, port } = app.server.address() as AddressInfo
    this.port = port
    this.url = `http://${isIPv6(address) ? `[${address}]` : address}:${port}`
    this.#app = app
    this.#clock = clock
  }

  /** Listens. Throws GatewayError (`port-in-use`, `listen`). */
  static async open(deps: HttpApiDeps, options: HttpApiOptions, signal: AbortSignal): Promise<HttpApi> {
    const app = fastify({
      bodyLimit: jsonBytesMax,
      requestTimeout: requestMs,
      forceCloseConnections: true,
      routerOptions: { maxParamLength: 256 },
      frameworkErrors: sendUnroutable,
    })
    app.server.maxConnections = connectionsMax
    addRules(app, deps)
    addRoutes(app, deps)
    addMetrics(app, deps)
    addOffloadApi(app, deps.offload)
    const bodies = new BodyBudget({
      ...{ clock: deps.clock, bytesMax: bodiesBytesMax, clientBytesMax },
      bodyMs: requestMs,
    })
    addAgentsApi(app, deps)
    addInferApi(app, { ...deps, bodies })
    addOipApi(app, { ...deps, bodies })
    addOpenAiApi(app, { ...deps, bodies })
    addDashboard(app, options.dashboard)
    try {
      const { host, port } = options
      await withDeadline(deps.clock, 'opening the HTTP API', 5_000, () => app.listen({ host, port }), signal)
    } catch (error) {
      await app.close()
      if (
        (error as NodeJS.ErrnoException).syscall === 'listen' ||
        (error as NodeJS.ErrnoException).syscall === 'getaddrinfo'
      )
        throw listenError(error, options.host, options.port, '--http-port')
      throw error
    }
    return new HttpApi(app, deps.clock)
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= withDeadline(this.#clock, 'closing the HTTP API', closeMs, () => this.#app.close())
    return this.#closing
  }
}

function addRules(app: FastifyInstance, { access, log }: HttpApiDeps): void {
  app.removeContentTypeParser('text/plain')
  app.addContentTypeParser(
    /^audio\/(x-|vnd\.)?wave?\b/i,
    { bodyLimit: wireLimits.uploadBytesMax },
    (_request, payload, done) => done(null, payload),
  )
  app.decorateRequest('visitor')
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(securityHeaders)
    if (/^\/(?:api|v1|v2|metrics)\b/.test(request.url)) reply.header('cache-control', 'no-store')
    const path = request.url.split('?', 1)[0] as string
    const route = request.routeOptions.url
    const { method, headers, ip: address } = request
    request.visitor = await access.check({ method, path, route, headers, address })
  })
  app.setNotFoundHandler((request) => {
    throw new ApiError('not-found', `no ${request.method} ${request.url.split('?', 1)[0]}`)
  })
  app.setErrorHandler((error, request, reply) => {
    const answer = toApiError(error)
    if (answer.code === 'internal')
      log.error('request failed', { route: request.routeOptions.url, error: String(error) })
    // The rest of a refused upload is not worth waiting for.
    if (answer.status === 413 || answer.status === 415) reply.header('connection', 'close')
    reply
      .code(answer.status)
      .type('application/json')
      .send({ error: { code: answer.code, message: answer.message } })
  })
}

/** For a path that cannot be decoded, or is too long: no route's handler of errors ever sees it. */
function sendUnroutable(error: unknown, { url }: FastifyRequest, reply: FastifyReply): void {
  const failure = new ApiError('bad-request', messageOf(error).slice(0, 200))
  reply.headers(securityHeaders).type('application/json')
  if (url.startsWith('/v1/')) sendOpenAiFailure(reply, openAiFailure(failure))
  else {
    const { code, message, status } = failure
    reply.code(status).send({ error: url.startsWith('/v2/') ? message : { code, message } })
  }
}

function addDashboard(app: FastifyInstance, folder: string): void {
  if (existsSync(`${folder}/index.html`)) {
    app.register(fastifyStatic, {
      root: folder,
      cacheControl: false,
      setHeaders: (reply, path) => {
        // Vite names assets by their content.
        const forever = path.includes('/assets/')
        reply.header('cache-control', forever ? 'public, max-age=31536000, immutable' : 'no-cache')
      },
    })
    return
  }
  app.get('/', (_request, reply) => reply.type('text/html; charset=utf-8').send(notBuilt))
}

const notBuilt = `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Ganglion gateway</title></head>
<body><h1>The gateway is running</h1><p>The dashboard is not built yet. Build it once, in the project's folder, and restart:</p>
<pre>npm run build</pre><p>The API answers meanwhile: <a href="/api/health">/api/health</a>, <a href="/api/entities">/api/entities</a>.</p>
</body></html>
`
