/**
 * `command`: an entity is commanded, and the call ends when telemetry shows the effect.
 *
 * Invariants: [services-4] the id of a command is that of the call, so that whoever has it already knows it as a repetition;
 * [services-5] a command that may have been sent before is looked for in telemetry first: shown it is done, not shown it is sent again
 * only where the kind says that is safe and it is still worth something, and is `uncertain` otherwise; [services-7] a command under a
 * lease that its agent does not hold any more is not sent.
 */
import * as v from 'valibot'
import type { Clock } from '../../base/clock.ts'
import {
  type Actuation,
  type ActuationRequest,
  actuationDefaults,
  shownBefore,
} from '../../things/actuation.ts'
import type { EntityRegistry } from '../../things/registry.ts'
import type { CommandReport } from '../../wire/messages.ts'
import { failed, type Outcome, type Service } from '../service.ts'
import { cancelled, checkedService, inOneLine } from './checked-service.ts'
import { entityId } from './entity-reports.ts'
import { noEntity } from './read.service.ts'
import { deadline, leftOf } from './waiting.ts'

const schema = v.object({
  entity: entityId,
  command: v.record(v.string(), v.unknown(), 'must be an object such as { state: "on" }'),
  lease: v.optional(v.object({ name: v.string(), token: v.number() })),
  deadlineMs: deadline,
})

export interface CommandDeps {
  readonly clock: Clock
  readonly registry: EntityRegistry
  readonly actuation: Actuation
  /** Whether an agent of this device holds a lease under this token. */
  readonly holds: (agent: string, lease: { readonly name: string; readonly token: number }) => boolean
}

export function commandService({ clock, registry, actuation, holds }: CommandDeps): Service {
  return checkedService('command', schema, async (args, performing, signal) => {
    const { entity, command, lease, deadlineMs } = args
    const { caller, call, resumed, askedMs } = performing
    if (!registry.get(entity)) return noEntity(entity)
    // What waited for a person's yes is fresh when it comes; what waited for the power to come back is not.
    const untilMs = deadlineMs ?? askedMs + actuationDefaults.ttlMs
    const ttlMs =
      deadlineMs === undefined && !resumed ? actuationDefaults.ttlMs : leftOf(clock, untilMs, askedMs)
    const request = {
      ...{ entity, command, ttlMs },
      principal: `agent:${caller.agent}`,
      token: caller.token,
      ...(lease && { lease }),
      id: `${caller.agent}/${Math.floor(askedMs)}/${call.id}`,
    } satisfies ActuationRequest
    const known = resumed ? await looked(actuation, request, signal) : undefined
    if (signal.aborted) return cancelled('command')
    if (known) return known
    if (lease && !holds(caller.agent, lease))
      return failed('refused', `${caller.agent} does not hold ${lease.name} any more`)
    const report = await actuation.run(request, signal)
    return signal.aborted ? cancelled('command') : outcomeOf(report)
  })
}

/** How a command that may have been sent before ended; undefined: it is safe to send it again. */
async function looked(
  actuation: Actuation,
  request: ActuationRequest & { readonly ttlMs: number },
  signal: AbortSignal,
): Promise<Outcome | undefined> {
  const { entity, ttlMs } = request
  const found = await actuation.recheck(request, signal)
  if (!found.ok) return failed('refused', inOneLine(found.reason))
  const { shown, repeatable, expected, observed } = found
  if (shown) return { ok: true, value: { entity, shown: expected, already: true, ms: 0 } }
  if (repeatable && ttlMs > 0) return undefined
  const why = repeatable ? 'it is too late to ask again' : 'asking again could do it twice'
  return failed(
    'uncertain',
    inOneLine(
      `whether ${entity} was commanded is not known: telemetry shows ${observed}, not ${expected}; ${why}`,
    ),
  )
}

function outcomeOf({ entity, outcome, evidence, latencyMs }: CommandReport): Outcome {
  const { expected, unproven, reason } = evidence
  if (outcome === 'refused') return failed('refused', inOneLine(reason ?? 'it was refused'))
  if (outcome === 'failed') return failed('failed', inOneLine(reason ?? 'it failed'))
  const done = { entity, shown: unproven ? 'unproven' : expected, ms: latencyMs }
  const more = { ...(unproven ? { unproven } : {}), ...(reason === shownBefore ? { already: true } : {}) }
  return { ok: true, value: { ...done, ...more } }
}
