/** A first-in first-out queue with a maximum: `push` says no instead of growing. */
export class BoundedQueue<T> {
  #items: T[] = []
  #head = 0
  readonly max: number

  constructor(max: number) {
    if (!(max > 0)) throw new Error(`a queue needs a maximum above 0, not ${max}`)
    this.max = max
  }

  get size(): number {
    return this.#items.length - this.#head
  }

  /** False when the queue is full; the item was not taken. */
  push(item: T): boolean {
    if (this.size >= this.max) return false
    this.#items.push(item)
    return true
  }

  shift(): T | undefined {
    if (this.size === 0) return undefined
    const item = this.#items[this.#head]
    this.#items[this.#head] = undefined as T
    this.#head += 1
    if (this.#head > 64 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head)
      this.#head = 0
    }
    return item
  }

  clear(): void {
    this.#items = []
    this.#head = 0
  }
}
