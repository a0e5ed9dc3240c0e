/**
 * Who may talk to the HTTP API.
 *
 * Host: against DNS rebinding a request must name this gateway by a loopback name, an IP address or a configured name.
 * Origin: against cross-site requests one that changes something must come from the gateway's own page or from no page.
 * Token: beyond loopback every API request (/api, /v1, /v2, /metrics) but a ticket (its id is a secret itself) needs the bearer token, that of
 * a person (`people.ts`), or the cookie that `POST /api/session` gives a page for it. What only a person may do needs a person's.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http'
import { isIP } from 'node:net'
import { isLoopbackHost } from '../errors.ts'
import { ApiError } from './api-error.ts'
import type { People, Person } from './people.ts'

export const sessionCookie = 'ganglion_session'
/** Ends it in the browser. */
export const noSession = `${sessionCookie}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0`

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
  /** Where it comes from. */
  readonly address: string
}

/** Who asks. `anybody`: somebody on this machine, or with the gateway's own token: no one in particular. */
export type Visitor = { readonly kind: 'anybody' } | { readonly kind: 'person'; readonly person: Person }

const anybody: Visitor = { kind: 'anybody' }

export class Access {
  readonly #hosts: ReadonlySet<string>
  readonly #token: string | undefined
  readonly #people: People
  /** Of this start: a cookie cannot be turned back into a token, and ends with the process. */
  readonly #key = randomBytes(32)

  constructor(options: AccessOptions, people: People) {
    this.#hosts = new Set(options.hosts.map((host) => host.toLowerCase()))
    this.#token = options.token
    this.#people = people
  }

  /** Throws ApiError (`forbidden`, `unauthorized`, `unsupported-media-type`, `busy`). */
  async check(asked: Asked): Promise<Visitor> {
    const host = asked.headers.host ?? ''
    if (!this.#knownHost(host))
      throw new ApiError(
        'forbidden',
        `unknown host ${JSON.stringify(host.slice(0, 100))}: add it to http.hosts`,
      )
    const changes = asked.method !== 'GET' && asked.method !== 'HEAD'
    if (changes) checkOrigin(asked.headers, host)
    const place = asked.route ?? asked.path
    if (!isApi(place) && !isApi(asked.path)) return anybody
    if (place.startsWith('/api/tickets/') || (place === '/api/session' && changes)) return anybody
    const visitor = await this.#visitor(asked)
    if (!visitor)
      throw new ApiError('unauthorized', 'this gateway needs its token: Authorization: Bearer <token>')
    return visitor
  }

  /** The cookie for a page that knows a token. Throws ApiError `unauthorized`, `busy`. */
  async login(token: string, address: string): Promise<string> {
    const visitor = await this.#bearer(token, address)
    if (!visitor) throw new ApiError('unauthorized', 'that is not the token')
    const name = visitor.kind === 'person' ? visitor.person.name : ''
    return `${sessionCookie}=${this.#cookieOf(name)}; Path=/; HttpOnly; SameSite=Strict; Max-Age=2592000`
  }

  #knownHost(host: string): boolean {
    const [, bracketed, plain] = /^(?:\[([^\]]+)\]|([^:]+))(?::\d+)?$/.exec(host.toLowerCase()) ?? []
    const name = bracketed ?? plain ?? ''
    return isLoopbackHost(name) || isIP(name) !== 0 || this.#hosts.has(name)
  }

  async #visitor({ headers, address }: Asked): Promise<Visitor | undefined> {
    const bearer = /^Bearer (.{1,1024})$/.exec(headers.authorization ?? '')?.[1]
    const visitor = bearer === undefined ? this.#cookie(headers) : await this.#bearer(bearer, address)
    return visitor ?? (this.#token === undefined ? anybody : undefined)
  }

  async #bearer(token: string, address: string): Promise<Visitor | undefined> {
    if (this.#token === undefined && !this.#people.some) return undefined
    this.#people.refuseGuessing(address)
    if (this.#token !== undefined && same(token, this.#token)) return anybody
    const person = await this.#people.whose(token)
    if (person) return { kind: 'person', person }
    this.#people.wrong(address)
    return undefined
  }

  #cookie(headers: IncomingHttpHeaders): Visitor | undefined {
    const cookies = (headers.cookie ?? '').split(/;\s*/)
    const cookie = cookies.find((one) => one.startsWith(`${sessionCookie}=`))?.slice(sessionCookie.length + 1)
    if (cookie === undefined) return undefined
    const name = Buffer.from(cookie.split('.')[0] ?? '', 'base64url').toString()
    if (!same(cookie, this.#cookieOf(name))) return undefined
    if (name === '') return anybody
    const person = this.#people.named(name)
    return person && { kind: 'person', person }
  }

  /** Of nobody in particular: an empty name. */
  #cookieOf(name: string): string {
    const proof = createHmac('sha256', this.#key).update(name).digest('base64url')
    return `${Buffer.from(name).toString('base64url')}.${proof}`
  }
}

const isApi = (place: string) => /^\/(?:api|v1|v2|metrics)(?:\/|$)/.test(place)

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
