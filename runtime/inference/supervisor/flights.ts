/** The requests of one engine: those that it has, and those that wait to be handed to it, the most urgent first. */
import { PriorityQueue } from '../engine/priority-queue.ts'
import type { Flight } from './flight.ts'

export class Flights {
  readonly #all = new Map<string, Flight>()
  readonly #waiting: PriorityQueue<Flight>
  readonly #max: number

  constructor(max: number) {
    this.#max = max
    this.#waiting = new PriorityQueue(max)
  }

  get size(): number {
    return this.#all.size
  }

  get full(): boolean {
    return this.#all.size >= this.#max
  }

  /** As they are now: some may be removed meanwhile. */
  get list(): Flight[] {
    return [...this.#all.values()]
  }

  /** Those that the engine has. */
  get sent(): Flight[] {
    return this.list.filter(({ sent }) => sent)
  }

  get(id: string): Flight | undefined {
    return this.#all.get(id)
  }

  has({ id }: Flight): boolean {
    return this.#all.has(id)
  }

  /** Those of one model. */
  of(model: string): Flight[] {
    return this.list.filter(({ request }) => request.model === model)
  }

  /** There is room for it. */
  add(flight: Flight): void {
    this.#all.set(flight.id, flight)
    this.#waiting.push(flight)
  }

  /** Which goes to the engine next. */
  next(): Flight | undefined {
    return this.#waiting.peek()
  }

  hand(flight: Flight): void {
    this.#waiting.remove(flight)
    flight.sent = true
  }

  /** The engine that had it is gone: it waits for the next one, once. */
  again(flight: Flight): void {
    flight.retried = true
    flight.sent = false
    this.#waiting.push(flight)
  }

  remove(flight: Flight): void {
    this.#waiting.remove(flight)
    this.#all.delete(flight.id)
  }
}
