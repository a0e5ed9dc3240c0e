/**
 * Agents that others wait for beside locks: who waits for what another one holds lends it its urgency, as a whole and along chains, for as
 * long as it waits. Waiting in a circle ends at a deadline; here it ends the look.
 */
import type { Cancel } from '../../base/clock.ts'
import type { Queued } from '../../inference/engine/priority-queue.ts'
import { isSooner } from './resource.ts'

interface Lender {
  readonly agent: string
  readonly urgency: Queued
}

export class Lending {
  readonly #lenders = new Map<string, Set<Lender>>()

  /** Idempotent when it is taken back. */
  lend(lender: Lender, to: string): Cancel {
    const lenders = this.#lenders.get(to) ?? new Set()
    this.#lenders.set(to, lenders.add(lender))
    return () => {
      lenders.delete(lender)
      if (lenders.size === 0 && this.#lenders.get(to) === lenders) this.#lenders.delete(to)
    }
  }

  /** The most urgent of what was lent to an agent, by those too that lent to its lenders. */
  mostOf(agent: string, seen = new Set<string>()): Queued | undefined {
    if (seen.has(agent)) return undefined
    seen.add(agent)
    let most: Queued | undefined
    for (const lender of this.#lenders.get(agent) ?? [])
      for (const one of [lender.urgency, this.mostOf(lender.agent, seen)])
        if (one && !(most && !isSooner(one, most))) most = one
    return most
  }

  /** The agent, and all that have what is lent to it. */
  reached(agent: string, seen = new Set<string>()): Set<string> {
    if (seen.has(agent)) return seen
    seen.add(agent)
    for (const [to, lenders] of this.#lenders)
      if ([...lenders].some((lender) => lender.agent === agent)) this.reached(to, seen)
    return seen
  }
}
