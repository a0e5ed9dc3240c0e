/**
 * Who may talk to the HTTP API.
 *
 * Host: against DNS rebinding a request must name this gateway by a loopback name, an IP address or a configured name.
 * Origin: against cross-site requests one that changes something must come from the gateway's own page or from no page.
 * Token: beyond loopback every API request (/api, /v1, /v2) but a ticket (its id is a secret itself) needs the bearer token, or
 * the cookie that `POST /api/session` gives a page for it.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http'
import { isIP } from 'node:net'
import { isLoopbackHost } from '../errors.ts'
import { ApiError } from './api-error.ts'

export const sessionCookie = 'ganglion_session'

export interface AccessOptions {
  /** Names besides loopback and IP addresses under which people reach the gateway. */
  readonly hosts: readonly string[]
  readonly token?: string
}

interface Asked {
  readonly method: string
  readonly path: string
  /** Pattern of the route that answers, where one does: what decides, however the path was written. */
  readonly route: string | undefined
  readonly headers: IncomingHttpHeaders
}

export class Access {
  readonly #hosts: ReadonlySet<string>
  readonly #token: string | undefined
  readonly #cookie: string | undefined

  constructor(options: AccessOptions) {
    this.#hosts = new Set(options.hosts.map((host) => host.toLowerCase()))
    this.#token = options.token
    // Derived with a key of this start: it cannot be turned back into the token, and ends with the process.
    this.#cookie =
      options.token && createHmac('sha256', randomBytes(32)).update(options.token).digest('base64url')
  }

  /** Throws ApiError (`forbidden`, `unauthorized`, `unsupported-media-type`). */
  check(asked: Asked): void {
    const host = asked.headers.host ?? ''
    if (!this.#knownHost(host))
      throw new ApiError(
        'forbidden',
        `unknown host ${JSON.stringify(host.slice(0, 100))}: add it to http.hosts`,
      )
    const changes = asked.method !== 'GET' && asked.method !== 'HEAD'
    if (changes) checkOrigin(asked.headers, host)
    const place = asked.route ?? asked.path
    if (!isApi(place) && !isApi(asked.path)) return
    if (place.startsWith('/api/tickets/') || (place === '/api/session' && changes)) return
    if (!this.#authorized(asked.headers))
      throw new ApiError('unauthorized', 'this gateway needs its token: Authorization: Bearer <token>')
  }

  /** The cookie for a page that knows the token. Throws ApiError `unauthorized`. */
  login(token: string): string {
    if (this.#token === undefined || !same(token, this.#token))
      throw new ApiError('unauthorized', 'that is not the token')
    return `${sessionCookie}=${this.#cookie}; Path=/; HttpOnly; SameSite=Strict; Max-Age=2592000`
  }

  #knownHost(host: string): boolean {
    const [, bracketed, plain] = /^(?:\[([^\]]+)\]|([^:]+))(?::\d+)?$/.exec(host.toLowerCase()) ?? []
    const name = bracketed ?? plain ?? ''
    return isLoopbackHost(name) || isIP(name) !== 0 || this.#hosts.has(name)
  }

  #authorized(headers: IncomingHttpHeaders): boolean {
    if (this.#token === undefined) return true
    const bearer = /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1]
    if (bearer !== undefined) return same(bearer, this.#token)
    const cookies = (headers.cookie ?? '').split(/;\s*/)
    const cookie = cookies.find((one) => one.startsWith(`${sessionCookie}=`))
    return cookie !== undefined && same(cookie.slice(sessionCookie.length + 1), this.#cookie ?? '')
  }
}

const isApi = (place: string) => /^\/(?:api|v1|v2)(?:\/|$)/.test(place)

function checkOrigin(headers: IncomingHttpHeaders, host: string): void {
  const { origin } = headers
  const site = headers['sec-fetch-site']
  const own = origin === undefined || origin === `http://${host}` || origin === `https://${host}`
  if (!own || (site !== undefined && site !== 'same-origin' && site !== 'none'))
    throw new ApiError('forbidden', 'requests from other sites may not change anything here')
}

function same(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(a), digest(b))
}

/** Sent with every answer. The page loads nothing from elsewhere and may not be framed. */
export const securityHeaders: OutgoingHttpHeaders = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
    "connect-src 'self'; media-src 'self' blob:; worker-src 'self' blob:; manifest-src 'self'; " +
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'microphone=(self), camera=(), geolocation=()',
}
