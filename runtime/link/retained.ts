/**
 * The latest value of every retained topic of this device, in memory. Values are coalesced: a topic that changed ten
 * times while the link was down or slow is published once. After each reconnect everything is published again, as the
 * broker may have lost it.
 */
import { LinkError } from './errors.ts'

export interface RetainedValue {
  readonly topic: string
  readonly payload: Uint8Array
}

interface Entry {
  payload: Uint8Array
  /** Counts the values, so that an acknowledgement of an older one is told from the latest's. */
  version: number
}

const nothing = new Uint8Array()

export class RetainedValues {
  readonly #topicsMax: number
  readonly #bytesMax: number
  /** In order of first use; availability comes first. */
  readonly #entries = new Map<string, Entry>()
  readonly #dirty = new Set<string>()
  #bytes = 0

  constructor(limits: { readonly topicsMax: number; readonly bytesMax: number }) {
    this.#topicsMax = limits.topicsMax
    this.#bytesMax = limits.bytesMax
  }

  get dirty(): number {
    return this.#dirty.size
  }

  /** Throws LinkError `too-large` when there would be too many topics or bytes in all. */
  set(topic: string, payload: Uint8Array): void {
    const entry = this.#entries.get(topic)
    const bytes = this.#bytes + payload.byteLength - (entry?.payload.byteLength ?? 0)
    if (bytes > this.#bytesMax || (!entry && this.#entries.size >= this.#topicsMax))
      throw new LinkError(
        'too-large',
        `no room to retain ${topic}: ${this.#entries.size} topics, ${this.#bytes} bytes are held`,
      )
    this.#bytes = bytes
    if (entry) {
      entry.payload = payload
      entry.version += 1
    } else this.#entries.set(topic, { payload, version: 0 })
    this.#dirty.add(topic)
  }

  /** An empty retained message deletes the broker's copy (MQTT 3.1.1, 3.3.1.3). Forgotten once acknowledged. */
  clear(topic: string): void {
    this.set(topic, nothing)
  }

  /** Forgets a value without a word to the broker, which keeps its copy. */
  forget(topic: string): void {
    const entry = this.#entries.get(topic)
    if (!entry) return
    this.#bytes -= entry.payload.byteLength
    this.#entries.delete(topic)
    this.#dirty.delete(topic)
  }

  markDirty(matches: (topic: string) => boolean): void {
    for (const topic of this.#entries.keys()) if (matches(topic)) this.#dirty.add(topic)
  }

  /** After a reconnect: everything, in the order of first use. */
  markAllDirty(): void {
    this.#dirty.clear()
    for (const topic of this.#entries.keys()) this.#dirty.add(topic)
  }

  /** The next value to publish, taken off the list, and what to call when the broker has it. */
  take(): { readonly value: RetainedValue; readonly acknowledged: () => void } | undefined {
    const [topic] = this.#dirty
    if (topic === undefined) return undefined
    this.#dirty.delete(topic)
    const entry = this.#entries.get(topic)
    if (!entry) return undefined
    const { version, payload } = entry
    const acknowledged = () => {
      if (payload.byteLength === 0 && entry.version === version && this.#entries.get(topic) === entry)
        this.#entries.delete(topic)
    }
    return { value: { topic, payload }, acknowledged }
  }
}
