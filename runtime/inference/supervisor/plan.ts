/**
 * How many engines, with how many threads each, in how much memory: from what the board has, what a person configured and
 * what was measured here. Pure; each choice has its reason. Workers × threads never exceed the cores, of which one stays
 * with the control loop wherever there are two.
 */
import type { MachineLimits } from './machine-limits.ts'

export interface PlanWishes {
  /** `device`: answers one at a time, soon; `gateway`: as many as possible. */
  readonly role: 'device' | 'gateway'
  readonly workers?: number | undefined
  readonly threads?: number | undefined
  /** Memory for models that a person configured, megabytes. */
  readonly budgetMb?: number | undefined
  /** Memory for models that the board's description allows, megabytes. */
  readonly boardBudgetMb?: number | undefined
  /** The best that was measured on this very machine. */
  readonly measured?: { readonly workers: number; readonly intraOpThreads: number } | undefined
}

export interface EnginePlan {
  readonly workers: number
  readonly intraOpThreads: number
  /** Memory of all loaded models together, megabytes. */
  readonly budgetMb: number
  /** One line for each choice. */
  readonly reasons: readonly string[]
}

/** Small convolutions and matrix products gain little from more threads than this; measuring can say otherwise. */
const threadsUseful = 4
/** An engine without a model, megabytes. */
const bareEngineMb = 64
/** Share of the memory that all models may take where nobody says: the rest is the system's and everybody else's. */
const memoryShare = 0.5

export function planEngines(machine: Omit<MachineLimits, 'processor'>, wishes: PlanWishes): EnginePlan {
  const reasons: string[] = []
  const budgetMb = planBudget(machine.memoryMb, wishes, reasons)
  const usable = usableCores(machine, reasons)
  const { threads, workers } = wishes
  if (threads === undefined && workers === undefined && wishes.measured) {
    const { measured } = wishes
    if (measured.workers * measured.intraOpThreads <= usable) {
      reasons.push(`${counted(measured)}: measured best on this machine`)
      return { ...measured, budgetMb, reasons }
    }
    reasons.push(`what was measured, ${counted(measured)}, is more than ${usable} cores now: not used`)
  }
  const intraOpThreads = planThreads(usable, wishes, reasons)
  const fit = Math.max(1, Math.floor(usable / intraOpThreads))
  return { workers: planWorkers(fit, budgetMb, wishes, reasons), intraOpThreads, budgetMb, reasons }
}

/** Cores that engines may use together: of two or more, one is the control loop's. */
export function usableCores(
  { cores, quotaCores }: Pick<MachineLimits, 'cores' | 'quotaCores'>,
  reasons: string[] = [],
): number {
  const allowed = quotaCores === undefined ? cores : Math.min(cores, Math.max(1, Math.floor(quotaCores)))
  if (allowed < cores) reasons.push(`${allowed} of ${cores} cores: the container's quota is ${quotaCores}`)
  if (allowed === 1) {
    reasons.push('1 core: shared with the control loop, which goes first')
    return 1
  }
  reasons.push(`${allowed} cores, one of them left to the control loop`)
  return allowed - 1
}

function planThreads(usable: number, { role, threads, workers }: PlanWishes, reasons: string[]): number {
  if (threads !== undefined) {
    const taken = Math.min(threads, usable)
    reasons.push(
      taken < threads
        ? `${taken} threads: ${threads} are configured, which is more than the ${usable} usable cores`
        : `${taken} threads: configured`,
    )
    return taken
  }
  if (workers !== undefined) {
    const taken = Math.max(1, Math.floor(usable / workers))
    reasons.push(`${taken} threads: ${usable} usable cores among ${workers} engines`)
    return taken
  }
  if (role === 'gateway') {
    reasons.push('1 thread each: more engines answer more requests than more threads do')
    return 1
  }
  const taken = Math.min(usable, threadsUseful)
  reasons.push(
    `${taken} threads: ${taken < usable ? 'small models gain little from more' : 'all usable cores'}`,
  )
  return taken
}

function planWorkers(
  fit: number,
  budgetMb: number,
  { role, workers }: PlanWishes,
  reasons: string[],
): number {
  if (workers !== undefined) {
    const taken = Math.min(workers, fit)
    reasons.push(
      taken < workers
        ? `${taken} engines: ${workers} are configured, for which there are too few cores`
        : `${taken} engines: configured`,
    )
    return taken
  }
  if (role === 'device') {
    reasons.push('1 engine: requests of a device come one at a time, and each engine holds its own models')
    return 1
  }
  const held = Math.max(1, Math.floor(budgetMb / (2 * bareEngineMb)))
  const taken = Math.min(fit, held)
  reasons.push(`${taken} engines: ${taken < fit ? 'more would take the memory of the models' : 'one a core'}`)
  return taken
}

function planBudget(memoryMb: number, wishes: PlanWishes, reasons: string[]): number {
  if (wishes.budgetMb !== undefined) {
    reasons.push(`${wishes.budgetMb} MB for models: configured`)
    return wishes.budgetMb
  }
  const shareMb = Math.floor(memoryMb * memoryShare)
  if (wishes.boardBudgetMb !== undefined && wishes.boardBudgetMb <= shareMb) {
    reasons.push(`${wishes.boardBudgetMb} MB for models: as the board is described`)
    return wishes.boardBudgetMb
  }
  reasons.push(`${shareMb} MB for models: half of the ${memoryMb} MB that there are`)
  return shareMb
}

function counted({ workers, intraOpThreads }: { readonly workers: number; readonly intraOpThreads: number }) {
  return `${workers} engine${workers === 1 ? '' : 's'} of ${intraOpThreads} thread${intraOpThreads === 1 ? '' : 's'}`
}
