/**
 * Which loaded models make room for another. Pure: no clock, no process, the same answer to the same question.
 *
 * A loaded model is worth the reloading that it saves, per megabyte that it holds:
 *
 *     worth = uses per second, lately × milliseconds to load it again / megabytes
 *
 * The least worth goes first. Cost over size is GreedyDual-Size (Cao and Irani, "Cost-aware WWW proxy caching algorithms",
 * USENIX 1997, with Cherkasova's frequency, HPL-98-69); "lately" is the combined recency and frequency of LRFU (Lee et al.,
 * IEEE Transactions on Computers 50(12), 2001): each use counts 1 at its time and half of that a half-life later. Decay
 * divides all alike, so an idle night changes no order.
 */

/** One that is loaded, or loading. */
export interface Resident {
  readonly name: string
  readonly memoryMb: number
  readonly reloadMs: number
  readonly pinned: boolean
  /** Somebody uses it or waits for it: it stays for now. */
  readonly inUse: boolean
  readonly uses: Uses
}

export type Room =
  | { readonly fits: true; readonly evict: readonly string[] }
  /** `later`: it fits once models in use are let go; otherwise pinned models leave too little, or the budget is too small. */
  | { readonly fits: false; readonly later: boolean; readonly reason: string }

const halfLifeMs = 5 * 60_000
/** A load takes some time, a model some memory, however little is measured. */
const least = 0.001

/** How often a model is used, lately. */
export class Uses {
  #count = 0
  #atMs = 0

  add(nowMs: number): void {
    this.#count = this.at(nowMs) + 1
    this.#atMs = nowMs
  }

  /** When it was last used. */
  get lastMs(): number {
    return this.#atMs
  }

  /** Uses, each halved every half-life since. */
  at(nowMs: number): number {
    return this.#count * 0.5 ** ((nowMs - this.#atMs) / halfLifeMs)
  }
}

export function worth(resident: Resident, nowMs: number): number {
  return (resident.uses.at(nowMs) * Math.max(resident.reloadMs, least)) / Math.max(resident.memoryMb, least)
}

/** Added from the smallest up: a sum of floats is another one in another order. */
export function megabytesOf(residents: readonly Resident[]): number {
  return residents
    .map(({ memoryMb }) => memoryMb)
    .sort((a, b) => a - b)
    .reduce((sum, mb) => sum + mb, 0)
}

/** What must go so that `neededMb` more stays within the budget; 0 asks only for what is over it. */
export function roomFor(
  neededMb: number,
  residents: readonly Resident[],
  budgetMb: number,
  nowMs: number,
): Room {
  const overMb = megabytesOf(residents) + neededMb - budgetMb
  if (overMb <= 0) return { fits: true, evict: [] }
  const free = residents
    .filter(({ pinned, inUse }) => !pinned && !inUse)
    .map((resident) => ({ ...resident, worth: worth(resident, nowMs) }))
    .sort((a, b) => a.worth - b.worth || compare(a.name, b.name))
  if (megabytesOf(free) >= overMb) return { fits: true, evict: fewest(free, overMb) }
  const pinned = residents.filter((resident) => resident.pinned)
  return {
    fits: false,
    later: neededMb + megabytesOf(pinned) <= budgetMb,
    reason: shortage(neededMb, residents, pinned, budgetMb),
  }
}

/** The least worth until it is enough; then those that were not needed after all are spared, the most worth first. */
function fewest(free: readonly Resident[], overMb: number): string[] {
  const chosen: Resident[] = []
  let freedMb = 0
  for (const resident of free) {
    if (freedMb >= overMb) break
    chosen.push(resident)
    freedMb += resident.memoryMb
  }
  for (const resident of chosen.toReversed())
    if (freedMb - resident.memoryMb >= overMb) {
      chosen.splice(chosen.indexOf(resident), 1)
      freedMb -= resident.memoryMb
    }
  return chosen.map(({ name }) => name)
}

function shortage(
  neededMb: number,
  residents: readonly Resident[],
  pinned: readonly Resident[],
  budgetMb: number,
): string {
  const used = residents.filter((resident) => !resident.pinned && resident.inUse)
  const parts = [listed('pinned', pinned), listed('in use', used)].filter((part) => part !== '')
  const taken = parts.length === 0 ? '' : `; ${parts.join(', ')}`
  return `needs ${tenths(neededMb)} MB, models may take ${tenths(budgetMb)} MB${taken}`
}

function listed(what: string, residents: readonly Resident[]): string {
  if (residents.length === 0) return ''
  return `${what}: ${residents.map(({ name, memoryMb }) => `${name} ${tenths(memoryMb)} MB`).join(' + ')}`
}

const tenths = (mb: number) => Math.round(mb * 10) / 10
/** By code unit, whatever the locale. */
const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)
