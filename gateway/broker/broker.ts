/**
 * The built-in MQTT broker: aedes 1.2 (MQTT 3.1.1) behind limits. It takes nothing on trust: sizes are checked before
 * parsing, topics before matching, and whatever it keeps is bounded. On loopback by default; elsewhere only with users.
 */
import { randomBytes } from 'node:crypto'
import type { EventEmitter } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { Aedes, type AedesPublishPacket, type Client, type PublishPacket } from 'aedes'
import type { Clock } from '../../runtime/base/clock.ts'
import { withDeadline } from '../../runtime/base/deadline.ts'
import { UsageError } from '../../runtime/base/errors.ts'
import type { Log } from '../../runtime/base/log.ts'
import { Topics } from '../../runtime/wire/topics.ts'
import { isLoopbackHost, listenError } from '../errors.ts'
import { Admission, type OwnAccess } from './admission.ts'
import { type Credential, CredentialCheck } from './credentials.ts'
import { gatewayPublishFault, mayRead, type TopicUser } from './gateway-topics.ts'
import { type BrokerLimits, defaultBrokerLimits } from './limits.ts'
import { MqttStream } from './mqtt-stream.ts'
import { PacketGuard } from './packet-guard.ts'
import { type RefusalReason, Refusals } from './refusals.ts'
import { RetainedStore } from './retained-store.ts'
import { SessionStore } from './session-store.ts'
import { SlowSubscribers } from './slow-subscribers.ts'
import { topicFilterFault, topicNameFault } from './topic-rules.ts'

export interface BrokerDeps {
  readonly clock: Clock
  readonly log: Log
}

export interface BrokerOptions {
  readonly host: string
  /** 0: any free port. */
  readonly port: number
  /** Present: every client needs one of these. Required beyond loopback. */
  readonly users?: readonly Credential[]
  /** First levels of the topics whose rules hold where there are users (`gateway-topics.ts`). */
  readonly base?: string
  readonly limits?: Partial<BrokerLimits>
}

export interface BrokerStats {
  readonly clients: number
  readonly connections: number
  readonly sessions: number
  readonly retained: { readonly messages: number; readonly bytes: number; readonly refused: number }
  readonly queued: { readonly messages: number; readonly bytes: number; readonly dropped: number }
  /** Messages not forwarded because the subscriber was behind. */
  readonly withheld: number
  readonly refused: Readonly<Record<RefusalReason, number>>
}

const closeDeadlineMs = 3_000

export class Broker implements AsyncDisposable {
  readonly url: string
  readonly port: number
  /** What the gateway's own client connects with; made anew at each start. */
  readonly own: OwnAccess
  readonly #parts: Parts
  readonly #server: Server
  readonly #clock: Clock
  #closing: Promise<void> | undefined

  private constructor(parts: Parts, server: Server, clock: Clock) {
    const { address, port, family } = server.address() as AddressInfo
    this.port = port
    this.url = `mqtt://${family === 'IPv6' ? `[${address}]` : address}:${port}`
    this.own = parts.own
    this.#parts = parts
    this.#server = server
    this.#clock = clock
  }

  /** Listens. Throws GatewayError (`port-in-use`, `listen`) and UsageError (beyond loopback without users). */
  static async open(deps: BrokerDeps, options: BrokerOptions, signal: AbortSignal): Promise<Broker> {
    if (!isLoopbackHost(options.host) && !options.users?.length)
      throw new UsageError(
        `mqtt.host ${options.host} is reachable from other machines, but mqtt.users is empty: add a user, or bind 127.0.0.1`,
      )
    const parts = await Parts.open(deps, options)
    const server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 }, (socket) =>
      parts.accept(socket),
    )
    try {
      await withDeadline(deps.clock, 'opening the broker', 5_000, () => listen(server, options), signal)
    } catch (error) {
      await parts.close()
      throw error
    }
    return new Broker(parts, server, deps.clock)
  }

  stats(): BrokerStats {
    return this.#parts.stats()
  }

  /** Closes every connection and the port. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= withDeadline(this.#clock, 'closing the broker', closeDeadlineMs, async () => {
      const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
      await this.#parts.close()
      await closed
    })
    return this.#closing
  }
}

function listen(server: Server, { host, port }: BrokerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(listenError(error, host, port, '--mqtt-port')))
    server.listen({ host, port }, () => resolve())
  })
}

/** Aedes and the rules around it, without the port. */
class Parts {
  readonly own: OwnAccess = { username: 'ganglion-gateway', password: randomBytes(24).toString('base64url') }
  readonly #limits: BrokerLimits
  readonly #refusals: Refusals
  readonly #retained: RetainedStore
  readonly #store: SessionStore
  readonly #slow: SlowSubscribers
  readonly #admission: Admission
  readonly #aedes: Aedes
  readonly #sockets = new Set<Socket>()
  readonly #granted = new WeakMap<object, Set<string>>()
  /** Where topics of gateways are for gateways only. */
  readonly #guarded: Topics | undefined

  static async open(deps: BrokerDeps, options: BrokerOptions): Promise<Parts> {
    const credentials = options.users?.length ? await CredentialCheck.open(options.users) : undefined
    const parts = new Parts(deps, { ...defaultBrokerLimits, ...options.limits }, options, credentials)
    await parts.#aedes.listen()
    return parts
  }

  private constructor(
    deps: BrokerDeps,
    limits: BrokerLimits,
    { base, users = [] }: BrokerOptions,
    credentials: CredentialCheck | undefined,
  ) {
    const { clock } = deps
    if (credentials && base !== undefined) this.#guarded = new Topics(base)
    const gateways = new Set(users.filter((user) => user.gateway).map(({ username }) => username))
    this.#limits = limits
    this.#refusals = new Refusals(clock, deps.log)
    this.#retained = new RetainedStore(limits)
    this.#store = new SessionStore(
      limits,
      this.#retained,
      (client, topic) => this.#granted.get(client)?.has(topic) ?? false,
    )
    this.#slow = new SlowSubscribers(clock, {
      forwardBufferBytesMax: limits.forwardBufferBytesMax,
      slowGraceMs: limits.slowGraceMs,
      onClosed: (client) => this.#refusals.count('slow-subscriber', { client: client.id }),
    })
    const store = this.#store
    const refusals = this.#refusals
    this.#admission = new Admission({
      clock,
      limits,
      refusals,
      store,
      own: this.own,
      gateways,
      ...(credentials && { credentials }),
    })
    this.#aedes = this.#configured(deps.log)
  }

  accept(socket: Socket): void {
    if (this.#sockets.size >= this.#limits.connectionsMax) {
      this.#refusals.count('connections-max', { peer: socket.remoteAddress ?? '' })
      socket.destroy()
      return
    }
    this.#sockets.add(socket)
    socket.on('close', () => this.#sockets.delete(socket))
    const stream = new MqttStream(socket, new PacketGuard(this.#limits.packetBytesMax), (verdict) =>
      this.#refusals.count(verdict === 'oversize' ? 'oversize-packet' : 'malformed-packet', {
        peer: socket.remoteAddress ?? '',
      }),
    )
    this.#aedes.handle(stream)
  }

  stats(): BrokerStats {
    const { sessions, ...queued } = this.#store.stats()
    return {
      clients: this.#admission.members,
      connections: this.#sockets.size,
      sessions,
      retained: this.#retained.stats(),
      queued,
      withheld: this.#slow.withheld,
      refused: this.#refusals.counts(),
    }
  }

  async close(): Promise<void> {
    await new Promise<void>((resolve) => this.#aedes.close(() => resolve()))
    for (const socket of this.#sockets) socket.destroy()
  }

  #configured(log: Log): Aedes {
    const limits = this.#limits
    const aedes = new Aedes({
      persistence: this.#store,
      connectTimeout: limits.connectTimeoutMs,
      // Second line behind SlowSubscribers: a client that takes neither acknowledgements nor replays.
      drainTimeout: 3 * limits.slowGraceMs,
      maxTopicLevels: limits.topicLevelsMax,
      maxInflightInbound: limits.inboundQos2PerClientMax,
      preConnect: (client, packet, done) => {
        const fault = this.#admission.preConnect(client, packet)
        done(fault ?? null, !fault)
      },
      authenticate: (client, username, password, done) => {
        this.#admission.authenticate(client, username, password).then(
          (refusal) => done(refusal, !refusal),
          () => done(Object.assign(new Error('unavailable'), { returnCode: 3 }), false),
        )
      },
      authorizePublish: (client, packet, done) => done(this.#publishFault(client, packet)),
      authorizeSubscribe: (client, sub, done) => {
        const verdict = this.#judgeFilter(client, sub.topic)
        if (verdict instanceof Error) done(verdict)
        else done(null, verdict === 'refused' ? null : sub)
      },
      authorizeForward: (client, packet) =>
        this.#guarded && !mayRead(this.#guarded, packet.topic, this.#userOf(client))
          ? null
          : this.#slow.forward(client, packet as AedesPublishPacket),
    })
    aedes.on('client', (client) => this.#admission.connected(client))
    aedes.on('clientDisconnect', (client) => {
      this.#admission.disconnected(client)
      this.#slow.forget(client)
    })
    aedes.on('unsubscribe', (topics, client) => {
      for (const topic of topics) this.#granted.get(client)?.delete(topic)
    })
    const closed = (client: Client, error: Error) =>
      log.debug('connection closed', { client: client?.id, why: error?.message })
    // Not in aedes' types: an internal failure of one publish, which may not stop the gateway.
    const emitter: EventEmitter = aedes
    emitter.on('error', (error: Error) => log.error('broker failure', { why: error.message }))
    aedes.on('clientError', closed)
    aedes.on('connectionError', closed)
    return aedes
  }

  #publishFault(client: Client | null, packet: PublishPacket): Error | null {
    const fault = topicNameFault(packet.topic, this.#limits) ?? this.#gatewayFault(client, packet.topic)
    if (!fault) return null
    this.#refusals.count('topic', { client: client?.id ?? null, why: fault })
    return new Error(`topic ${fault}`)
  }

  #gatewayFault(client: Client | null, topic: string): string | undefined {
    if (!this.#guarded || !client) return undefined
    return gatewayPublishFault(this.#guarded, topic, this.#userOf(client))
  }

  #userOf(client: Client): TopicUser {
    return { clientId: client.id, gateway: this.#admission.isGateway(client) }
  }

  /** `refused`: SUBACK 0x80 for this filter. An error is a protocol violation and closes the connection. */
  #judgeFilter(client: Client, topic: string): Error | 'refused' | undefined {
    const refuse = (why: string) => this.#refusals.count('subscription', { client: client.id, why })
    const fault = topicFilterFault(topic, this.#limits)
    if (fault) {
      refuse(`filter ${fault}`)
      return new Error(`filter ${fault}`)
    }
    // `$SYS` tells who is here; aedes takes `$share` and never delivers.
    if (topic.startsWith('$')) {
      refuse('filter starts with $')
      return 'refused'
    }
    const granted = this.#granted.get(client) ?? new Set<string>()
    this.#granted.set(client, granted)
    if (!granted.has(topic) && granted.size >= this.#limits.subscriptionsPerClientMax) {
      refuse(`more than ${this.#limits.subscriptionsPerClientMax} subscriptions`)
      return 'refused'
    }
    granted.add(topic)
    return undefined
  }
}
