/**
 * A command that is carried out once at most, also where whoever asked does not know whether it was: it is looked for in telemetry
 * first. Shown it is done; not shown it is sent again only where the kind says that this is safe and it is still worth something, and is
 * `uncertain` otherwise. [services-5]
 */
import type { CommandReport } from '../wire/messages.ts'
import type { CommandOnce } from '../wire/remote-command.ts'
import { type Actuation, type ActuationRequest, shownBefore } from './actuation.ts'

export type OnceRequest = ActuationRequest & { readonly ttlMs: number }

/**
 * `resumed`: it may have been sent before, and is looked for also where it may not be sent now. Never throws for an operating error.
 */
export async function commandOnce(
  actuation: Pick<Actuation, 'run' | 'recheck'>,
  request: OnceRequest,
  { resumed }: { readonly resumed: boolean },
  signal: AbortSignal,
): Promise<CommandOnce> {
  const known = resumed ? await looked(actuation, request, signal) : undefined
  if (known) return known
  const reason = request.refusal?.()
  if (reason !== undefined) return { outcome: 'refused', reason }
  if (signal.aborted) return { outcome: 'failed', reason: 'nobody waits for it any more' }
  return resultOf(await actuation.run(request, signal))
}

/** How a command that may have been sent before ended; undefined: it is safe to send it again. */
async function looked(
  actuation: Pick<Actuation, 'recheck'>,
  request: OnceRequest,
  signal: AbortSignal,
): Promise<CommandOnce | undefined> {
  const { entity, ttlMs } = request
  const found = await actuation.recheck(request, signal)
  if (!found.ok) return { outcome: 'refused', reason: found.reason }
  const { shown, repeatable, expected, observed } = found
  if (shown) return { outcome: 'done', shown: expected, already: true, ms: 0 }
  if (repeatable && ttlMs > 0) return undefined
  const why = repeatable ? 'it is too late to ask again' : 'asking again could do it twice'
  const reason = `whether ${entity} was commanded is not known: telemetry shows ${observed}, not ${expected}; ${why}`
  return { outcome: 'uncertain', reason }
}

function resultOf({ outcome, evidence, latencyMs }: CommandReport): CommandOnce {
  const { expected, unproven, reason } = evidence
  if (outcome !== 'done')
    return { outcome, reason: reason ?? `it ${outcome === 'failed' ? 'failed' : 'was refused'}` }
  return {
    ...{ outcome, shown: unproven ? 'unproven' : expected, ms: latencyMs },
    ...(unproven ? { unproven } : {}),
    ...(reason === shownBefore ? { already: true } : {}),
  }
}
