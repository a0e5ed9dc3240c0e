/** What the rest of the runtime knows of inference: one request in, a stream of chunks out. */

import type { InferChunk, InferRequest } from '../wire/infer.ts'

export { InferError } from '../wire/infer.ts'

export interface Inference {
  /**
   * Streams the answer; the last chunk is `final`. Aborting the signal, or leaving the loop early, cancels in the
   * engine. Throws InferError. `id` is chosen by the implementation.
   */
  infer(request: Omit<InferRequest, 'id'>, signal: AbortSignal): AsyncIterable<InferChunk>
}
