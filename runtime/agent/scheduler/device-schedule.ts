/** What agents of a device share, as its configuration says: the scheduler, the accounts, and both put before turns and services. */
import type { Clock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import type { AgentsConfig } from '../../config/agents.ts'
import type { Priority } from '../../wire/infer.ts'
import { Accounts } from '../accounts/accounts.ts'
import type { Metered, Quota } from '../accounts/usage.ts'
import type { Service } from '../service.ts'
import { AgentTurns } from './agent-turns.ts'
import { budgetsOf } from './device-resources.ts'
import { LeaseUrgency } from './lease-urgency.ts'
import { scheduledService } from './scheduled-service.ts'
import type { Scheduler } from './scheduler.ts'

export interface DeviceSchedule extends AsyncDisposable {
  readonly accounts: Accounts
  readonly turns: AgentTurns
  /** The same services, each call of which takes its turn. */
  scheduled(services: readonly Service[]): readonly Service[]
}

export async function openSchedule(
  {
    clock,
    log,
    own,
    scheduler,
    priorityOf,
    leaseHolder,
  }: {
    readonly clock: Clock
    readonly log: Log
    /** This device. */
    readonly own: string
    /** The device's (`device-resources.ts`): also what others command here goes by it. */
    readonly scheduler: Scheduler
    readonly priorityOf: (agent: string) => Priority
    /** The agent of this device that holds a lease of the site now. */
    readonly leaseHolder: (lease: string) => string | undefined
  },
  config: { readonly directory: string } & Pick<AgentsConfig, 'quota' | 'byName' | 'budget'>,
  signal: AbortSignal,
): Promise<DeviceSchedule> {
  const { directory, quota, byName } = config
  const ownQuotas = Object.entries(byName).map(([agent, one]) => [agent, quotasOf(quota, one.quota)] as const)
  const accounts = await Accounts.open(
    { clock, log },
    { directory, quotas: quotasOf(quota), byName: new Map(ownQuotas) },
    signal,
  )
  const leases = new LeaseUrgency(scheduler, leaseHolder)
  const deps = { clock, scheduler, accounts, priorityOf, own, budgets: budgetsOf(config), leases }
  return {
    ...{ accounts, turns: new AgentTurns({ scheduler, accounts, priorityOf }) },
    scheduled: (services) => services.map((service) => scheduledService(service, deps)),
    [Symbol.asyncDispose]: () => accounts[Symbol.asyncDispose](),
  }
}

const minuteMs = 60_000
const dayMs = 86_400_000

type QuotaConfig = AgentsConfig['quota']
const kinds: readonly (readonly [keyof QuotaConfig, Metered, number, Quota['over']])[] = [
  ['cpuMsPerMinute', 'cpuMs', minuteMs, 'wait'],
  ['engineMsPerMinute', 'engineMs', minuteMs, 'wait'],
  ['tokensPerDay', 'tokens', dayMs, 'refuse'],
  ['bytesPerDay', 'bytes', dayMs, 'refuse'],
  ['joulesPerDay', 'joules', dayMs, 'refuse'],
  ['moneyPerDay', 'money', dayMs, 'refuse'],
]

/** What `one` does not say is as of all. */
function quotasOf(all: QuotaConfig, one: AgentsConfig['byName'][string]['quota'] = {}): Quota[] {
  return kinds.map(([key, what, perMs, over]) => ({ what, max: one[key] ?? all[key], perMs, over }))
}
