/**
 * What there is of everything that agents share on a device, and how much of it one of them may have, as its configuration says. Made
 * on a device without agents too: those of others command its things under the same locks.
 */
import type { Clock } from '../../base/clock.ts'
import type { LimitsConfig } from '../../config/agent-limits.ts'
import type { AgentsConfig } from '../../config/agents.ts'
import type { Budget } from '../service.ts'
import type { AgentLimits, ResourceOptions } from './resource.ts'
import { Scheduler } from './scheduler.ts'

export type ResourcesConfig = Pick<AgentsConfig, 'threads' | 'max' | 'budget' | 'limits' | 'byName'>
export type Budgets = Readonly<Record<Budget, number>>

/** Resources of the scheduler beside the budgets, by the names that `device.agents.limits` has for them too. */
export const processor = 'processor'
export const commands = 'commands'
export const engine = 'engine'
export const thoughts = 'thoughts'

/** The lock that a command to a thing of this device is given under, whoever gives it. */
export const entityLock = (entity: string) => `entity ${entity}`

type Limited = keyof LimitsConfig
/** What `device.agents.limits` does not say. One agent may have as many calls open as a machine allows; of them so many are under way. */
const unsaid: Readonly<Record<Limited, { readonly atOnce?: number; readonly waiting?: number }>> = {
  // An agent asks for one turn at a time.
  processor: {},
  commands: {},
  engine: { atOnce: 4, waiting: 256 },
  thoughts: { atOnce: 2, waiting: 64 },
  tokens: { waiting: 256 },
  gateway: { waiting: 256 },
  radio: { waiting: 256 },
}
const minuteMs = 60_000

export function schedulerOf(clock: Clock, config: ResourcesConfig): Scheduler {
  const { threads, max } = config
  const slots = (name: Limited, capacity: number, queueMax: number): ResourceOptions => ({
    ...{ name, capacity, queueMax },
    ...limitsOf(name, config),
  })
  const budgets = Object.entries(budgetsOf(config)) as [Budget, number][]
  return new Scheduler(clock, {
    resources: [
      slots(processor, threads, max),
      // As many as there are locks: commands wait for each other at these, here each for its agent's limit.
      slots(commands, 1_024, 1_024),
      slots(engine, 8, 1_024),
      slots(thoughts, 4, 256),
      ...budgets.map(([name, capacity]) => ({ ...slots(name, capacity, 1_024), refillMs: minuteMs })),
    ],
  })
}

export function budgetsOf({ budget }: Pick<ResourcesConfig, 'budget'>): Budgets {
  return {
    tokens: budget.tokensPerMinute,
    gateway: budget.gatewayBytesPerMinute,
    radio: budget.radioBytesPerMinute,
  }
}

/** Of one resource: what each agent may have of it, and those that have limits of their own. */
function limitsOf(
  name: Limited,
  { limits, byName }: ResourcesConfig,
): Pick<ResourceOptions, 'perAgent' | 'byName'> {
  const all = { ...unsaid[name], ...limits[name] }
  const own = Object.entries(byName).map(
    ([agent, one]) => [agent, agentLimits({ ...all, ...one.limits[name] })] as const,
  )
  return { perAgent: agentLimits(all), byName: new Map(own) }
}

function agentLimits({
  atOnce,
  waiting,
  perMinute,
}: {
  readonly atOnce?: number
  readonly waiting?: number
  readonly perMinute?: number
}): AgentLimits {
  return {
    ...(atOnce !== undefined && { heldMax: atOnce }),
    ...(waiting !== undefined && { waitingMax: waiting }),
    ...(perMinute !== undefined && { rate: { max: perMinute, perMs: minuteMs } }),
  }
}
