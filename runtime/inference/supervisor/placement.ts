/** Which of several engines a request goes to, and how they share memory. Pure. */
import type { ModelOutlook } from './engines.ts'

export interface WorkerView {
  /** It takes no more requests now. */
  readonly full: boolean
  /** The model fits into its share of the memory. */
  readonly fits: boolean
  readonly outlook: ModelOutlook | undefined
}

/** A load that was never timed is taken to last so long, milliseconds. */
const unknownLoadMs = 500

/**
 * The worker where the model is expected to answer first: its queue, and the load where it would have to load. Those that are
 * equal are told apart by the model's name, so that models spread and each has one home. Undefined where all are full.
 */
export function chooseWorker(model: string, workers: readonly WorkerView[]): number | undefined {
  const candidates = workers.some(({ fits }) => fits)
    ? workers.map((one) => one.fits)
    : workers.map(() => true)
  const home = hash(model) % Math.max(1, workers.length)
  let best: { readonly index: number; readonly ms: number } | undefined
  for (let step = 0; step < workers.length; step += 1) {
    const index = (home + step) % workers.length
    const worker = workers[index]
    if (!worker || worker.full || !candidates[index]) continue
    const ms = expectedMs(worker.outlook)
    if (!best || ms < best.ms) best = { index, ms }
  }
  return best?.index
}

function expectedMs(outlook: ModelOutlook | undefined): number {
  if (!outlook) return 0
  // One that is loading has a request that waits for it: its queue counts that already.
  const loadMs =
    outlook.state === 'loaded' || outlook.state === 'loading' ? 0 : (outlook.loadMs ?? unknownLoadMs)
  return outlook.queueMs + loadMs
}

/**
 * Megabytes for each of `workers`: equal shares, but the first holds the largest model where an equal share would not, and
 * the others share the rest.
 */
export function budgetShares(
  budgetMb: number | undefined,
  workers: number,
  largestMb: number,
): readonly (number | undefined)[] {
  if (budgetMb === undefined) return Array<undefined>(workers).fill(undefined)
  const equal = budgetMb / workers
  const first = Math.min(budgetMb, Math.max(equal, largestMb))
  const rest = workers > 1 ? (budgetMb - first) / (workers - 1) : 0
  return Array.from({ length: workers }, (_, index) => (index === 0 ? first : rest))
}

/** FNV-1a, 32 bits (Fowler, Noll, Vo; http://www.isthe.com/chongo/tech/comp/fnv/). */
function hash(text: string): number {
  let value = 0x811c9dc5
  for (let i = 0; i < text.length; i += 1) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193) >>> 0
  return value
}
