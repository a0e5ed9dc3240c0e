/** A bounded queue in three classes: the most urgent class first, first come first served within one. */
import type { Priority } from '../../wire/infer.ts'

export class PriorityQueue<T extends { readonly priority: Priority }> {
  readonly #classes: Readonly<Record<Priority, Set<T>>> = {
    control: new Set(),
    interactive: new Set(),
    background: new Set(),
  }
  readonly max: number

  constructor(max: number) {
    this.max = max
  }

  get size(): number {
    const { control, interactive, background } = this.#classes
    return control.size + interactive.size + background.size
  }

  /** False when the queue is full; the item was not taken. */
  push(item: T): boolean {
    if (this.size >= this.max) return false
    this.#classes[item.priority].add(item)
    return true
  }

  /** What goes next; it stays in the queue. */
  peek(): T | undefined {
    for (const item of this) return item
    return undefined
  }

  remove(item: T): void {
    this.#classes[item.priority].delete(item)
  }

  /** In the order of service. Items may be removed meanwhile. */
  *[Symbol.iterator](): Generator<T, void, undefined> {
    yield* this.#classes.control
    yield* this.#classes.interactive
    yield* this.#classes.background
  }
}
