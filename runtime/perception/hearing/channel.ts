/** Hands items from one task to another, in order; the sender waits while `max` of them are on the way. */
import { BoundedQueue } from '../../base/queue.ts'

export class Channel<T> {
  readonly #items: BoundedQueue<T>
  #wakeReader = () => {}
  #wakeSender = () => {}
  #closed = false
  #error: unknown

  constructor(max: number) {
    this.#items = new BoundedQueue(max)
  }

  /** False when the channel was closed: the item was not taken. */
  async send(item: T): Promise<boolean> {
    while (!this.#closed && !this.#items.push(item))
      await new Promise<void>((resolve) => {
        this.#wakeSender = resolve
      })
    this.#wakeReader()
    return !this.#closed
  }

  /** No more items come. The reader gets those on the way, then the error if there is one. */
  close(error?: unknown): void {
    if (this.#closed) return
    this.#closed = true
    this.#error = error
    this.#wakeSender()
    this.#wakeReader()
  }

  async *read(): AsyncGenerator<T> {
    for (;;) {
      const item = this.#items.shift()
      if (item !== undefined) {
        this.#wakeSender()
        yield item
      } else if (this.#closed) {
        if (this.#error !== undefined) throw this.#error
        return
      } else {
        await new Promise<void>((resolve) => {
          this.#wakeReader = resolve
        })
      }
    }
  }
}
