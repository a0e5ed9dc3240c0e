/**
 * The gateway's configuration: the `gateway:` section of the configuration file, then command-line options over it. One
 * schema; defaults stand here and nowhere else. Unknown keys are refused by name: a misspelt limit is no limit.
 */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { resolve } from 'node:path'
import * as v from 'valibot'
import { messageOf, UsageError } from '../runtime/base/errors.ts'
import { isWorkerId } from '../runtime/wire/topics.ts'
import type { PersonSecret } from './api/people.ts'
import type { Credential } from './broker/credentials.ts'
import { isLoopbackHost } from './errors.ts'
import {
  type InferenceConfig,
  inferenceConfig,
  inferenceSchema,
  upstreamsSchema,
} from './inference-config.ts'

const text = v.pipe(v.string(), v.minLength(1), v.maxLength(1024))
const port = v.pipe(
  v.number(),
  v.integer(),
  v.minValue(0, 'is not a port (0 to 65535)'),
  v.maxValue(65_535, 'is not a port (0 to 65535)'),
)
const id = v.pipe(
  v.string(),
  v.regex(/^[a-z0-9][a-z0-9_.-]{0,63}$/i, 'is not an id (letters, digits, _ . -)'),
)
const topicBase = v.pipe(
  v.string(),
  v.maxLength(100),
  v.regex(/^[a-z0-9_-]+(\/[a-z0-9_-]+)*$/i, 'is not a topic prefix'),
)
const urlOf = (protocols: readonly string[], words: string) =>
  v.pipe(
    v.string(),
    v.check((value) => URL.canParse(value) && protocols.includes(new URL(value).protocol), words),
  )

const user = v.strictObject({
  username: v.pipe(v.string(), v.minLength(1), v.maxLength(128)),
  /** `scrypt$…` as `node gateway/main.ts --hash-password` prints it. */
  passwordHash: v.optional(
    v.pipe(v.string(), v.startsWith('scrypt$', 'is not a hash that starts with scrypt$')),
  ),
  /** A file with the password, for secrets that something else provides. */
  passwordFile: v.optional(text),
  /** It is another gateway: it may offer inference, and read what devices ask of it. */
  gateway: v.optional(v.boolean(), false),
})

const person = v.strictObject({
  /** As it is recorded where this person answers what an agent asks. */
  name: v.pipe(
    v.string(),
    v.trim(),
    v.regex(/^[^\p{Cc}\p{Cf}:]{1,64}$/u, 'is not a name (1 to 64 characters, no colon)'),
  ),
  /** A file with this person's own token: 16 characters or more, nobody else's. */
  tokenFile: v.optional(text),
  /** Or `scrypt$…` of it, as `node gateway/main.ts --hash-password` prints it. */
  tokenHash: v.optional(
    v.pipe(v.string(), v.startsWith('scrypt$', 'is not a hash that starts with scrypt$')),
  ),
  /** May answer what agents ask. */
  answers: v.optional(v.boolean(), true),
})

export const gatewaySchema = v.strictObject({
  /**
   * Names this gateway on the broker: its reply topic, its client id, and the worker that it is for inference. Unique per broker.
   * Absent: `gateway`, and `gateway-<host name>` on another's broker.
   */
  id: v.optional(v.pipe(id, v.check(isWorkerId, 'is a word that topics use for something else'))),
  /** First levels of every topic. */
  base: v.optional(topicBase, 'ganglion'),
  /** Recordings on their way to a device are kept here, briefly. */
  stateDir: v.optional(text, '.ganglion/gateway'),
  /** Another broker instead of the built-in one. */
  brokerUrl: v.optional(
    urlOf(['mqtt:', 'mqtts:'], 'is not a URL like mqtt://host:1883 or mqtts://host:8883'),
  ),
  brokerUsername: v.optional(text),
  /** File with the password; or set GANGLION_BROKER_PASSWORD. */
  brokerPasswordFile: v.optional(text),
  mqtt: v.optional(
    v.strictObject({
      /** This machine only, until there are users. */
      host: v.optional(text, '127.0.0.1'),
      /** IANA's port for MQTT. */
      port: v.optional(port, 1883),
      users: v.optional(v.pipe(v.array(user), v.maxLength(1000)), []),
    }),
    {},
  ),
  http: v.optional(
    v.strictObject({
      host: v.optional(text, '127.0.0.1'),
      port: v.optional(port, 8080),
      /** Names under which the API may be asked, besides localhost and IP addresses. */
      hosts: v.optional(v.pipe(v.array(text), v.maxLength(100)), []),
      /** File with the bearer token; or set GANGLION_GATEWAY_TOKEN. Needed beyond loopback. */
      tokenFile: v.optional(text),
    }),
    {},
  ),
  /** Those of the household who are known by name. Where any is, nobody else answers what agents ask. */
  people: v.optional(v.pipe(v.array(person), v.maxLength(32)), []),
  /** Models that this gateway serves. */
  inference: v.optional(inferenceSchema, {}),
  /** Servers elsewhere that run models for it. */
  upstreams: v.optional(upstreamsSchema, []),
})
export type GatewaySection = v.InferInput<typeof gatewaySchema>

/** The section with defaults, secrets read and rules checked. */
export interface GatewayConfig {
  readonly id: string
  readonly base: string
  readonly stateDir: string
  readonly broker:
    | {
        readonly kind: 'built-in'
        readonly host: string
        readonly port: number
        readonly users: readonly Credential[]
      }
    | {
        readonly kind: 'external'
        readonly url: string
        readonly username?: string
        readonly password?: string
      }
  readonly http: {
    readonly host: string
    readonly port: number
    readonly hosts: readonly string[]
    readonly token?: string
  }
  readonly people: readonly PersonSecret[]
  readonly inference: InferenceConfig
}

const tokenCharsMin = 16

type Environment = Readonly<Record<string, string | undefined>>

/** Checks a section. `where` names it in errors. Throws UsageError with one line. */
export function loadConfig(section: unknown, where: string, env: Environment): GatewayConfig {
  const result = v.safeParse(gatewaySchema, section ?? {}, { abortEarly: true })
  if (!result.success) throw new UsageError(`${where}: ${issueLine(result.issues[0])}`)
  const { base, stateDir, http, brokerUrl } = result.output
  const id = result.output.id ?? (brokerUrl === undefined ? 'gateway' : guestId())
  const token =
    env['GANGLION_GATEWAY_TOKEN'] || (http.tokenFile && secret(http.tokenFile, `${where}.http.tokenFile`))
  checkHttp(http, token, where)
  return {
    id,
    base,
    stateDir: resolve(stateDir),
    broker: brokerOf(result.output, where, env),
    http: {
      host: http.host,
      port: http.port,
      hosts: http.hosts,
      ...(token && { token }),
    },
    people: peopleOf(result.output.people, token, where),
    inference: inferenceConfig(result.output.inference, result.output.upstreams, where, env, secret),
  }
}

/** Whoever has that broker may be `gateway` on it, and a device of this machine has the host's name. */
function guestId(): string {
  const name = hostname()
    .toLowerCase()
    .replace(/[^a-z0-9_-]/g, '-')
  return `gateway-${name}`.slice(0, 64)
}

type Section = v.InferOutput<typeof gatewaySchema>

function brokerOf(section: Section, where: string, env: Environment): GatewayConfig['broker'] {
  const { brokerUrl, brokerUsername, brokerPasswordFile, mqtt } = section
  if (brokerUrl === undefined) {
    const users = mqtt.users.map((one, index) => credential(one, `${where}.mqtt.users.${index}`))
    if (!isLoopbackHost(mqtt.host) && users.length === 0)
      throw new UsageError(
        `${where}.mqtt.host: ${mqtt.host} is reachable from other machines, which needs ${where}.mqtt.users; or use 127.0.0.1`,
      )
    return { kind: 'built-in', host: mqtt.host, port: mqtt.port, users }
  }
  const url = new URL(brokerUrl)
  if (url.password)
    throw new UsageError(
      `${where}.brokerUrl: no password here, use GANGLION_BROKER_PASSWORD or brokerPasswordFile`,
    )
  const username = brokerUsername ?? (decodeURIComponent(url.username) || undefined)
  const password =
    env['GANGLION_BROKER_PASSWORD'] ||
    (brokerPasswordFile && secret(brokerPasswordFile, `${where}.brokerPasswordFile`))
  url.username = ''
  return { kind: 'external', url: url.href, ...(username && { username }), ...(password && { password }) }
}

function credential(one: v.InferOutput<typeof user>, where: string): Credential {
  const { username, passwordHash, passwordFile, gateway } = one
  if ((passwordHash === undefined) === (passwordFile === undefined))
    throw new UsageError(`${where}: give either passwordHash or passwordFile`)
  const password = passwordHash ?? secret(passwordFile as string, `${where}.passwordFile`)
  return { username, password, ...(gateway && { gateway }) }
}

function peopleOf(
  people: Section['people'],
  gatewayToken: string | undefined,
  where: string,
): PersonSecret[] {
  const known = people.map(({ name, tokenFile, tokenHash, answers }, at) => {
    const place = `${where}.people.${at}`
    if ((tokenFile === undefined) === (tokenHash === undefined))
      throw new UsageError(`${place}: give either tokenFile or tokenHash`)
    const token = tokenHash ?? secret(tokenFile as string, `${place}.tokenFile`)
    if (token.length < tokenCharsMin)
      throw new UsageError(`${place}: the token of ${name} has fewer than ${tokenCharsMin} characters`)
    return { name, token, answers }
  })
  const names = known.map(({ name }) => name)
  const twice = names.find((name, at) => names.indexOf(name) !== at)
  if (twice !== undefined) throw new UsageError(`${where}.people: two are called ${twice}`)
  const tokens = [gatewayToken, ...known.map(({ token }) => token)]
  if (new Set(tokens).size < tokens.length)
    throw new UsageError(`${where}.people: two have the same token: then neither is known by it`)
  return known
}

function checkHttp(http: Section['http'], token: string | undefined, where: string): void {
  if (isLoopbackHost(http.host)) return
  if (!token)
    throw new UsageError(
      `${where}.http.host: ${http.host} is reachable from other machines, which needs a token: set GANGLION_GATEWAY_TOKEN (for example ${randomBytes(18).toString('base64url')}) or ${where}.http.tokenFile; or use 127.0.0.1`,
    )
  if (token.length < tokenCharsMin)
    throw new UsageError(`the gateway token has fewer than ${tokenCharsMin} characters: use a longer one`)
}

function secret(path: string, where: string): string {
  let content: string
  try {
    content = readFileSync(path, 'utf8').trim()
  } catch (error) {
    throw new UsageError(`${where}: cannot read ${path} (${messageOf(error)})`, { cause: error })
  }
  if (content === '') throw new UsageError(`${where}: ${path} is empty`)
  return content
}

function issueLine(issue: v.BaseIssue<unknown>): string {
  const path = v.getDotPath(issue) ?? ''
  if (issue.type === 'strict_object' && issue.expected === 'never') return `unknown key ${path}`
  const words = issue.message.startsWith('Invalid')
    ? `expected ${issue.expected ?? 'something else'}, got ${issue.received}`
    : issue.message
  return path ? `${path}: ${words}` : words
}
