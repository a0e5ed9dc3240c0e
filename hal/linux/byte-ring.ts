/** Bytes that wait for a reader: bounded; when it is full the oldest go and are counted. */

export class ByteRing {
  readonly #bytes: Uint8Array
  #start = 0
  #length = 0
  #dropped = 0

  constructor(capacity: number) {
    this.#bytes = new Uint8Array(capacity)
  }

  get length(): number {
    return this.#length
  }

  get dropped(): number {
    return this.#dropped
  }

  push(bytes: Uint8Array): void {
    const capacity = this.#bytes.byteLength
    const kept = bytes.subarray(Math.max(0, bytes.byteLength - capacity))
    const lost = Math.max(0, this.#length + bytes.byteLength - capacity)
    const lostHere = Math.min(lost, this.#length)
    this.#start = (this.#start + lostHere) % capacity
    this.#length -= lostHere
    this.#dropped += lost
    const end = (this.#start + this.#length) % capacity
    const before = kept.subarray(0, capacity - end)
    this.#bytes.set(before, end)
    this.#bytes.set(kept.subarray(before.byteLength), 0)
    this.#length += kept.byteLength
  }

  /** Up to `count` bytes, the oldest first. */
  take(count: number): Uint8Array {
    const taken = new Uint8Array(Math.min(count, this.#length))
    const before = this.#bytes.subarray(this.#start, this.#start + taken.byteLength)
    taken.set(before)
    taken.set(this.#bytes.subarray(0, taken.byteLength - before.byteLength), before.byteLength)
    this.#start = (this.#start + taken.byteLength) % this.#bytes.byteLength
    this.#length -= taken.byteLength
    return taken
  }
}
