/**
 * A service whose calls take their turn: commands to an entity one after the other under its lock, models as many at a time as
 * there are slots, thoughts within the budget of tokens; each within the agent's quotas, and counted.
 *
 * Invariants: [sched-13] two agents' commands to one entity are never under way together, and who is served next is the most
 * urgent; [sched-14] a call that may not be made now, or waited too long, is answered with why.
 */
import type { Priority } from '../../wire/infer.ts'
import type { Accounts } from '../accounts/accounts.ts'
import type { Charge, Metered } from '../accounts/usage.ts'
import type { Json } from '../contract.ts'
import { failed, type Outcome, type Performing, type Service } from '../service.ts'
import type { CallOp } from '../turn.ts'
import { type Grant, type ResourceRequest, ScheduleError, type Scheduler } from './scheduler.ts'

export interface ScheduledDeps {
  readonly scheduler: Scheduler
  readonly accounts: Accounts
  readonly priorityOf: (agent: string) => Priority
  readonly monotonicMs: () => number
}

/** Resources of the scheduler beside the processor. */
export const engine = 'engine'
export const thoughts = 'thoughts'

interface Rule {
  readonly within: readonly Metered[]
  readonly ask: (
    scheduler: Scheduler,
    args: Performing['call']['args'],
    request: ResourceRequest,
    signal: AbortSignal,
  ) => Promise<Grant>
  readonly charge: (outcome: Outcome, tookMs: number, args: Performing['call']['args']) => Charge
}

const bytesOf = (value: unknown) => Buffer.byteLength(JSON.stringify(value) ?? '')
const tokensOf = (outcome: Outcome) => {
  const tokens = outcome.ok ? (outcome.value as { readonly tokens?: Json } | null | undefined)?.tokens : 0
  return typeof tokens === 'number' && tokens > 0 ? tokens : 0
}

const rules: Partial<Readonly<Record<CallOp, Rule>>> = {
  command: {
    within: ['bytes'],
    ask: (scheduler, { entity }, request, signal) => scheduler.lock(`entity ${entity}`, request, signal),
    charge: (_outcome, _tookMs, args) => ({ bytes: bytesOf(args) }),
  },
  infer: {
    within: ['engineMs', 'bytes'],
    ask: (scheduler, _args, request, signal) => scheduler.acquire(engine, request, signal),
    // Its queue included: what an agent holds of the engine is the slot.
    charge: (_outcome, tookMs, args) => ({ engineMs: tookMs, bytes: bytesOf(args) }),
  },
  think: {
    within: ['tokens', 'money'],
    ask: (scheduler, _args, request, signal) => scheduler.acquire(thoughts, request, signal),
    charge: (outcome) => ({ tokens: tokensOf(outcome) }),
  },
}

export function scheduledService(service: Service, deps: ScheduledDeps): Service {
  if (!service.ops.some((op) => rules[op])) return service
  return {
    ops: service.ops,
    perform: (performing, signal) => {
      const rule = rules[performing.call.op]
      return rule ? perform(service, rule, deps, performing, signal) : service.perform(performing, signal)
    },
  }
}

async function perform(
  service: Service,
  { within, ask, charge }: Rule,
  { scheduler, accounts, priorityOf, monotonicMs }: ScheduledDeps,
  performing: Performing,
  signal: AbortSignal,
): Promise<Outcome> {
  const { agent } = performing.caller
  const priority = priorityOf(agent)
  const { id, args } = performing.call
  const refused = await accounts.admit(agent, within, signal)
  if (refused !== undefined) return failed('limit', refused)
  // Each call waits and holds by itself: an agent's others go on.
  const request = { agent, task: `${agent} #${id}`, priority }
  const grant = await ask(scheduler, args, request, signal).catch(asOutcome)
  if ('ok' in grant) return grant
  const startMs = monotonicMs()
  try {
    const caller = { ...performing.caller, priority }
    const outcome = await service.perform({ ...performing, caller }, signal)
    accounts.add(agent, charge(outcome, monotonicMs() - startMs, args))
    return outcome
  } finally {
    grant.release()
  }
}

function asOutcome(error: unknown): Outcome {
  if (!(error instanceof ScheduleError)) throw error
  return failed(error.code === 'full' ? 'limit' : 'unavailable', error.message)
}
