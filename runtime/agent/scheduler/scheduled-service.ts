/**
 * A service whose calls take their turn: commands to an entity one after the other under its lock, models as many at a time as
 * there are slots, thoughts within the budget of tokens, what goes to the gateway and to other devices within theirs; each within
 * the agent's quotas, and counted. A call that has a deadline is due then; one without has what its class has (`Scheduler`).
 *
 * Invariants: [sched-13] two agents' commands to one entity are never under way together, and who is served next is the most
 * urgent; [sched-14] a call that may not be made now, or waited too long, is answered with why; [sched-16] who holds a lease that another
 * agent of this device waits for hurries.
 */
import type { Clock } from '../../base/clock.ts'
import { ownId } from '../../things/remote/ids.ts'
import type { Priority } from '../../wire/infer.ts'
import type { Accounts } from '../accounts/accounts.ts'
import type { Charge, Metered } from '../accounts/usage.ts'
import type { Json } from '../contract.ts'
import { failed, type Outcome, type Performing, type Service, type Sharing } from '../service.ts'
import { leftOf } from '../services/waiting.ts'
import type { CallOp } from '../turn.ts'
import { type Budgets, commands, engine, entityLock, thoughts } from './device-resources.ts'
import type { LeaseUrgency } from './lease-urgency.ts'
import { type Grant, type ResourceRequest, ScheduleError, type Scheduler } from './scheduler.ts'
import { atMost, wantedOf } from './urgency.ts'

export interface ScheduledDeps {
  readonly clock: Clock
  readonly scheduler: Scheduler
  readonly accounts: Accounts
  readonly priorityOf: (agent: string) => Priority
  /** This device. */
  readonly own: string
  /** What there is of each budget at most: more is never waited for. */
  readonly budgets: Budgets
  readonly leases: LeaseUrgency
}

interface Rule {
  /** Quotas that it must be within; `said`: other devices hear of it. */
  readonly within: (said: boolean) => readonly Metered[]
  /** What is held while the service works; absent: nothing. */
  readonly ask?: (
    scheduler: Scheduler,
    args: Args,
    request: ResourceRequest,
    signal: AbortSignal,
  ) => Promise<Grant>
  /** What it cost beside what the service says itself. `answer`: what came of it, as far as it came to an end. */
  readonly charge: (work: { args: Args; answer: Json | undefined; said: boolean }) => Charge
  /** Whether other devices hear of it. */
  readonly isSaid: (args: Args) => boolean
}

type Args = Performing['call']['args']
/** What is due later is due then: nobody waits so long for anything here. */
const dueInMsMax = 86_400_000
/** A topic, a signature, and what MQTT adds. */
const messageBytes = 400
const never = () => false
const isElsewhere = (id: Json | undefined) => typeof id === 'string' && id.includes('@')

const bytesOf = (value: unknown) => Buffer.byteLength(JSON.stringify(value) ?? '')

/** What goes to other devices, and is little work here. */
const said: Rule = {
  within: (out) => (out ? ['bytes'] : []),
  charge: ({ args, answer, said: out }) =>
    out ? { bytes: bytesOf(args) + bytesOf(answer) + messageBytes } : {},
  isSaid: () => true,
}

const rules: Partial<Readonly<Record<CallOp, Rule>>> = {
  command: { ...said, ask: askCommand, isSaid: ({ entity }) => isElsewhere(entity) },
  infer: {
    within: () => ['engineMs', 'bytes', 'joules'],
    ask: (scheduler, _args, request, signal) => scheduler.acquire(engine, request, signal),
    // How long it ran, and where it went, who asks the model says: what an agent waits for others is not its own.
    charge: () => ({}),
    isSaid: never,
  },
  think: {
    within: () => ['tokens', 'money', 'engineMs', 'bytes', 'joules'],
    ask: (scheduler, _args, request, signal) => scheduler.acquire(thoughts, request, signal),
    // What it spends it says itself, step by step.
    charge: () => ({}),
    isSaid: never,
  },
  tool: {
    within: () => ['bytes'],
    charge: ({ args, answer }) => ({ bytes: bytesOf(args) + bytesOf(answer) }),
    isSaid: never,
  },
  call: { ...said, isSaid: ({ agent }) => isElsewhere(agent) },
  'board.set': said,
  'board.delete': said,
  'decide.auction': said,
  'decide.contract-net': said,
  'decide.vote': said,
  'decide.agree': said,
  lease: said,
  release: said,
}

/** A command waits within its agent's limits first: what it holds then is the entity, and nobody's place. */
async function askCommand(
  scheduler: Scheduler,
  { entity }: Args,
  request: ResourceRequest,
  signal: AbortSignal,
): Promise<Grant> {
  const slot = await scheduler.acquire(commands, request, signal)
  try {
    const lock = await scheduler.lock(entityLock(`${entity}`), request, signal)
    const release = () => {
      lock.release()
      slot.release()
    }
    return { ...lock, release }
  } catch (error) {
    slot.release()
    throw error
  }
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
  rule: Rule,
  { clock, scheduler, accounts, priorityOf, own, budgets, leases }: ScheduledDeps,
  performing: Performing,
  signal: AbortSignal,
): Promise<Outcome> {
  const { agent } = performing.caller
  const { askedMs, call } = performing
  const { id, op } = call
  const { urgency: _, ...given } = call.args
  const { byMs, ...wanted } = wantedOf(clock, { args: call.args, askedMs })
  // What others lend it the scheduler adds, for as long as they lend it.
  const priority = atMost(priorityOf(agent), wanted.priority)
  const args = ownNamed(given, own)
  const isSaid = rule.isSaid(args)
  const within = rule.within(isSaid)
  const refused = await accounts.admit(agent, within, signal)
  if (refused !== undefined) return failed('limit', refused)
  // Each call waits and holds by itself: an agent's others go on.
  const request = (): ResourceRequest => ({
    ...{ agent, task: `${agent} #${id}`, priority },
    ...dueOf(clock, performing),
    ...(byMs === undefined ? {} : { byMs }),
  })
  let grant: Grant | undefined
  let begun = false
  let outcome: Outcome | undefined
  const draw: Sharing['draw'] = async (budget, amount, until) => {
    const most = Math.min(Math.max(1, Math.ceil(amount)), budgets[budget])
    const drawn = await scheduler.acquire(budget, { ...request(), amount: most }, until)
    return (used) => drawn.release(used)
  }
  try {
    grant = await rule.ask?.(scheduler, args, request(), signal)
    const bytes = bytesOf(args) + messageBytes
    if (isSaid) (await draw('radio', bytes, signal))(bytes)
    // What a thought has spent so far counts before its next step, and what others of the agent spent while it waited. It does not wait
    // for a quota here: it would keep its place from others.
    const boundary = async (until: AbortSignal) => {
      await grant?.pause(until)
      const spent = accounts.refusal(agent, within)
      if (spent !== undefined) throw new ScheduleError('full', spent)
    }
    const sharing: Sharing = { draw, boundary, spend: (charge) => accounts.add(agent, charge) }
    const caller = { ...performing.caller, priority: scheduler.priorityOf(agent, priority) }
    begun = true
    const work = () => service.perform({ ...performing, caller, sharing }, signal)
    const { name } = args
    outcome =
      op === 'lease' && typeof name === 'string' ? await leases.claimed(name, request(), work) : await work()
    if (op === 'release' && typeof name === 'string') leases.changed(name)
    return outcome
  } catch (error) {
    return asOutcome(error)
  } finally {
    const answer = outcome?.ok ? outcome.value : undefined
    // Also what was given up: it has been used.
    if (begun) accounts.add(agent, rule.charge({ args, answer, said: isSaid }))
    grant?.release()
  }
}

/** As the agent wrote it: the service has not checked it yet. */
function dueOf(clock: Clock, { call, askedMs }: Performing): Pick<ResourceRequest, 'dueInMs'> {
  const { deadlineMs } = call.args
  if (typeof deadlineMs !== 'number' || Number.isNaN(deadlineMs)) return {}
  return { dueInMs: Math.min(Math.max(0, leftOf(clock, deadlineMs, askedMs)), dueInMsMax) }
}

/** A thing or an agent of this device has one name, and so one lock, and no other device hears of it. */
function ownNamed(args: Args, own: string): Args {
  const { entity, agent } = args
  if (typeof entity === 'string') return { ...args, entity: ownId(entity, own) }
  return typeof agent === 'string' ? { ...args, agent: ownId(agent, own) } : args
}

function asOutcome(error: unknown): Outcome {
  if (!(error instanceof ScheduleError)) throw error
  return failed(error.code === 'full' ? 'limit' : 'unavailable', error.message)
}
