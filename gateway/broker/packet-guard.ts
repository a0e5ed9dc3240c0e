/**
 * Reads only the fixed headers of a stream of MQTT packets (MQTT 3.1.1, section 2.2) and says when one announces more
 * than is allowed: before any of it is kept or parsed. Holds no payload.
 */

export type GuardVerdict = 'ok' | 'oversize' | 'malformed'

export class PacketGuard {
  readonly #bytesMax: number
  /** Bytes of the current packet's body still to come. */
  #bodyLeft = 0
  /** Bytes of the remaining-length field read so far; -1 while waiting for a packet's first byte. */
  #lengthBytes = -1
  #length = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** Looks at the next bytes of the stream. After anything but `ok` the connection must be closed. */
  push(chunk: Uint8Array): GuardVerdict {
    let at = 0
    while (at < chunk.byteLength) {
      if (this.#bodyLeft > 0) {
        const skip = Math.min(this.#bodyLeft, chunk.byteLength - at)
        this.#bodyLeft -= skip
        at += skip
        continue
      }
      const verdict = this.#header(chunk[at] as number)
      if (verdict !== 'ok') return verdict
      at += 1
    }
    return 'ok'
  }

  #header(byte: number): GuardVerdict {
    if (this.#lengthBytes < 0) {
      // Type 0 is reserved, 15 exists only in MQTT 5 (table 2.1).
      if (byte >> 4 === 0 || byte >> 4 === 15) return 'malformed'
      this.#lengthBytes = 0
      this.#length = 0
      return 'ok'
    }
    this.#length += (byte & 0x7f) * 128 ** this.#lengthBytes
    this.#lengthBytes += 1
    if (this.#length > this.#bytesMax) return 'oversize'
    const more = (byte & 0x80) !== 0
    if (more) return this.#lengthBytes >= 4 ? 'malformed' : 'ok'
    this.#bodyLeft = this.#length
    this.#lengthBytes = -1
    return 'ok'
  }
}
