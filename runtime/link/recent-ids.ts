/** The last `max` ids seen: tells a redelivery (QoS 1 delivers at least once) from a new message. */
export class RecentIds {
  readonly #max: number
  readonly #ids = new Set<string>()

  constructor(max: number) {
    this.#max = max
  }

  /** True when `id` was not among them; it is now. */
  isNew(id: string): boolean {
    const known = this.#ids.delete(id)
    this.#ids.add(id)
    if (this.#ids.size > this.#max) {
      const [oldest] = this.#ids
      if (oldest !== undefined) this.#ids.delete(oldest)
    }
    return !known
  }
}
