/**
 * The call `agent`: what a person asks of a device about its agents, and what it answers. What agents say of themselves, and what
 * they may do, is read where they are kept: here both are texts with a limit.
 */
import * as v from 'valibot'
import { approveParams } from './approvals.ts'
import { wireLimits } from './limits.ts'
import { personParams } from './person.ts'
import { deviceId } from './signed.ts'

const name = v.pipe(v.string(), v.minLength(1), v.maxLength(64))
const line = (most: number) => v.pipe(v.string(), v.maxLength(most))
const count = v.pipe(v.number(), v.integer(), v.minValue(0))
const ms = v.pipe(v.number(), v.finite())

/** Lines of a log that are asked for at once; agents of a list in one answer. */
export const agentLogLinesMax = 200
export const agentPageMax = 100
const grantsCharsMax = 64 * 1024
/** Of what an agent may do and what it asks for, together. */
export const agentMayLinesMax = 128

const bundle = v.pipe(v.string(), v.maxLength(wireLimits.bundleBytesMax))
/** JSON of what the agent may do, as `runtime/agent/permissions` reads it. */
export const agentGrants = line(grantsCharsMax)

/** A change of what an agent may do; what is not named stays. */
export const grantParams = {
  /** From now on this and nothing else. */
  set: v.optional(agentGrants),
  /** This too. Without limits: as the agent wants it. */
  allow: v.optional(agentGrants),
  /** Capabilities: all that these cover, no more. */
  deny: v.optional(v.pipe(v.array(line(200)), v.maxLength(64))),
  /** Also what the agent never asked for. Without it that is refused. */
  beyond: v.optional(v.boolean()),
}

/** `ask` says which; unknown fields are ignored, as everywhere. */
export const agentParams = v.variant('ask', [
  /** Agents by name, those after `after`. */
  v.looseObject({ ask: v.literal('list'), after: v.optional(name) }),
  /** Content of a bundle, or the gateway's ticket under which it is fetched where it is larger than a message. */
  v.looseObject({
    ask: v.literal('run'),
    bundle: v.optional(bundle),
    ticket: v.optional(v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{16,128}$/, 'is not a ticket'))),
    /** Absent: what the policy of the device allows without a person. */
    grants: v.optional(agentGrants),
    /** Keep what happens to it, so that it can be run once more; absent: as the device is configured. */
    record: v.optional(v.boolean()),
    ...personParams,
  }),
  v.looseObject({ ask: v.picklist(['stop', 'remove']), name, ...personParams }),
  /** `here`: although the other device of its move has not let go of it. */
  v.looseObject({ ask: v.literal('resume'), name, here: v.optional(v.boolean()), ...personParams }),
  /** Carries it to another device of the site. */
  v.looseObject({ ask: v.literal('move'), name, to: deviceId, ...personParams }),
  /** What it wants and what it may do; and a change of that, which holds at once, also for calls that wait. */
  v.looseObject({ ask: v.literal('grants'), name }),
  v.looseObject({ ask: v.literal('grant'), name, ...grantParams, ...personParams }),
  /** What waits for a person's yes; a person's answer. */
  v.looseObject({ ask: v.literal('approvals') }),
  v.looseObject({ ask: v.literal('approve'), ...approveParams }),
  /** Reads the device's policy anew: what it no longer allows is gone at once, also for calls that wait. */
  v.looseObject({ ask: v.literal('policy'), ...personParams }),
  /** Erases what agents remember about a person. */
  v.looseObject({ ask: v.literal('forget'), about: v.pipe(line(200), v.minLength(1)), ...personParams }),
  /** The last lines of its log. */
  v.looseObject({
    ask: v.literal('logs'),
    name,
    lines: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(agentLogLinesMax)),
  }),
])
export type AgentAsk = v.InferOutput<typeof agentParams>

/** `moving`, `moved`: on its way to another device; `arriving`: coming from one. */
export const agentStates = [
  'running',
  'stopped',
  'ended',
  'failed',
  'moving',
  'moved',
  'arriving',
  'standby',
] as const

export const agentView = v.object({
  name,
  state: v.picklist(agentStates),
  /** Why it does not run; what it returned where it has ended. */
  reason: v.optional(line(300)),
  /** What keeps one that is running from going on, or is wrong about it. */
  problem: v.optional(line(300)),
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

/** Of what makes an agent do less: why the audit log has no line of it yet. It was done all the same. */
const unrecorded = { unrecorded: v.optional(line(320)) }

/** Answer to `run`, `stop`, `resume`, `remove`. */
export const agentDone = v.object({
  name,
  program: v.optional(line(64)),
  /** Of `run`: what it may do. */
  grants: v.optional(agentGrants),
  /** Of `resume`: it began from its start, as its run had ended by an error. Absent, and `resume`: it goes on, or the device is older. */
  anew: v.optional(v.boolean()),
  ...unrecorded,
})
export type AgentDone = v.InferOutput<typeof agentDone>

/** Answer to `forget`: things that were remembered, and recorded runs, which went whole. */
export const agentForgot = v.object({ erased: count, runs: count })
export type AgentForgot = v.InferOutput<typeof agentForgot>

/** Answer to `policy`: how much the one that holds now allows and forbids, and how many agents it was held against. */
export const agentPolicy = v.object({
  ...{ allow: count, never: count, agents: count },
  priority: v.picklist(['control', 'interactive', 'background']),
})
export type AgentPolicy = v.InferOutput<typeof agentPolicy>

/** Answer to `grants` and to `grant`: JSON as grants are. */
export const agentMay = v.object({
  name,
  /** What its manifest asks for. */
  wants: agentGrants,
  /** What it may do now; `from: "policy"` where no person granted it. */
  grants: agentGrants,
  /** Both as a person reads them: what it may do, then what it asks for besides. Absent: the device is older. */
  lines: v.optional(
    v.pipe(
      v.array(
        v.object({
          /** As `deny` takes it. */
          capability: line(200),
          words: line(400),
          /** What `allow` takes: it wants this, and may not. Absent: it may do this. */
          allow: v.optional(line(8 * 1024)),
        }),
      ),
      v.maxLength(agentMayLinesMax),
    ),
  ),
  /** Who goes first: what it asks for, as far as it was granted. */
  priority: v.picklist(['control', 'interactive', 'background']),
  ...unrecorded,
})
export type AgentMay = v.InferOutput<typeof agentMay>

/** Answer to `move`. `pending`: the other device has it, and has not said yet that it goes on there. */
export const agentMoved = v.object({ name, device: deviceId, bytes: count, pending: v.boolean() })
export type AgentMoved = v.InferOutput<typeof agentMoved>

export const agentLogs = v.object({
  /** Oldest first. */
  lines: v.pipe(
    v.array(v.object({ atMs: ms, level: v.picklist(['info', 'error']), text: line(2_000) })),
    v.maxLength(agentLogLinesMax),
  ),
})
export type AgentLogs = v.InferOutput<typeof agentLogs>

/** What of a request somebody at the device signs (`localBytes`): all that decides what it does. `bundle`: of `run`, its text. */
export function signedParts(ask: AgentAsk, bundle = ''): readonly string[] {
  if (ask.ask === 'run')
    return [ask.ask, bundle, given(ask.grants), ...(ask.record === undefined ? [] : [String(ask.record)])]
  if (ask.ask === 'approve') return [ask.ask, ask.approval, ask.answer]
  if (ask.ask === 'grant') {
    const { name: agent, set, allow, deny = [], beyond = false } = ask
    return [ask.ask, agent, given(set), given(allow), String(beyond), ...deny]
  }
  if (ask.ask === 'move') return [ask.ask, ask.name, ask.to]
  if (ask.ask === 'forget') return [ask.ask, ask.about]
  if (ask.ask === 'resume' && ask.here) return [ask.ask, ask.name, 'here']
  return 'name' in ask ? [ask.ask, String(ask.name)] : [ask.ask]
}

/** Absent is not empty: one leaves what an agent may do, or to the policy; the other takes it all. */
const given = (text: string | undefined) => (text === undefined ? '' : `=${text}`)
