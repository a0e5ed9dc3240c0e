/**
 * What an HTTP request says about itself, whichever API it uses, in headers of ours: `ganglion-privacy` (`site`, `cloud`),
 * `ganglion-priority` (`control`, `interactive`, `background`), `ganglion-deadline-ms`. And who asks, and whether still.
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import * as v from 'valibot'
import type { Priority, Privacy } from '../../runtime/wire/infer.ts'
import { ApiError } from './api-error.ts'

const headers = v.object({
  'ganglion-privacy': v.optional(v.picklist(['site', 'cloud', 'device'], 'is not site or cloud')),
  'ganglion-priority': v.optional(
    v.picklist(['control', 'interactive', 'background'], 'is not control, interactive or background'),
  ),
  'ganglion-deadline-ms': v.optional(
    v.pipe(v.string(), v.regex(/^[1-9]\d{0,6}$/, 'is not a number of milliseconds'), v.transform(Number)),
  ),
})

export interface HttpCall {
  /** Each machine has its own share. */
  readonly caller: string
  /** Undefined: not said. */
  readonly privacy: Privacy | undefined
  readonly priority: Priority | undefined
  readonly deadlineMs: number | undefined
}

/** Throws ApiError `bad-request` that names the header. */
export function httpCall(request: FastifyRequest): HttpCall {
  const parsed = v.safeParse(headers, request.headers)
  if (!parsed.success) {
    const [issue] = parsed.issues
    throw new ApiError('bad-request', `header ${v.getDotPath(issue)}: ${issue.message}`)
  }
  return {
    caller: `http/${request.ip}`,
    privacy: parsed.output['ganglion-privacy'],
    priority: parsed.output['ganglion-priority'],
    deadlineMs: parsed.output['ganglion-deadline-ms'],
  }
}

/** Aborts when whoever asked has hung up. */
export function hungUp(reply: FastifyReply): AbortSignal {
  const controller = new AbortController()
  // It may have gone while its body was looked at.
  if (reply.raw.destroyed) controller.abort()
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) controller.abort()
  })
  return controller.signal
}
