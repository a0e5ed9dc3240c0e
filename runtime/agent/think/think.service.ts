/** `think`: what an agent asks of a language model. */
import * as v from 'valibot'
import type { Clock } from '../../base/clock.ts'
import { CodedError } from '../../base/errors.ts'
import type { CallErrorCode, Json } from '../contract.ts'
import type { MemoryStore } from '../memory/memory-store.ts'
import { dueMsOf } from '../scheduler/urgency.ts'
import { type Caller, failed, type Outcome, type Performing, type Service, unshared } from '../service.ts'
import { checkedService } from '../services/checked-service.ts'
import type { Call } from '../turn.ts'
import type { Chat } from './chat.ts'
import { labelOfGoal } from './goal-label.ts'
import { schemaFault } from './json-schema.ts'
import { ThinkError } from './think-error.ts'
import { type Entry, type Journal, think } from './thought.ts'
import { type OutsideTools, type Tool, toolsOf } from './tools.ts'

export interface ThinkServiceDeps {
  readonly clock: Clock
  readonly chat: Chat
  readonly store: MemoryStore
  /** Absent: nobody offers any. */
  readonly outside?: OutsideTools | undefined
  /** Decides about and performs a call as the agent's own. Ids have a fraction: those of its own calls are whole. */
  readonly perform: (
    caller: Caller,
    call: Call & { readonly askedMs: number },
    resumed: boolean,
    signal: AbortSignal,
  ) => Promise<Outcome>
}

const withinMsMax = 3_600_000
const defaults = { tokens: 16_000, steps: 8, withinMs: 120_000 }
const limits = { tokens: 1_000_000, steps: 32, thoughts: 32 }
/** Tools that one message can ask for times steps, and some: each has an id between two whole numbers. */
const toolUsesMax = 1_024

const whole = (most: number) => v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(most))
const schema = v.object({
  goal: v.pipe(v.string(), v.minLength(1)),
  tools: v.optional(v.pipe(v.array(v.string()), v.maxLength(64)), []),
  schema: v.optional(v.custom<Json>(() => true)),
  // The gateway of this home, not a cloud.
  privacy: v.optional(v.picklist(['device', 'site', 'cloud']), 'site'),
  budget: v.optional(
    v.object({
      tokens: v.optional(whole(limits.tokens), defaults.tokens),
      steps: v.optional(whole(limits.steps), defaults.steps),
    }),
    {},
  ),
  deadlineMs: v.optional(v.pipe(v.number(), v.finite())),
})

export function thinkService(deps: ThinkServiceDeps): Service {
  let thoughts = 0
  return checkedService('think', schema, async (args, performing, signal) => {
    if (thoughts >= limits.thoughts)
      return failed('limit', `${thoughts} thoughts are under way on this device already`)
    thoughts += 1
    try {
      return await thinkOnce(deps, args, performing, signal)
    } finally {
      thoughts -= 1
    }
  })
}

async function thinkOnce(
  { clock, chat, store, perform, outside }: ThinkServiceDeps,
  args: v.InferOutput<typeof schema>,
  { caller, call, askedMs, sharing = unshared }: Performing,
  signal: AbortSignal,
): Promise<Outcome> {
  const named = toolsOf(args.tools)
  if (typeof named === 'string') return failed('bad-request', `think: tools: ${named}`)
  const wrong = args.schema === undefined ? undefined : schemaFault(args.schema)
  if (wrong !== undefined) return failed('bad-request', `think: schema: ${wrong}`)
  const { agent, priority = 'background' } = caller
  const writer = { agent, call: `${call.id}@${askedMs}` }
  const ended = store.thoughtEnd(writer)
  if (ended !== undefined) return ended as unknown as Outcome
  store.dropThoughts(agent, askedMs - withinMsMax)
  const { goal, schema: form, budget } = args
  const privacy = await labelOfGoal(store, agent, goal, args.privacy)
  const ownMs = args.deadlineMs ?? askedMs + defaults.withinMs
  const deadlineMs = Math.min(ownMs, askedMs + withinMsMax, dueMsOf(call))
  const { urgency } = call.args
  const outcome = await outcomeOf(async () => {
    const tools = [...named.tools, ...(await offered(outside, named.outside, signal))]
    return await think(
      {
        clock,
        chat,
        journal: journalOf(store, writer),
        sharing,
        use: ({ nth, op, args: given, askedMs: usedMs }, resumed, until) =>
          perform(
            caller,
            {
              ...{ id: call.id + nth / toolUsesMax, op, askedMs: usedMs },
              args: urgency === undefined ? given : { ...given, urgency },
            },
            resumed,
            until,
          ),
      },
      {
        ...{ goal, tools, schema: form, privacy, priority, deadlineMs },
        ...{ tokensMax: budget.tokens, stepsMax: budget.steps },
      },
      signal,
    )
  })
  store.endThought(writer, outcome as unknown as Json)
  await store.durable()
  return outcome
}

/** The model has all that the agent named, or is not asked. */
async function offered(
  outside: OutsideTools | undefined,
  patterns: readonly string[],
  signal: AbortSignal,
): Promise<readonly Tool[]> {
  if (patterns.length === 0) return []
  if (!outside) throw new ThinkError('unavailable', 'this device has no tool servers')
  try {
    return await outside.tools(patterns, signal)
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof CodedError) throw new ThinkError(error.code as CallErrorCode, error.message)
    throw error
  }
}

async function outcomeOf(work: () => ReturnType<typeof think>): Promise<Outcome> {
  try {
    const thought = await work()
    return { ok: true, value: thought as unknown as Json, privacy: thought.privacy }
  } catch (error) {
    if (error instanceof ThinkError) return failed(error.code, `think: ${error.message}`)
    throw error
  }
}

function journalOf(store: MemoryStore, writer: { readonly agent: string; readonly call: string }): Journal {
  return {
    read: () => store.thought(writer) as unknown as Entry[],
    async add(step, entry) {
      store.keepThought(writer, step, entry as unknown as Json)
      await store.durable()
    },
  }
}
