/** Retained messages in memory, bounded by count and bytes. Full: a new topic is not retained (counted), a known one may be replaced. */
import type { AedesPublishPacket } from 'aedes'
import { topicMatches } from './topic-rules.ts'

export interface RetainedBounds {
  readonly retainedMessagesMax: number
  readonly retainedBytesMax: number
}

/** What a kept packet costs: payload, topic, and about what the objects around them take. */
export function packetBytes(packet: { topic: string; payload: string | Buffer }): number {
  return Buffer.byteLength(packet.payload) + packet.topic.length + 200
}

export class RetainedStore {
  readonly #bounds: RetainedBounds
  readonly #packets = new Map<string, AedesPublishPacket>()
  #bytes = 0
  #refused = 0

  constructor(bounds: RetainedBounds) {
    this.#bounds = bounds
  }

  /** An empty payload deletes (section 3.3.1.3). */
  store(packet: AedesPublishPacket): void {
    const old = this.#packets.get(packet.topic)
    const oldBytes = old ? packetBytes(old) : 0
    if (packet.payload.length === 0) {
      this.#packets.delete(packet.topic)
      this.#bytes -= oldBytes
      return
    }
    const bytes = this.#bytes - oldBytes + packetBytes(packet)
    const messages = this.#packets.size + (old ? 0 : 1)
    if (bytes > this.#bounds.retainedBytesMax || messages > this.#bounds.retainedMessagesMax) {
      this.#refused += 1
      return
    }
    this.#packets.set(packet.topic, { ...packet })
    this.#bytes = bytes
  }

  *matching(filters: readonly string[]): Generator<AedesPublishPacket> {
    for (const [topic, packet] of this.#packets) {
      if (filters.some((filter) => topicMatches(filter, topic))) yield packet
    }
  }

  stats(): { messages: number; bytes: number; refused: number } {
    return { messages: this.#packets.size, bytes: this.#bytes, refused: this.#refused }
  }
}
