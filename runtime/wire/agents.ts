/**
 * The call `agent`: what a person asks of a device about its agents, and what it answers. What agents say of themselves, and what
 * they may do, is read where they are kept: here both are texts with a limit.
 */
import * as v from 'valibot'
import { approveParams } from './approvals.ts'
import { wireLimits } from './limits.ts'

const name = v.pipe(v.string(), v.minLength(1), v.maxLength(64))
const line = (most: number) => v.pipe(v.string(), v.maxLength(most))
const count = v.pipe(v.number(), v.integer(), v.minValue(0))
const ms = v.pipe(v.number(), v.finite())

/** Lines of a log that are asked for at once; agents of a list in one answer. */
export const agentLogLinesMax = 200
export const agentPageMax = 100
const grantsCharsMax = 64 * 1024

const bundle = v.pipe(v.string(), v.maxLength(wireLimits.bundleBytesMax))
/** JSON of what the agent may do, as `runtime/agent/permissions` reads it. */
export const agentGrants = line(grantsCharsMax)

/** `ask` says which; unknown fields are ignored, as everywhere. */
export const agentParams = v.variant('ask', [
  /** Agents by name, those after `after`. */
  v.looseObject({ ask: v.literal('list'), after: v.optional(name) }),
  /** Content of a bundle, or the gateway's ticket under which it is fetched where it is larger than a message. */
  v.looseObject({
    ask: v.literal('run'),
    bundle: v.optional(bundle),
    ticket: v.optional(v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{16,128}$/, 'is not a ticket'))),
    grants: agentGrants,
  }),
  v.looseObject({ ask: v.picklist(['stop', 'resume', 'remove']), name }),
  /** What waits for a person's yes; a person's answer. */
  v.looseObject({ ask: v.literal('approvals') }),
  v.looseObject({ ask: v.literal('approve'), ...approveParams }),
  /** The last lines of its log. */
  v.looseObject({
    ask: v.literal('logs'),
    name,
    lines: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(agentLogLinesMax)),
  }),
])
export type AgentAsk = v.InferOutput<typeof agentParams>

export const agentView = v.object({
  name,
  state: v.picklist(['running', 'stopped', 'ended', 'failed']),
  /** Why it does not run; what it returned where it has ended. */
  reason: v.optional(line(300)),
  /** Digest of its program. */
  program: line(64),
  token: count,
  turns: count,
  startedMs: ms,
  /** Calls that it waits for, by kind. */
  waiting: v.pipe(v.array(v.object({ op: line(32), count })), v.maxLength(64)),
  inMemory: v.boolean(),
})
export type AgentView = v.InferOutput<typeof agentView>

export const agentList = v.object({
  agents: v.pipe(v.array(agentView), v.maxLength(agentPageMax)),
  /** There are more: ask for those after the last. */
  more: v.boolean(),
})
export type AgentList = v.InferOutput<typeof agentList>

/** Answer to `run`, `stop`, `resume`, `remove`. */
export const agentDone = v.object({ name, program: v.optional(line(64)) })
export type AgentDone = v.InferOutput<typeof agentDone>

export const agentLogs = v.object({
  /** Oldest first. */
  lines: v.pipe(
    v.array(v.object({ atMs: ms, level: v.picklist(['info', 'error']), text: line(2_000) })),
    v.maxLength(agentLogLinesMax),
  ),
})
export type AgentLogs = v.InferOutput<typeof agentLogs>
