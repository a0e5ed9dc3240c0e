/**
 * The agents' turns of the processor: as many at a time as there are threads, in the scheduler's order, of each agent no more
 * than its quota. An agent whose minute is used up waits for it to come back; the others notice nothing.
 */
import type { Priority } from '../../wire/infer.ts'
import type { Accounts } from '../accounts/accounts.ts'
import type { TurnCost } from '../turn.ts'
import { processor } from './device-resources.ts'
import type { ResourceRequest, Scheduler } from './scheduler.ts'
import { atMost, type Wanted } from './urgency.ts'

export interface AgentTurnsDeps {
  readonly scheduler: Scheduler
  readonly accounts: Accounts
  /** What the agent was granted to be. */
  readonly priorityOf: (agent: string) => Priority
}

/** Weight of the last turn in what the next one is expected to cost. */
const newest = 0.25
/** Agents whose cost is remembered: the one whose turn is longest ago goes. */
const costsMax = 1_024

export class AgentTurns {
  readonly #deps: AgentTurnsDeps
  /** What a turn of each agent costs, milliseconds. */
  readonly #costs = new Map<string, number>()

  constructor(deps: AgentTurnsDeps) {
    this.#deps = deps
  }

  /**
   * Settles when the agent may take a turn; call what it gives, once, when that is over. `brings`: how urgent what waits for that turn
   * is. Throws the signal's reason.
   */
  async turn(
    agent: string,
    signal: AbortSignal,
    brings: () => readonly Wanted[] = () => [],
  ): Promise<(cost: TurnCost) => void> {
    const { scheduler, accounts } = this.#deps
    await accounts.pace(agent, ['cpuMs', 'joules'], signal)
    const [first = {}, ...others] = brings()
    const request = this.#requestOf(agent, first)
    const { costMs } = request
    const granted = scheduler.acquire(processor, request, signal)
    for (const one of others) this.hasten(agent, one)
    const grant = await granted
    let over = false
    return (cost) => {
      if (over) return
      over = true
      grant.release()
      accounts.add(agent, cost, 1)
      this.#expect(agent, costMs + newest * (cost.cpuMs - costMs))
    }
  }

  /** One thing more waits for the turn that the agent waits for. */
  hasten(agent: string, wanted: Wanted): void {
    this.#deps.scheduler.hasten(this.#requestOf(agent, wanted))
  }

  #requestOf(agent: string, { priority, byMs }: Wanted): ResourceRequest & { readonly costMs: number } {
    const costMs = this.#costs.get(agent) ?? 0
    const held = atMost(this.#deps.priorityOf(agent), priority)
    return { agent, costMs, priority: held, ...(byMs === undefined ? {} : { byMs }) }
  }

  #expect(agent: string, costMs: number): void {
    this.#costs.delete(agent)
    this.#costs.set(agent, costMs)
    const [oldest] = this.#costs.keys()
    if (this.#costs.size > costsMax && oldest !== undefined) this.#costs.delete(oldest)
  }
}
