/** One request on one route: its first chunk as a promise, the others after it, and an end to it at any time. */
import { messageOf } from '../../base/errors.ts'
import { type InferChunk, InferError, type InferRequest } from '../../wire/infer.ts'
import type { Estimate } from './estimates.ts'
import type { Route, RouteOffer } from './route.ts'

/** A route that may take the request, with what it offered when that was decided. */
export interface UsableRoute {
  readonly route: Route
  readonly offer: RouteOffer
  readonly estimate: Estimate
}

export type FirstChunk =
  | { readonly attempt: Attempt; readonly chunk: InferChunk }
  | { readonly attempt: Attempt; readonly error: InferError }

export class Attempt {
  readonly on: UsableRoute
  readonly startMs: number
  /** Time that it was given, milliseconds. */
  readonly limitMs: number
  /** Never rejects. */
  readonly first: Promise<FirstChunk>
  readonly #chunks: AsyncIterator<InferChunk>
  readonly #stop = new AbortController()

  constructor(on: UsableRoute, request: Omit<InferRequest, 'id'>, startMs: number, signal: AbortSignal) {
    this.on = on
    this.startMs = startMs
    this.limitMs = request.deadlineMs
    const ended = AbortSignal.any([signal, this.#stop.signal])
    this.#chunks = on.route.infer(request, ended)[Symbol.asyncIterator]()
    this.first = this.next().then(
      (chunk) => ({ attempt: this, chunk }),
      (error: unknown) => ({ attempt: this, error: asInferError(error, on.route.id) }),
    )
  }

  /** The next chunk. Throws InferError, also where the answer ends without a last chunk. */
  async next(): Promise<InferChunk> {
    const { done, value } = await this.#chunks.next()
    if (done || value === undefined)
      throw new InferError('run', `${this.on.route.id} ended its answer without a last piece`, {
        retryable: true,
      })
    return value
  }

  /** It has answered; the route may clear up. */
  end(): void {
    // A route that is in the middle of something ends when it notices; nobody waits for that.
    this.#chunks.return?.(undefined)?.catch(() => {})
  }

  /** Nobody waits any more: cancels there too. Does nothing the second time. */
  abandon(): void {
    this.#stop.abort()
    this.end()
  }
}

function asInferError(error: unknown, route: string): InferError {
  if (error instanceof InferError) return error
  return new InferError('run', `${route}: ${messageOf(error)}`, { cause: error })
}
