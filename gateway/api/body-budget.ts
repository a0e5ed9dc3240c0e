/**
 * Bounds what all large request bodies, and what is made of them, hold in memory together: each takes its declared size, or the
 * most it may have, before it is read, and gives it back when its answer is done. Whoever finds no room is told to come again.
 * One client takes a part of the room only, and a body that comes too slowly to be done in time, or not at all, is not waited for.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Cancel, Clock } from '../../runtime/base/clock.ts'
import { ApiError } from './api-error.ts'

/** Room that a request holds until its answer is done. */
export interface Held {
  /** It turned out to need less. */
  shrink(toBytes: number): void
}

export interface BodyBudgetOptions {
  readonly clock: Clock
  readonly bytesMax: number
  /** For one address; a single request may take more where it is alone. */
  readonly clientBytesMax: number
  /** For a whole body to arrive. */
  readonly bodyMs: number
}

const lookMs = 5_000
/** Until a body must have begun: a radio link may be away for as long. */
const graceMs = 10_000
/** May have come along with the head, uncounted. */
const slackBytes = 64 * 1024

export class BodyBudget {
  readonly #options: BodyBudgetOptions
  readonly #clients = new Map<string, number>()
  #bytes = 0

  constructor(options: BodyBudgetOptions) {
    this.#options = options
  }

  /** For the routes of this scope, after access was checked. */
  guard(scope: FastifyInstance): void {
    scope.addHook('onRequest', async (request, reply) => {
      if (request.method !== 'POST') return
      const limit = request.routeOptions.bodyLimit
      const declared = request.headers['content-length']
      const bytes = Math.min(limit, declared === undefined ? limit : Number(declared))
      this.hold(reply, bytes)
      // How much comes in chunks nobody knows: of that it is only asked that it moves.
      this.#watch(request, reply, declared === undefined ? undefined : bytes)
    })
  }

  /** Also for what is made of a body. Throws ApiError `busy`. */
  hold(reply: FastifyReply, bytes: number): Held {
    const { bytesMax, clientBytesMax } = this.#options
    const client = reply.request.ip
    const has = this.#clients.get(client) ?? 0
    if (this.#bytes + bytes > bytesMax || (has > 0 && has + bytes > clientBytesMax))
      throw new ApiError('busy', 'too many large requests at once: try again in a moment')
    let held = 0
    const take = (toBytes: number) => {
      const more = toBytes - held
      held = toBytes
      this.#bytes += more
      const now = (this.#clients.get(client) ?? 0) + more
      if (now > 0) this.#clients.set(client, now)
      else this.#clients.delete(client)
    }
    take(bytes)
    const shrink = (toBytes: number) => take(Math.min(held, toBytes))
    reply.raw.once('close', () => shrink(0))
    return { shrink }
  }

  /** Hangs up on a body that falls behind the pace at which `bytes` would be whole in time; or of which nothing comes. */
  #watch({ raw }: FastifyRequest, reply: FastifyReply, bytes: number | undefined): void {
    const { clock, bodyMs } = this.#options
    const { socket } = raw
    const before = socket.bytesRead
    // Looks are counted, not time: what arrived while this process stood still was read by none of them.
    let lateMs = -graceMs
    let seen = before
    let cancel: Cancel = () => {}
    const look = () => {
      if (raw.complete) return
      // Each time that something came of it, it has as long again as it had to begin.
      if (bytes === undefined && socket.bytesRead > seen) lateMs = -graceMs
      lateMs += lookMs
      seen = socket.bytesRead
      const isBehind =
        bytes === undefined ? lateMs > 0 : seen - before + slackBytes < (bytes * lateMs) / bodyMs
      if (isBehind) {
        socket.end('HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n')
        socket.destroySoon()
      } else cancel = clock.after(lookMs, look)
    }
    cancel = clock.after(lookMs, look)
    reply.raw.once('close', () => cancel())
  }
}
