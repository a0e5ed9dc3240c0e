/**
 * Bounds what all large request bodies, and what is made of them, hold in memory together: each takes its declared size, or the
 * most it may have, before it is read, and gives it back when its answer is done. Whoever finds no room is told to come again.
 */
import type { FastifyInstance, FastifyReply } from 'fastify'
import { ApiError } from './api-error.ts'

/** Room that a request holds until its answer is done. */
export interface Held {
  /** It turned out to need less. */
  shrink(toBytes: number): void
}

export class BodyBudget {
  readonly #bytesMax: number
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** For the routes of this scope, after access was checked. */
  guard(scope: FastifyInstance): void {
    scope.addHook('onRequest', async (request, reply) => {
      if (request.method !== 'POST') return
      const limit = request.routeOptions.bodyLimit
      const declared = request.headers['content-length']
      this.hold(reply, Math.min(limit, declared === undefined ? limit : Number(declared)))
    })
  }

  /** Also for what is made of a body. Throws ApiError `busy`. */
  hold(reply: FastifyReply, bytes: number): Held {
    if (this.#bytes + bytes > this.#bytesMax)
      throw new ApiError('busy', 'too many large requests at once: try again in a moment')
    let held = bytes
    this.#bytes += held
    const shrink = (toBytes: number) => {
      const less = Math.max(0, held - toBytes)
      this.#bytes -= less
      held -= less
    }
    reply.raw.once('close', () => shrink(0))
    return { shrink }
  }
}
