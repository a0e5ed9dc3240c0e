/**
 * Who may connect: client id, will, session, user and password (MQTT 3.1.1, section 3.1). Also the takeover rule: a second
 * connection with the same client id and the same user closes the first one, will included, before it is answered; with
 * another user it is refused. Ids that start with the gateway's own prefix need the gateway's own password.
 */
import { timingSafeEqual } from 'node:crypto'
import type { AuthenticateError, Client, ConnectPacket } from 'aedes'
import type { Clock } from '../../runtime/base/clock.ts'
import { withDeadline } from '../../runtime/base/deadline.ts'
import type { CredentialCheck } from './credentials.ts'
import type { BrokerLimits } from './limits.ts'
import type { RefusalReason, Refusals } from './refusals.ts'
import type { SessionStore } from './session-store.ts'
import { textFault, topicNameFault } from './topic-rules.ts'

/** Closing a connection only has to publish its will. */
const takeoverMs = 5_000

/** CONNACK return codes, table 3.1. */
const returnCodes = { identifier: 2, unavailable: 3, credentials: 4 } as const

export interface OwnAccess {
  /** Also the prefix of the client ids that only the gateway may use. */
  readonly username: string
  readonly password: string
}

export interface AdmissionDeps {
  readonly clock: Clock
  readonly limits: BrokerLimits
  readonly refusals: Refusals
  readonly store: SessionStore
  readonly own: OwnAccess
  /** Absent: anybody who reaches the port may connect. */
  readonly credentials?: CredentialCheck
  /** Names of users that are gateways. */
  readonly gateways?: ReadonlySet<string>
}

interface Verdict {
  readonly reason: RefusalReason
  readonly returnCode: number
  readonly why: string
}

interface Member {
  readonly client: Client
  readonly username: string
}

export class Admission {
  readonly #deps: AdmissionDeps
  readonly #verdicts = new WeakMap<Client, Verdict>()
  readonly #usernames = new WeakMap<Client, string>()
  readonly #members = new Map<string, Member>()
  readonly #takingOver = new Set<string>()
  /** Persistent sessions: when the client was last here; undefined while it is connected. */
  readonly #sessions = new Map<string, number | undefined>()

  constructor(deps: AdmissionDeps) {
    this.#deps = deps
  }

  /** Who connected as this client may act as a gateway. */
  isGateway(client: Client): boolean {
    const username = this.#usernames.get(client)
    if (username === undefined) return false
    return username === this.#deps.own.username || this.#deps.gateways?.has(username) === true
  }

  get members(): number {
    return this.#members.size
  }

  /** Aedes' `preConnect`: an error closes the connection without an answer (a protocol violation). */
  preConnect(client: Client, packet: ConnectPacket): Error | undefined {
    const { limits, refusals } = this.#deps
    const max = limits.keepaliveMaxS
    packet.keepalive = packet.keepalive ? Math.min(packet.keepalive, max) : max
    const willFault = packet.will && topicNameFault(packet.will.topic, limits)
    if (willFault) {
      refusals.count('will', { why: `will topic ${willFault}` })
      return new Error(`will topic ${willFault}`)
    }
    const faulty = textFault(packet.clientId) ?? textFault(packet.username ?? '')
    if (faulty) {
      refusals.count('identifier', { why: faulty })
      return new Error(`client id or user name ${faulty}`)
    }
    const verdict = this.#judgeIdentifier(packet)
    if (verdict) this.#verdicts.set(client, verdict)
    return undefined
  }

  /** Aedes' `authenticate`: an error is answered with its CONNACK return code. */
  async authenticate(
    client: Client,
    username: string | undefined,
    password: Buffer | undefined,
  ): Promise<AuthenticateError | null> {
    const verdict =
      this.#verdicts.get(client) ??
      (await this.#judgeCredentials(client, username ?? '', password)) ??
      this.#judgeSession(client) ??
      (await this.#takeOver(client, username ?? ''))
    if (!verdict) {
      this.#usernames.set(client, username ?? '')
      return null
    }
    this.#deps.refusals.count(verdict.reason, { client: client.id, why: verdict.why })
    return Object.assign(new Error(verdict.why), { returnCode: verdict.returnCode }) as AuthenticateError
  }

  connected(client: Client): void {
    this.#members.set(client.id, { client, username: this.#usernames.get(client) ?? '' })
    if (client.clean) this.#sessions.delete(client.id)
    else this.#sessions.set(client.id, undefined)
  }

  disconnected(client: Client): void {
    if (this.#members.get(client.id)?.client === client) this.#members.delete(client.id)
    if (!client.clean) this.#sessions.set(client.id, this.#deps.clock.monotonicMs())
  }

  #judgeIdentifier({ clientId, clean }: ConnectPacket): Verdict | undefined {
    const refuse = (why: string): Verdict => ({
      reason: 'identifier',
      returnCode: returnCodes.identifier,
      why,
    })
    // Section 3.1.3.1: without an id there is nothing to find a stored session by.
    if (clientId === '' && !clean) return refuse('an empty client id needs a clean session')
    const max = this.#deps.limits.clientIdCharsMax
    if (clientId.length > max) return refuse(`client id has more than ${max} characters`)
    return undefined
  }

  async #judgeCredentials(
    client: Client,
    username: string,
    password: Buffer | undefined,
  ): Promise<Verdict | undefined> {
    const { own, credentials } = this.#deps
    const refuse = (why: string): Verdict => ({
      reason: 'credentials',
      returnCode: returnCodes.credentials,
      why,
    })
    if (username === own.username) {
      const wanted = Buffer.from(own.password)
      const right = password?.length === wanted.length && timingSafeEqual(password, wanted)
      return right ? undefined : refuse('wrong user name or password')
    }
    if (client.id.startsWith(own.username)) return refuse("client id is the gateway's own")
    if (!credentials) return undefined
    if (password && (await credentials.check(username, password))) return undefined
    return refuse('wrong user name or password')
  }

  #judgeSession(client: Client): Verdict | undefined {
    if (client.clean || this.#sessions.has(client.id)) return undefined
    const { limits, clock, store } = this.#deps
    if (this.#sessions.size >= limits.sessionsMax) {
      for (const [id, leftMs] of this.#sessions) {
        if (leftMs === undefined || clock.monotonicMs() - leftMs < limits.sessionIdleMsMax) continue
        this.#sessions.delete(id)
        store.forget(id)
      }
    }
    if (this.#sessions.size < limits.sessionsMax) return undefined
    const why = `${limits.sessionsMax} sessions are kept already`
    return { reason: 'sessions-max', returnCode: returnCodes.unavailable, why }
  }

  async #takeOver(client: Client, username: string): Promise<Verdict | undefined> {
    const old = this.#members.get(client.id)
    const refuse = (why: string): Verdict => ({
      reason: 'identifier',
      returnCode: returnCodes.identifier,
      why,
    })
    if (this.#takingOver.has(client.id)) return refuse('another connection is taking over this client id')
    if (!old) return undefined
    if (old.username !== username) return refuse('the client id belongs to another user')
    this.#takingOver.add(client.id)
    this.#deps.refusals.count('takeover', { client: client.id, why: 'a second connection took over the id' })
    const closed = () => new Promise<void>((resolve) => old.client.close(resolve))
    try {
      await withDeadline(this.#deps.clock, 'closing the earlier connection', takeoverMs, closed)
    } finally {
      this.#takingOver.delete(client.id)
    }
    return undefined
  }
}
