/**
 * How agents of this device take part in contract nets: each that may decide about the subject and takes calls is called, from
 * `decide:<subject>`, with `{ ask: 'offer', subject, task }`, and answers what it would cost, a number from 0; any other answer is
 * no offer. The cheapest of them is this device's offer. Awarded, it is called with `{ ask: 'work', subject, task }`: its answer is the
 * report, or `{ failed: 'why' }`.
 */
import type { Clock } from '../../base/clock.ts'
import type { Json } from '../contract.ts'
import { parseGrants } from '../permissions/grant.ts'
import { covers } from '../permissions/pattern.ts'
import type { Service } from '../service.ts'
import type { CallOp } from '../turn.ts'
import type { Contractor } from './decisions.ts'

export interface ContractorAgent {
  readonly name: string
  /** JSON of what it may do. */
  readonly grants: string
  readonly state: string
  readonly waiting: readonly CallOp[]
}

export interface AgentContractorDeps {
  readonly clock: Clock
  readonly agents: () => readonly ContractorAgent[]
  /** Performs `call` between agents. */
  readonly calling: Service
}

/** Agents of one device that are asked about one task. */
const askedMax = 16
/** An agent has this long to answer, at most: more is no use, as the decision would be over. */
const workMsMax = 600_000

export function agentContractor(deps: AgentContractorDeps): Contractor {
  const ask = asking(deps)
  return {
    async offer(subject, task, withinMs, signal) {
      const asked = deps.agents().filter((agent) => mayBeAsked(agent, subject))
      const offers = await Promise.all(
        asked.slice(0, askedMax).map(async ({ name }) => {
          const cost = await ask(name, subject, { ask: 'offer', subject, task }, withinMs, signal)
          return { name, cost }
        }),
      )
      const [best] = offers.filter(isOffer).toSorted((a, b) => a.cost - b.cost)
      if (!best) return undefined
      const { name, cost } = best
      return {
        cost,
        async work(stop) {
          const report = await ask(name, subject, { ask: 'work', subject, task }, workMsMax, stop)
          if (report === undefined) throw new Error(`${name} did not answer`)
          if (isFailure(report)) throw new Error(`${name} says: ${report.failed}`)
          return report
        },
      }
    },
  }
}

/** Asks an agent; undefined where it gives no answer. */
function asking({ clock, calling }: AgentContractorDeps) {
  let calls = 0
  return async (agent: string, subject: string, message: Json, withinMs: number, signal: AbortSignal) => {
    calls += 1
    const askedMs = clock.nowMs()
    const args = { agent, message, deadlineMs: askedMs + withinMs }
    const performing = {
      caller: { agent: `decide:${subject}`, token: 0 },
      call: { id: calls, op: 'call', args },
      ...{ resumed: false, askedMs, emit: () => true },
    } as const
    const outcome = await calling.perform(performing, signal)
    return outcome.ok ? outcome.value : undefined
  }
}

function mayBeAsked({ state, waiting, grants }: ContractorAgent, subject: string): boolean {
  return state === 'running' && waiting.includes('calls') && mayDecide(grants, subject)
}

/** Whether these grants let an agent decide about a subject. */
export function mayDecide(grants: string, subject: string): boolean {
  return parseGrants(grants).some(
    ({ capability: { kind, pattern } }) => kind === 'decide' && covers(pattern, subject),
  )
}

function isOffer(offer: { name: string; cost: Json | undefined }): offer is { name: string; cost: number } {
  return typeof offer.cost === 'number' && offer.cost >= 0
}

function isFailure(report: Json): report is { readonly failed: string } {
  return (
    typeof report === 'object' &&
    report !== null &&
    'failed' in report &&
    typeof report.failed === 'string' &&
    Object.keys(report).length === 1
  )
}
