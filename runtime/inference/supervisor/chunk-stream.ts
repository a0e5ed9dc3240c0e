/**
 * The answer to one request on its way to its one reader: chunks in, an async iterable out. Bounded: a reader that falls
 * too far behind loses the answer, not our memory.
 */
import { BoundedQueue } from '../../base/queue.ts'
import { type InferChunk, InferError } from '../../wire/infer.ts'

/** A minute of speech streams fewer partial texts. */
const chunksMax = 1024

export class ChunkStream implements AsyncIterable<InferChunk> {
  readonly #chunks = new BoundedQueue<InferChunk>(chunksMax)
  #error: InferError | undefined
  #ended = false
  #wake: () => void = () => {}

  push(chunk: InferChunk): void {
    if (this.#ended) return
    if (this.#chunks.push(chunk)) {
      this.#ended = chunk.final
      this.#wake()
    } else this.fail(new InferError('overloaded', `its reader fell ${chunksMax} chunks behind`))
  }

  /** What was not read yet is dropped: a failed answer is no answer. */
  fail(error: InferError): void {
    if (this.#ended) return
    this.#chunks.clear()
    this.#error = error
    this.#ended = true
    this.#wake()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<InferChunk, void, undefined> {
    for (;;) {
      const chunk = this.#chunks.shift()
      if (chunk) yield chunk
      else if (this.#error) throw this.#error
      else if (this.#ended) return
      else await this.#more()
    }
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }
}
