/**
 * What aedes keeps for its clients: retained messages, subscriptions and queues of persistent sessions, half-received
 * QoS 2 messages, wills. In memory and bounded everywhere (aedes' own memory store is not). The interface is that of
 * `aedes-persistence` 11, whose callers are in aedes `lib/`.
 *
 * A message that is queued but was not yet sent has no `messageId`. Aedes asks to clear "the packet without an id" when
 * it did not forward one; that must keep the queue as it is, or a withheld message would be lost.
 */
import { Readable } from 'node:stream'
import type { AedesPublishPacket } from 'aedes'
import { packetBytes, type RetainedStore } from './retained-store.ts'
import { SubscriptionTrie } from './subscription-trie.ts'

export interface SessionBounds {
  readonly offlineMessagesPerClientMax: number
  readonly offlineBytesPerClientMax: number
  readonly storedBytesMax: number
}

interface ClientRef {
  readonly id: string
}
interface Sub {
  readonly topic: string
  readonly qos: number
}
/** A queued publish, or the PUBREL that follows it (QoS 2). */
export type QueuedPacket = Pick<AedesPublishPacket, 'topic' | 'payload' | 'qos' | 'retain' | 'dup'> & {
  readonly cmd: string
  readonly brokerId?: string
  readonly brokerCounter?: number
  messageId?: number | undefined
}

interface Session {
  readonly subs: Map<string, number>
  queue: QueuedPacket[]
  queueBytes: number
  readonly incoming: Map<number, QueuedPacket>
}

const bytesOf = (packet: QueuedPacket) => (packet.cmd === 'publish' ? packetBytes(packet) : 200)

export class SessionStore {
  readonly #bounds: SessionBounds
  readonly #retained: RetainedStore
  readonly #accepts: (client: ClientRef, topic: string) => boolean
  readonly #sessions = new Map<string, Session>()
  readonly #trie = new SubscriptionTrie()
  readonly #wills = new Map<string, object>()
  #brokerId = ''
  #bytes = 0
  #dropped = 0

  /** `accepts` says whether the client's subscription to a topic was granted: aedes stores the refused ones too. */
  constructor(
    bounds: SessionBounds,
    retained: RetainedStore,
    accepts: (client: ClientRef, topic: string) => boolean,
  ) {
    this.#bounds = bounds
    this.#retained = retained
    this.#accepts = accepts
  }

  stats(): { sessions: number; messages: number; bytes: number; dropped: number } {
    let messages = 0
    for (const session of this.#sessions.values()) messages += session.queue.length
    return { sessions: this.#sessions.size, messages, bytes: this.#bytes, dropped: this.#dropped }
  }

  /** Forgets a client: its session has expired. */
  forget(clientId: string): void {
    this.#dropSubscriptions(clientId)
    const session = this.#sessions.get(clientId)
    if (!session) return
    this.#bytes -= session.queueBytes
    for (const packet of session.incoming.values()) this.#bytes -= bytesOf(packet)
    this.#sessions.delete(clientId)
  }

  async setup(broker: { id: string }): Promise<void> {
    this.#brokerId = broker.id
  }

  async storeRetained(packet: AedesPublishPacket): Promise<void> {
    this.#retained.store(packet)
  }

  createRetainedStreamCombi(filters: string[]): Readable {
    return Readable.from(this.#retained.matching(filters))
  }

  createRetainedStream(filter: string): Readable {
    return this.createRetainedStreamCombi([filter])
  }

  async addSubscriptions(client: ClientRef, subs: readonly Sub[]): Promise<void> {
    const session = this.#session(client.id)
    for (const { topic, qos } of subs) {
      if (!this.#accepts(client, topic)) continue
      session.subs.set(topic, qos)
      if (qos > 0) this.#trie.set(topic, client.id, qos)
      else this.#trie.delete(topic, client.id)
    }
  }

  async removeSubscriptions(client: ClientRef, topics: readonly string[]): Promise<void> {
    const session = this.#sessions.get(client.id)
    for (const topic of topics) {
      session?.subs.delete(topic)
      this.#trie.delete(topic, client.id)
    }
  }

  async subscriptionsByClient(client: ClientRef): Promise<Sub[]> {
    return [...(this.#sessions.get(client.id)?.subs ?? [])].map(([topic, qos]) => ({ topic, qos }))
  }

  async subscriptionsByTopic(topic: string): Promise<(Sub & { clientId: string })[]> {
    return [...this.#trie.match(topic)].map(([clientId, qos]) => ({ clientId, topic, qos }))
  }

  /** A clean session starts: whatever was kept for the id is over (section 3.1.2.4). */
  async cleanSubscriptions(client: ClientRef): Promise<void> {
    this.forget(client.id)
  }

  async outgoingEnqueue(sub: { clientId: string; qos?: number }, packet: AedesPublishPacket): Promise<void> {
    this.#enqueue(sub.clientId, sub.qos ?? packet.qos, packet)
  }

  async outgoingEnqueueCombi(
    subs: (Sub & { clientId: string })[],
    packet: AedesPublishPacket,
  ): Promise<void> {
    for (const sub of subs) this.#enqueue(sub.clientId, sub.qos, packet)
  }

  /**
   * Notes the id under which a queued message was sent, or replaces it by its PUBREL. A message that the full queue
   * refused is not there: it is sent all the same, once.
   */
  async outgoingUpdate(client: ClientRef, packet: QueuedPacket): Promise<void> {
    const session = this.#sessions.get(client.id)
    if (!session) return
    if (packet.cmd === 'publish') {
      const queued = session.queue.find(
        (one) => one.brokerId === packet.brokerId && one.brokerCounter === packet.brokerCounter,
      )
      if (queued) queued.messageId = packet.messageId
      return
    }
    const at = session.queue.findIndex((one) => one.messageId === packet.messageId)
    const old = session.queue[at]
    if (!old) return
    session.queue[at] = packet
    this.#count(session, bytesOf(packet) - bytesOf(old))
  }

  async outgoingClearMessageId(client: ClientRef, packet: QueuedPacket): Promise<QueuedPacket | undefined> {
    const session = this.#sessions.get(client.id)
    if (!session || packet.messageId === undefined) return undefined
    const at = session.queue.findIndex((one) => one.messageId === packet.messageId)
    if (at < 0) return undefined
    const [cleared] = session.queue.splice(at, 1)
    if (cleared) this.#count(session, -bytesOf(cleared))
    return cleared
  }

  outgoingStream(client: ClientRef): Readable {
    return Readable.from([...(this.#sessions.get(client.id)?.queue ?? [])])
  }

  async incomingStorePacket(client: ClientRef, packet: QueuedPacket): Promise<void> {
    const { incoming } = this.#session(client.id)
    if (packet.messageId === undefined || this.#bytes + bytesOf(packet) > this.#bounds.storedBytesMax)
      throw new Error('no room for a QoS 2 message')
    incoming.set(packet.messageId, { ...packet })
    this.#bytes += bytesOf(packet)
  }

  async incomingGetPacket(client: ClientRef, packet: QueuedPacket): Promise<QueuedPacket> {
    const stored = this.#sessions.get(client.id)?.incoming.get(packet.messageId ?? 0)
    if (!stored) throw new Error('no such packet')
    return stored
  }

  async incomingDelPacket(client: ClientRef, packet: QueuedPacket): Promise<void> {
    const stored = await this.incomingGetPacket(client, packet)
    this.#sessions.get(client.id)?.incoming.delete(packet.messageId ?? 0)
    this.#bytes -= bytesOf(stored)
  }

  async cleanIncoming(client: ClientRef): Promise<void> {
    const session = this.#sessions.get(client.id)
    if (!session) return
    for (const packet of session.incoming.values()) this.#bytes -= bytesOf(packet)
    session.incoming.clear()
    if (session.subs.size === 0 && session.queue.length === 0) this.#sessions.delete(client.id)
  }

  async putWill(client: ClientRef, will: object): Promise<void> {
    this.#wills.set(client.id, Object.assign(will, { brokerId: this.#brokerId, clientId: client.id }))
  }

  async getWill(client: ClientRef): Promise<object | undefined> {
    return this.#wills.get(client.id)
  }

  async delWill(client: ClientRef): Promise<object | undefined> {
    const will = this.#wills.get(client.id)
    this.#wills.delete(client.id)
    return will
  }

  /** Wills of other brokers that shared this store: there is none. */
  streamWill(): Readable {
    return Readable.from([])
  }

  async destroy(): Promise<void> {
    this.#sessions.clear()
  }

  #session(clientId: string): Session {
    let session = this.#sessions.get(clientId)
    if (!session) {
      session = { subs: new Map(), queue: [], queueBytes: 0, incoming: new Map() }
      this.#sessions.set(clientId, session)
    }
    return session
  }

  #dropSubscriptions(clientId: string): void {
    for (const topic of this.#sessions.get(clientId)?.subs.keys() ?? []) this.#trie.delete(topic, clientId)
  }

  #count(session: Session, bytes: number): void {
    session.queueBytes += bytes
    this.#bytes += bytes
  }

  #enqueue(clientId: string, qos: number, packet: AedesPublishPacket): void {
    const session = this.#session(clientId)
    const bytes = packetBytes(packet)
    if (
      session.queue.length >= this.#bounds.offlineMessagesPerClientMax ||
      session.queueBytes + bytes > this.#bounds.offlineBytesPerClientMax ||
      this.#bytes + bytes > this.#bounds.storedBytesMax
    ) {
      this.#dropped += 1
      return
    }
    const { topic, payload, retain, dup, brokerId, brokerCounter } = packet
    const queued = {
      cmd: 'publish',
      topic,
      payload,
      qos: Math.min(qos, packet.qos) as 0 | 1 | 2,
      retain,
      dup,
    }
    session.queue.push({ ...queued, brokerId, brokerCounter, messageId: undefined })
    this.#count(session, bytes)
  }
}
