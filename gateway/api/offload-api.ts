/**
 * What devices that have inference done here use of HTTP: the upload of a large request, the download of a large answer, each by a
 * ticket that was given over MQTT, and the name of the worker behind this address. A ticket is a secret itself: no token is asked for.
 */
import type { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { wireLimits } from '../../runtime/wire/limits.ts'
import { type OffloadTickets, TicketError, type TicketErrorCode } from '../offload/tickets.ts'
import { ApiError, type ApiErrorCode } from './api-error.ts'

export interface OffloadApiDeps {
  /** The worker's id. */
  readonly worker: string
  readonly tickets: OffloadTickets
}

const codes: Readonly<Record<TicketErrorCode, ApiErrorCode>> = {
  unknown: 'not-found',
  'too-large': 'too-large',
  busy: 'busy',
  malformed: 'bad-request',
}

export function addOffloadApi(app: FastifyInstance, { worker, tickets }: OffloadApiDeps): void {
  app.addContentTypeParser(
    'application/cbor',
    { bodyLimit: wireLimits.ticketBytesMax },
    (_request, payload, done) => done(null, payload),
  )
  app.get('/api/tickets/worker', () => ({ worker }))
  app.put('/api/tickets/:id', { bodyLimit: wireLimits.ticketBytesMax }, async (request, reply) => {
    if (Number(request.headers['content-length'] ?? 0) > wireLimits.ticketBytesMax)
      throw new ApiError('too-large', 'the request is too large')
    if (request.headers['content-type'] !== 'application/cbor')
      throw new ApiError('unsupported-media-type', 'send the request itself, as application/cbor')
    const body = request.body as Readable
    try {
      await tickets.receive(idOf(request), body)
    } catch (error) {
      // The rest of what is refused is not worth waiting for.
      reply.header('connection', 'close')
      throw asApiError(error)
    }
    return reply.code(202).send({ accepted: true })
  })
}

/** A large answer, for the device that was told its ticket. Throws ApiError `not-found`. */
export function sendAnswer(tickets: OffloadTickets, id: string, reply: FastifyReply): FastifyReply {
  try {
    const { body, onSent } = tickets.fetch(id)
    reply.raw.once('finish', onSent)
    return reply.type('application/cbor').header('cache-control', 'no-store').send(Buffer.from(body))
  } catch (error) {
    throw asApiError(error)
  }
}

const idOf = (request: FastifyRequest) => (request.params as { id: string }).id

function asApiError(error: unknown): unknown {
  return error instanceof TicketError
    ? new ApiError(codes[error.code], error.message, { cause: error })
    : error
}
