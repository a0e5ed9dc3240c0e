/**
 * Cuts packets that are too large out of the byte stream from the broker, before anything collects them in memory:
 * MQTT.js has no limit of its own, and 3.1.1 knows no way to tell the broker ours. Only the fixed header is read
 * (MQTT 3.1.1, 2.2), and of a packet that is cut out its topic and packet id, so that it can be acknowledged: else the
 * broker would hold it against our share of unacknowledged messages, and send it again.
 */
export interface FilterEvents {
  /** A PUBLISH was cut out. `ack` is the PUBACK to send, where one is due. */
  readonly onOversized: (topic: string, bytes: number, ack: Uint8Array | undefined) => void
}

const publishType = 3
/** Remaining length: at most four bytes of seven bits, the high bit says that more follow. */
const lengthBytesMax = 4
const puback = 0x40

type State =
  | { readonly kind: 'header'; readonly bytes: number[] }
  | { readonly kind: 'pass'; left: number }
  | { readonly kind: 'skip'; left: number; readonly flags: number; readonly length: number; head: Uint8Array }

export class PacketFilter {
  readonly #bytesMax: number
  readonly #events: FilterEvents
  #state: State = { kind: 'header', bytes: [] }

  /** `bytesMax` counts what follows the fixed header: topic, packet id, properties, payload. */
  constructor(bytesMax: number, events: FilterEvents) {
    this.#bytesMax = bytesMax
    this.#events = events
  }

  /** The bytes of `chunk` to hand on. Throws where no MQTT broker could have sent this. */
  accept(chunk: Uint8Array): Uint8Array[] {
    const passed: Uint8Array[] = []
    for (let at = 0; at < chunk.length; ) {
      if (this.#state.kind === 'header') {
        this.#readHeader(this.#state.bytes, chunk[at] ?? 0, passed)
        at += 1
        continue
      }
      const taken = chunk.subarray(at, at + this.#state.left)
      at += taken.length
      this.#state.left -= taken.length
      if (this.#state.kind === 'pass') passed.push(taken)
      else this.#state.head = extend(this.#state.head, taken)
      if (this.#state.left === 0) this.#endPacket()
    }
    return passed
  }

  #readHeader(bytes: number[], byte: number, passed: Uint8Array[]): void {
    bytes.push(byte)
    if (bytes.length === 1) return
    if (byte >= 0x80) {
      if (bytes.length > lengthBytesMax) throw new Error('malformed remaining length')
      return
    }
    const length = bytes.slice(1).reduce((sum, digit, place) => sum + (digit & 0x7f) * 128 ** place, 0)
    const type = (bytes[0] ?? 0) >> 4
    if (length > this.#bytesMax) {
      if (type !== publishType) throw new Error(`a packet of type ${type} with ${length} bytes`)
      this.#state = { kind: 'skip', left: length, flags: bytes[0] ?? 0, length, head: new Uint8Array() }
      return
    }
    passed.push(Uint8Array.from(bytes))
    this.#state = length === 0 ? { kind: 'header', bytes: [] } : { kind: 'pass', left: length }
  }

  #endPacket(): void {
    const ended = this.#state
    this.#state = { kind: 'header', bytes: [] }
    if (ended.kind !== 'skip') return
    const { head, flags, length } = ended
    const topicBytes = topicLength(head)
    const topic = new TextDecoder().decode(head.subarray(2, 2 + topicBytes))
    const qos = (flags >> 1) & 3
    // We ask for QoS 1 at most; a QoS 2 message cannot come.
    const id = head.subarray(2 + topicBytes, 4 + topicBytes)
    this.#events.onOversized(topic, length, qos === 1 ? Uint8Array.of(puback, 2, ...id) : undefined)
  }
}

function topicLength(head: Uint8Array): number {
  return head.length < 2 ? 0 : ((head[0] ?? 0) << 8) | (head[1] ?? 0)
}

/** Keeps of a packet only what is read of it: topic length, topic, packet id. */
function extend(head: Uint8Array, more: Uint8Array): Uint8Array {
  const wanted = 4 + (head.length < 2 ? 65_535 : topicLength(head))
  if (head.length >= wanted) return head
  return Buffer.concat([head, more.subarray(0, wanted - head.length)])
}
