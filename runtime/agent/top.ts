/** What `ganglion top` shows: the agents, with what they use and wait for, and what they share. */
import type { Priority } from '../wire/infer.ts'
import { type TopAgent, type TopResult, topAgentsMax } from '../wire/top.ts'
import type { AgentUsage } from './accounts/accounts.ts'
import type { AgentStatus } from './agents.ts'
import type { ResourceLoad } from './scheduler/scheduler.ts'

export interface TopSources {
  readonly agents: readonly AgentStatus[]
  readonly usage: readonly AgentUsage[]
  readonly loads: readonly ResourceLoad[]
  readonly priorityOf: (agent: string) => Priority
  readonly waitsOf: (agent: string) => readonly string[]
}

/** Most of them are locks. */
const resourcesMax = 64
const waitsMax = 8

export function topOf({ agents, usage, loads, priorityOf, waitsOf }: TopSources): TopResult {
  const used = new Map(usage.map((one) => [one.agent, one]))
  const all = agents
    .map((agent) => viewOf(agent, used.get(agent.name), priorityOf(agent.name), waitsOf(agent.name)))
    .toSorted(busiestFirst)
  return {
    agents: all.slice(0, topAgentsMax),
    more: Math.max(0, all.length - topAgentsMax),
    resources: loads.slice(0, resourcesMax).map((load) => ({ ...load, name: load.name.slice(0, 128) })),
  }
}

function viewOf(
  { name, state, waiting, inMemory }: AgentStatus,
  usage: AgentUsage | undefined,
  priority: Priority,
  waits: readonly string[],
): TopAgent {
  const { cpuMs = 0, engineMs = 0, tokens = 0, bytes = 0, joules = 0, money = 0 } = usage?.used ?? {}
  // Those taken here: a copy or what moved away has taken none, and the sum over devices is what it took.
  const turns = usage?.turns ?? 0
  const running = state === 'running'
  const names = [...new Set([...waiting, ...waits])].map((what) => what.slice(0, 64))
  return {
    ...{ name, state, priority, turns, inMemory },
    cpuShare: running ? (usage?.cpuShare ?? 0) : 0,
    turnsPerS: running ? (usage?.turnsPerS ?? 0) : 0,
    memoryBytes: inMemory ? (usage?.memoryBytes ?? 0) : 0,
    used: { cpuMs, engineMs, tokens, bytes, joules, money },
    waits: running ? names.slice(0, waitsMax) : [],
    over: [...(usage?.over ?? [])],
  }
}

function busiestFirst(one: TopAgent, other: TopAgent): number {
  const running = Number(other.state === 'running') - Number(one.state === 'running')
  return running || other.cpuShare - one.cpuShare || (one.name < other.name ? -1 : 1)
}
