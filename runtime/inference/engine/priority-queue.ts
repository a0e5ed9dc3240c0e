/** A bounded queue in three classes: the most urgent class first, the earliest deadline first within one, then first come. */
import { type Priority, priorities } from '../../wire/infer.ts'

export interface Queued {
  readonly priority: Priority
  /** On a clock that all items share. */
  readonly expiresAtMs: number
}

export class PriorityQueue<T extends Queued> {
  readonly #classes: Readonly<Record<Priority, T[]>> = { control: [], interactive: [], background: [] }
  readonly max: number

  constructor(max: number) {
    this.max = max
  }

  get size(): number {
    const { control, interactive, background } = this.#classes
    return control.length + interactive.length + background.length
  }

  /** False when the queue is full; the item was not taken. */
  push(item: T): boolean {
    if (this.size >= this.max) return false
    const items = this.#classes[item.priority]
    let at = items.length
    while (at > 0 && (items[at - 1] as T).expiresAtMs > item.expiresAtMs) at -= 1
    items.splice(at, 0, item)
    return true
  }

  /** What goes next; it stays in the queue. */
  peek(): T | undefined {
    const { control, interactive, background } = this.#classes
    return control[0] ?? interactive[0] ?? background[0]
  }

  remove(item: T): void {
    const items = this.#classes[item.priority]
    const at = items.indexOf(item)
    if (at >= 0) items.splice(at, 1)
  }

  /** Those of one class, in the order of service. */
  of(priority: Priority): readonly T[] {
    return this.#classes[priority]
  }

  /** In the order of service, as they are now: items may be removed meanwhile. */
  *[Symbol.iterator](): Generator<T, void, undefined> {
    yield* priorities.flatMap((priority) => this.#classes[priority])
  }
}
