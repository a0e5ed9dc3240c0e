/**
 * `command`: an entity is commanded, here or on another device of the site, and the call ends when telemetry shows the effect.
 *
 * Invariants: [services-4] the id of a command is that of the call, so that whoever has it already knows it as a repetition;
 * [services-5] a command that may have been sent before is looked for in telemetry first: shown it is done, not shown it is sent again
 * only where the kind says that is safe and it is still worth something, and is `uncertain` otherwise; [services-9] a command of what
 * somebody asked for is given only while they wait for it, and counts as theirs.
 */
import * as v from 'valibot'
import type { Clock } from '../../base/clock.ts'
import { type Actuation, actuationDefaults } from '../../things/actuation.ts'
import { commandOnce } from '../../things/once.ts'
import type { Things } from '../../things/things.ts'
import { jsonRecord } from '../../wire/messages.ts'
import { type CommandOnce, remoteCommandLimits } from '../../wire/remote-command.ts'
import { failed, type Outcome, type Performing, type Service } from '../service.ts'
import { cancelled, checkedService, inOneLine } from './checked-service.ts'
import { entityId } from './entity-reports.ts'
import { missingIn, notFound } from './read.service.ts'
import { deadline, leftOf } from './waiting.ts'

const isObject = (value: unknown) => typeof value === 'object' && value !== null

const record = v.pipe(v.custom<object>(isObject, 'must be an object such as { state: "on" }'), jsonRecord)
const afterMs = v.pipe(v.number(), v.minValue(1_000), v.maxValue(remoteCommandLimits.expiresMsMax))

const schema = v.object({
  entity: entityId,
  command: record,
  expires: v.optional(v.object({ afterMs, to: record })),
  request: v.optional(v.pipe(v.string(), v.maxLength(128))),
  lease: v.optional(v.object({ name: v.string(), token: v.number() })),
  deadlineMs: deadline,
})
type Args = v.InferOutput<typeof schema>

export interface CommandDeps {
  readonly clock: Clock
  readonly things: Things
  readonly actuation: Pick<Actuation, 'run' | 'recheck'>
  /** Whether an agent of this device holds a lease under this token. */
  readonly holds: (agent: string, lease: { readonly name: string; readonly token: number }) => boolean
  /** Gives the commands of what somebody has asked this agent for; undefined: nobody waits for it. */
  readonly askedFor?: (agent: string, request: string) => Pick<Actuation, 'run' | 'recheck'> | undefined
}

export function commandService(deps: CommandDeps): Service {
  const { clock, things } = deps
  const work = async (args: Args, performing: Performing, signal: AbortSignal) => {
    const { caller, call, resumed, askedMs } = performing
    // What waited for a person's yes is fresh when it comes; what waited for the power to come back is not.
    const untilMs = args.deadlineMs ?? askedMs + actuationDefaults.ttlMs
    const ttlMs =
      args.deadlineMs === undefined && !resumed ? actuationDefaults.ttlMs : leftOf(clock, untilMs, askedMs)
    const request = { args, ttlMs, performing, id: `${caller.agent}/${Math.floor(askedMs)}/${call.id}` }
    const result = await (things.elsewhere(args.entity)
      ? there(deps, request, signal)
      : here(deps, request, signal))
    return signal.aborted ? cancelled('command') : result
  }
  return checkedService('command', schema, work, missingIn(things))
}

interface Request {
  readonly args: Args
  readonly ttlMs: number
  readonly performing: Performing
  readonly id: string
}

/** Why it is not sent now under the lease that it names. */
const leaseRefusal = ({ holds }: CommandDeps, { args: { lease }, performing: { caller } }: Request) =>
  lease && !holds(caller.agent, lease) ? `${caller.agent} does not hold ${lease.name} any more` : undefined

const nobodyWaits = 'nobody waits any more for what was asked for'

async function here(deps: CommandDeps, request: Request, signal: AbortSignal): Promise<Outcome> {
  const { things, actuation } = deps
  const { args, performing, ttlMs, id } = request
  const { command, lease, expires, request: of } = args
  const { caller, resumed } = performing
  const wish = of === undefined ? actuation : deps.askedFor?.(caller.agent, of)
  const found = await things.find(args.entity, signal)
  if (!found.ok) return notFound(found)
  const asked = {
    // Of what nobody waits for any more it is looked for, and not asked for again.
    ...{ entity: things.ownId(args.entity), command, ttlMs: wish ? ttlMs : 0, id },
    ...{ principal: `agent:${caller.agent}`, token: caller.token, lineage: caller.lineage },
    ...(lease && { lease }),
    ...(expires && { expires }),
    // Also when it has waited behind others.
    refusal: () => (wish ? leaseRefusal(deps, request) : nobodyWaits),
  }
  const result = await commandOnce(wish ?? actuation, asked, { resumed }, signal)
  return outcomeOf(args.entity, result)
}

async function there(deps: CommandDeps, request: Request, signal: AbortSignal): Promise<Outcome> {
  const { args, performing, ttlMs, id } = request
  const { command, lease, expires } = args
  const { caller, resumed } = performing
  const { entity, device, remote } = deps.things.elsewhere(args.entity) ?? {}
  if (!remote || entity === undefined || device === undefined)
    return failed('unavailable', inOneLine(`${args.entity}: this device is of no site`))
  if (args.request !== undefined)
    return failed('bad-request', 'command: what is asked for is of things of this device')
  const refused = leaseRefusal(deps, request)
  if (refused !== undefined && !resumed) return failed('refused', refused)
  const asked = {
    ...{ device, entity, command, id, resumed, agent: caller.agent, token: caller.token },
    lineage: caller.lineage ?? '',
    ...(caller.priority && { priority: caller.priority }),
    ttlMs: Math.max(0, ttlMs),
    // Under a lease that is gone it is looked for, and not asked for again.
    isWorthIt: () => leaseRefusal(deps, request) === undefined,
    ...(lease && { lease }),
    ...(expires && { expires }),
  }
  return outcomeOf(args.entity, await remote.command(asked, signal))
}

function outcomeOf(entity: string, result: CommandOnce): Outcome {
  if (result.outcome !== 'done') return failed(result.outcome, inOneLine(result.reason))
  const { shown, unproven, already, ms } = result
  return {
    ok: true,
    value: { entity, shown, ms, ...(unproven ? { unproven } : {}), ...(already ? { already } : {}) },
  }
}
