/** What agents of a device share, as its configuration says: the scheduler, the accounts, and both put before turns and services. */
import type { Clock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import type { AgentsConfig } from '../../config/agents.ts'
import type { Priority } from '../../wire/infer.ts'
import { Accounts } from '../accounts/accounts.ts'
import type { Quota } from '../accounts/usage.ts'
import type { Service } from '../service.ts'
import { AgentTurns, processor } from './agent-turns.ts'
import { type Budgets, engine, scheduledService, thoughts } from './scheduled-service.ts'
import { Scheduler } from './scheduler.ts'

export interface DeviceSchedule extends AsyncDisposable {
  readonly scheduler: Scheduler
  readonly accounts: Accounts
  readonly turns: AgentTurns
  /** The same services, each call of which takes its turn. */
  scheduled(services: readonly Service[]): readonly Service[]
}

/** One agent may have as many calls open as a machine allows; of them so many are under way. */
const perAgent = { heldMax: 4, waitingMax: 256 }

export async function openSchedule(
  {
    clock,
    log,
    own,
    priorityOf,
  }: {
    readonly clock: Clock
    readonly log: Log
    /** This device. */
    readonly own: string
    readonly priorityOf: (agent: string) => Priority
  },
  {
    directory,
    threads,
    max,
    quota,
    budget,
  }: { readonly directory: string } & Pick<AgentsConfig, 'threads' | 'max' | 'quota' | 'budget'>,
  signal: AbortSignal,
): Promise<DeviceSchedule> {
  const accounts = await Accounts.open({ clock, log }, { directory, quotas: quotasOf(quota) }, signal)
  const budgets: Budgets = {
    tokens: budget.tokensPerMinute,
    gateway: budget.gatewayBytesPerMinute,
    radio: budget.radioBytesPerMinute,
  }
  const scheduler = new Scheduler(clock, {
    resources: [
      // An agent asks for one turn at a time.
      { name: processor, capacity: threads, queueMax: max },
      { name: engine, capacity: 8, queueMax: 1_024, perAgent },
      { name: thoughts, capacity: 4, queueMax: 256, perAgent: { heldMax: 2, waitingMax: 64 } },
      ...Object.entries(budgets).map(([name, capacity]) => ({
        ...{ name, capacity, refillMs: minuteMs, queueMax: 1_024, perAgent: { waitingMax: 256 } },
      })),
    ],
  })
  const deps = { clock, scheduler, accounts, priorityOf, own, budgets }
  return {
    ...{ scheduler, accounts, turns: new AgentTurns({ scheduler, accounts, priorityOf }) },
    scheduled: (services) => services.map((service) => scheduledService(service, deps)),
    async [Symbol.asyncDispose]() {
      scheduler.close()
      await accounts[Symbol.asyncDispose]()
    },
  }
}

const minuteMs = 60_000
const dayMs = 86_400_000

function quotasOf(quota: AgentsConfig['quota']): Quota[] {
  const { cpuMsPerMinute, engineMsPerMinute, tokensPerDay, bytesPerDay, moneyPerDay } = quota
  return [
    { what: 'cpuMs', max: cpuMsPerMinute, perMs: minuteMs, over: 'wait' },
    { what: 'engineMs', max: engineMsPerMinute, perMs: minuteMs, over: 'wait' },
    { what: 'tokens', max: tokensPerDay, perMs: dayMs, over: 'refuse' },
    { what: 'bytes', max: bytesPerDay, perMs: dayMs, over: 'refuse' },
    { what: 'money', max: moneyPerDay, perMs: dayMs, over: 'refuse' },
  ]
}
