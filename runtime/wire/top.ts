/** Answer to the call `top`: agents now, what each uses and waits for, and how much there is of what they share. */
import * as v from 'valibot'
import { agentStates } from './agents.ts'

const name = v.pipe(v.string(), v.maxLength(64))
const word = v.pipe(v.string(), v.maxLength(128))
const amount = v.pipe(v.number(), v.finite())
/** Agents of one answer: the busiest. */
export const topAgentsMax = 100

export const topAgent = v.object({
  name,
  state: v.picklist(agentStates),
  priority: v.picklist(['control', 'interactive', 'background']),
  /** Share of one core, and turns a second, over about ten seconds. */
  cpuShare: amount,
  turnsPerS: amount,
  turns: amount,
  /** Of its machine after its last turn. */
  memoryBytes: amount,
  inMemory: v.boolean(),
  /** Since it was installed. Joules are an estimate. */
  used: v.object({
    cpuMs: amount,
    engineMs: amount,
    tokens: amount,
    bytes: amount,
    joules: amount,
    money: amount,
  }),
  /** Calls that it waits for, then what it waits for to get its turn, each once. */
  waits: v.pipe(v.array(word), v.maxLength(16)),
  /** Quotas that are used up. */
  over: v.pipe(v.array(word), v.maxLength(16)),
})
export type TopAgent = v.InferOutput<typeof topAgent>
/** What agents share: how much there is, who waits, and how those have fared who asked since the device started. */
const topResource = v.object({
  name: word,
  capacity: amount,
  used: amount,
  waiting: amount,
  /** Absent of a single lock: `locks` has it for all. */
  fared: v.exactOptional(v.object({ granted: amount, refused: amount, waitedMs: amount, longestMs: amount })),
})
/** Of one device, beside single locks. */
export const sharedMax = 16

/** What agents have used, as a device's own account of itself has it: of the same agents. */
export const agentAccounts = v.object({
  list: v.pipe(
    v.array(v.pick(topAgent, ['name', 'state', 'turns', 'memoryBytes', 'used'])),
    v.maxLength(topAgentsMax),
  ),
  /** Agents that did not fit. */
  more: amount,
  /** What they share, without single locks. */
  resources: v.exactOptional(v.pipe(v.array(topResource), v.maxLength(sharedMax))),
})

export const topResult = v.object({
  /** The busiest first. */
  agents: v.pipe(v.array(topAgent), v.maxLength(topAgentsMax)),
  /** Agents that did not fit. */
  more: amount,
  resources: v.pipe(v.array(topResource), v.maxLength(64)),
})
export type TopResult = v.InferOutput<typeof topResult>
