/**
 * Keeps a subscriber that does not read from holding up the others. Above `forwardBufferBytesMax` unsent bytes nothing
 * more is forwarded to it: QoS 0 is dropped (its meaning), QoS 1 and 2 wait in the session's queue. A client still behind
 * after the grace period is closed; so is one from which a QoS 1 message was withheld, however fast it recovered, because
 * only a new connection brings the queue, in order.
 */
import type { AedesPublishPacket, Client } from 'aedes'
import type { Cancel, Clock } from '../../runtime/base/clock.ts'

interface Behind {
  withheldQos1: boolean
  readonly cancel: Cancel
}

export interface SlowOptions {
  readonly forwardBufferBytesMax: number
  readonly slowGraceMs: number
  readonly onClosed: (client: Client) => void
}

export class SlowSubscribers {
  readonly #clock: Clock
  readonly #options: SlowOptions
  readonly #behind = new Map<Client, Behind>()
  #withheld = 0

  constructor(clock: Clock, options: SlowOptions) {
    this.#clock = clock
    this.#options = options
  }

  get withheld(): number {
    return this.#withheld
  }

  /** The packet to send now, or null to withhold it (aedes' `authorizeForward`). */
  forward(client: Client, packet: AedesPublishPacket): AedesPublishPacket | null {
    // Replays of the session's queue have an id already, and retained ones their flag: both wait for the socket.
    if (packet.messageId !== undefined || packet.retain) return packet
    const behind = this.#behind.get(client)
    const over = client.conn.writableLength > this.#options.forwardBufferBytesMax
    // Once one was withheld the later ones are too: they may not overtake it.
    if (!over && !(behind?.withheldQos1 && packet.qos > 0)) return packet
    const entry = behind ?? this.#watch(client)
    if (packet.qos > 0) entry.withheldQos1 = true
    this.#withheld += 1
    return null
  }

  forget(client: Client): void {
    this.#behind.get(client)?.cancel()
    this.#behind.delete(client)
  }

  #watch(client: Client): Behind {
    const cancel = this.#clock.after(this.#options.slowGraceMs, () => this.#judge(client))
    const entry = { withheldQos1: false, cancel }
    this.#behind.set(client, entry)
    return entry
  }

  #judge(client: Client): void {
    const entry = this.#behind.get(client)
    this.#behind.delete(client)
    if (!entry?.withheldQos1 && client.conn.writableLength <= this.#options.forwardBufferBytesMax) return
    this.#options.onClosed(client)
    client.conn.destroy()
  }
}
