/**
 * Exit codes, the same for every command: part of the machine contract. A server that was ready and is asked to stop is
 * `done`; whatever else is stopped, a server's start included, is `interrupted`.
 */
import type { Outcome } from '../wire/messages.ts'

export const exitCodes = { done: 0, failed: 1, usage: 2, refusedOrQuestion: 3, interrupted: 130 } as const

export function exitCodeOf(outcome: Outcome): number {
  if (outcome === 'done') return exitCodes.done
  return outcome === 'failed' || outcome === 'uncertain' ? exitCodes.failed : exitCodes.refusedOrQuestion
}
