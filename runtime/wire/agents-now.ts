/**
 * What a device tells of its agents, retained on `<base>/<device>/agents`: the last of it is known also when the device is gone.
 * Bounded: a device with more agents, or longer grants, tells as much as fits and says how much it left out.
 */
import * as v from 'valibot'
import { agentPageMax, agentView } from './agents.ts'
import { approval, approvalsMax } from './approvals.ts'

const count = v.pipe(v.number(), v.integer(), v.minValue(0))

export const agentsNowLimits = {
  agentsMax: agentPageMax,
  /** Lines of what one agent may do; characters of each. */
  grantsMax: 24,
  grantCharsMax: 240,
  /** The whole message. */
  bytesMax: 64 * 1024,
} as const

const line = (most: number) => v.pipe(v.string(), v.maxLength(most))

export const agentNow = v.object({
  /** `reason` is why it does not run, in words of ours; never what it threw or returned. */
  ...agentView.entries,
  /** What a person lets it do, in plain words, each following "may". */
  grants: v.pipe(v.array(line(agentsNowLimits.grantCharsMax)), v.maxLength(agentsNowLimits.grantsMax)),
  /** Grants that are not among them. */
  moreGrants: count,
})
export type AgentNow = v.InferOutput<typeof agentNow>

export const agentsNow = v.object({
  v: v.literal(1),
  /** When it was told, by the device's clock. */
  ts: v.pipe(v.number(), v.finite()),
  /** By name. */
  agents: v.pipe(v.array(agentNow), v.maxLength(agentsNowLimits.agentsMax)),
  /** Agents that are not among them. */
  more: count,
  /** What waits for a person's yes, oldest first. */
  approvals: v.pipe(v.array(approval), v.maxLength(approvalsMax)),
})
export type AgentsNow = v.InferOutput<typeof agentsNow>
