/**
 * Bounds what all large request bodies hold in memory together: each takes its declared size, or the most it may have, before it
 * is read, and gives it back when its answer is done. Whoever finds no room is told to come again.
 */
import type { FastifyInstance } from 'fastify'
import { ApiError } from './api-error.ts'

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
      const bytes = Math.min(limit, declared === undefined ? limit : Number(declared))
      if (this.#bytes + bytes > this.#bytesMax)
        throw new ApiError('busy', 'too many large requests at once: try again in a moment')
      this.#bytes += bytes
      reply.raw.once('close', () => {
        this.#bytes -= bytes
      })
    })
  }
}
