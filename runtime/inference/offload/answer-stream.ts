/**
 * The answer from a gateway on its way to its one reader. Bounded in chunks and bytes: a reader that falls behind loses the
 * answer, not our memory. As long as nothing was read the answer can start over, and the reader never knows.
 */
import { BoundedQueue } from '../../base/queue.ts'
import { type InferChunk, InferError } from '../../wire/infer.ts'
import { wireLimits } from '../../wire/limits.ts'
import { tensorBytes } from '../../wire/offload.ts'

/** A minute of speech streams fewer partial texts. */
const chunksMax = 1024
/** One answer of the largest size. */
const bytesMax = wireLimits.ticketBytesMax

export class AnswerStream implements AsyncIterable<InferChunk> {
  readonly #chunks = new BoundedQueue<InferChunk>(chunksMax)
  #bytes = 0
  #error: InferError | undefined
  #ended = false
  #read = false
  #wake: () => void = () => {}

  /** True once it has its end: nothing more is taken. */
  get ended(): boolean {
    return this.#ended
  }

  /** False when the reader is too far behind; the answer has failed then. */
  push(chunk: InferChunk): boolean {
    if (this.#ended) return false
    const bytes = tensorBytes(chunk.outputs)
    if (this.#bytes + bytes > bytesMax || !this.#chunks.push(chunk)) {
      this.fail(new InferError('overloaded', `its reader fell ${this.#chunks.size} chunks behind`))
      return false
    }
    this.#bytes += bytes
    this.#ended = chunk.final
    this.#wake()
    return true
  }

  /** What was not read yet is dropped: a failed answer is no answer. */
  fail(error: InferError): void {
    if (this.#ended) return
    this.#drop()
    this.#error = error
    this.#ended = true
    this.#wake()
  }

  /** Forgets what came so far. False when some of it was read already: then it cannot start over. */
  startOver(): boolean {
    if (this.#read || this.#ended) return false
    this.#drop()
    return true
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<InferChunk, void, undefined> {
    for (;;) {
      const chunk = this.#chunks.shift()
      if (chunk) {
        this.#bytes -= tensorBytes(chunk.outputs)
        this.#read = true
        yield chunk
      } else if (this.#error) throw this.#error
      else if (this.#ended) return
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
    }
  }

  #drop(): void {
    this.#chunks.clear()
    this.#bytes = 0
  }
}
