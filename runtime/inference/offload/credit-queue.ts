/**
 * What waits to be sent to gateways, and what is sent and unanswered: no clock, no wires. A worker grants credits, requests and
 * bytes, that a device may have unanswered there; one more is never sent. What waits is ordered by class, then by deadline, and
 * all of it together, waiting or unanswered, is bounded: when it is full, the least of what waits makes room or the new one
 * is refused.
 */
import type { Priority } from '../../wire/infer.ts'
import type { Credits } from '../../wire/offload.ts'

export interface QueueItem {
  readonly priority: Priority
  /** On the wire, about. */
  readonly bytes: number
  /** Deadline on the caller's monotonic clock, milliseconds. */
  readonly dueMs: number
}

export interface QueueLimits {
  readonly requestsMax: number
  readonly bytesMax: number
}

export type Taken<T> =
  /** `shed` made room: they are out of the queue. */
  { readonly taken: true; readonly shed: readonly T[] } | { readonly taken: false }

interface Place<T> {
  credits: Credits
  readonly unanswered: Set<T>
  bytes: number
}

const ranks: Readonly<Record<Priority, number>> = { control: 0, interactive: 1, background: 2 }

export class CreditQueue<T extends QueueItem> {
  readonly #limits: QueueLimits
  /** In the order in which they will be sent. */
  readonly #waiting: T[] = []
  readonly #workers = new Map<string, Place<T>>()
  /** Where each item is: at a worker, or (undefined) waiting. */
  readonly #places = new Map<T, string | undefined>()
  #bytes = 0

  constructor(limits: QueueLimits) {
    this.#limits = limits
  }

  get size(): number {
    return this.#places.size
  }
  get bytes(): number {
    return this.#bytes
  }
  has(item: T): boolean {
    return this.#places.has(item)
  }
  get waiting(): readonly T[] {
    return this.#waiting
  }

  unanswered(worker: string): Credits {
    const place = this.#workers.get(worker)
    return { requests: place?.unanswered.size ?? 0, bytes: place?.bytes ?? 0 }
  }
  credits(worker: string): Credits {
    return this.#workers.get(worker)?.credits ?? { requests: 0, bytes: 0 }
  }

  /** Takes a new item, at the price of waiting ones of a lower class if need be: the last of the lowest first. */
  add(item: T): Taken<T> {
    const shed: T[] = []
    let { size } = this
    let bytes = this.#bytes
    const fits = () => size + 1 <= this.#limits.requestsMax && bytes + item.bytes <= this.#limits.bytesMax
    for (const last of this.#waiting.toReversed()) {
      if (fits() || ranks[last.priority] <= ranks[item.priority]) break
      shed.push(last)
      size -= 1
      bytes -= last.bytes
    }
    if (!fits()) return { taken: false }
    for (const one of shed) this.settle(one)
    this.#places.set(item, undefined)
    this.#bytes += item.bytes
    this.#insert(item)
    return { taken: true, shed }
  }

  /**
   * The next item that may be sent, and where to: counted as unanswered there from now on. `workers` names those that could
   * take an item, best first. What fits nowhere yet keeps its workers from later items: large ones are not passed for ever.
   */
  take(workers: (item: T) => readonly string[]): { readonly item: T; readonly worker: string } | undefined {
    const kept = new Set<string>()
    for (const [at, item] of this.#waiting.entries()) {
      const able = workers(item).filter((worker) => item.bytes <= this.credits(worker).bytes)
      const worker = able.find((one) => !kept.has(one) && this.#hasRoom(one, item))
      if (worker === undefined) {
        for (const one of able) kept.add(one)
        continue
      }
      this.#waiting.splice(at, 1)
      this.#place(item, worker)
      return { item, worker }
    }
    return undefined
  }

  /** The item is done with, wherever it was. */
  settle(item: T): void {
    if (!this.#places.has(item)) return
    this.#leave(item)
    this.#places.delete(item)
    this.#bytes -= item.bytes
  }

  /** The item was not answered where it was sent: it waits again, in its old order. */
  putBack(item: T): void {
    if (!this.#places.has(item)) return
    this.#leave(item)
    this.#places.set(item, undefined)
    this.#insert(item)
  }

  /** Fewer than what is unanswered stops sending until enough was answered. */
  grant(worker: string, credits: Credits): void {
    const place = this.#workers.get(worker)
    if (place) place.credits = credits
    else this.#workers.set(worker, { credits, unanswered: new Set(), bytes: 0 })
  }

  /** The worker is gone, with its credits. What was unanswered there is returned, and the caller's to settle or put back. */
  lose(worker: string): T[] {
    const lost = [...(this.#workers.get(worker)?.unanswered ?? [])]
    for (const item of lost) this.putBack(item)
    this.#workers.delete(worker)
    return lost
  }

  #hasRoom(worker: string, item: T): boolean {
    const place = this.#workers.get(worker)
    if (!place) return false
    const { requests, bytes } = place.credits
    return place.unanswered.size + 1 <= requests && place.bytes + item.bytes <= bytes
  }

  #place(item: T, worker: string): void {
    const place = this.#workers.get(worker) as Place<T>
    place.unanswered.add(item)
    place.bytes += item.bytes
    this.#places.set(item, worker)
  }

  #leave(item: T): void {
    const worker = this.#places.get(item)
    if (worker === undefined) {
      const at = this.#waiting.indexOf(item)
      if (at >= 0) this.#waiting.splice(at, 1)
      return
    }
    const place = this.#workers.get(worker)
    if (place?.unanswered.delete(item)) place.bytes -= item.bytes
  }

  /** Behind those of its class with the same deadline. */
  #insert(item: T): void {
    const before = (other: T) => ranks[item.priority] - ranks[other.priority] || item.dueMs - other.dueMs
    const at = this.#waiting.findIndex((other) => before(other) < 0)
    this.#waiting.splice(at < 0 ? this.#waiting.length : at, 0, item)
  }
}
