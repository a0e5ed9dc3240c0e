/**
 * Whose turn it is. The most urgent class first and the earliest deadline first within it, whatever model they ask for; with
 * these exceptions, each with its bound:
 *
 * - A class that waited `starvingMs` while others had every turn gets one. A step cannot be interrupted, so an urgent request
 *   waits for one step of somebody else anyway: this makes its worst wait no longer, only once a second more likely.
 * - A request whose model may wait for others of its kind (`batch`) waits until they are enough, its `delayMs` are over, or
 *   the earliest deadline among them is as near as a run is long.
 * - A request whose model fits into memory only once others are let go waits; those under way go on first, since they hold
 *   what it waits for.
 */
import type { EngineModel } from '../../wire/engine-protocol.ts'
import { type Priority, priorities } from '../../wire/infer.ts'
import type { Share } from './batch.ts'
import type { PriorityQueue, Queued } from './priority-queue.ts'

/** The longest that a class with work goes without a turn. */
export const starvingMs = 1000

export interface Turn extends Queued {
  readonly model: string
  readonly arrivedMs: number
  /** It had a step: it holds its model. */
  readonly begun: boolean
  /** What it brings to a batch; undefined where it runs alone. */
  readonly share: Share | undefined
}

export interface TurnDeps {
  /** The model's `batch`, while it is in the list. */
  readonly batchOf: (model: string) => EngineModel['batch']
  /** True for a model that is not loaded and fits only once others are let go. */
  readonly blocked: (model: string) => boolean
  /** How long a run takes at most, as a rule, milliseconds. */
  readonly runMs: (model: string) => number
}

/** Those who go now, the first leading; or when to look again, if ever by itself. */
export type Next<T> = { readonly go: readonly T[] } | { readonly lookAgainMs: number | undefined }

export class TurnOrder<T extends Turn> {
  readonly #queue: PriorityQueue<T>
  readonly #deps: TurnDeps
  /** When each class last had a turn, or began to wait for one. */
  readonly #sinceMs: Record<Priority, number> = { control: 0, interactive: 0, background: 0 }

  constructor(queue: PriorityQueue<T>, deps: TurnDeps) {
    this.#queue = queue
    this.#deps = deps
  }

  /** To be told before it is pushed. */
  arrives({ priority }: T, nowMs: number): void {
    if (this.#queue.of(priority).length === 0) this.#sinceMs[priority] = nowMs
  }

  next(nowMs: number): Next<T> {
    const starving = priorities.find(
      (priority, at) =>
        at > 0 && this.#queue.of(priority).length > 0 && nowMs - this.#sinceMs[priority] >= starvingMs,
    )
    const late = starving === undefined ? undefined : this.#among(this.#queue.of(starving), nowMs)
    const next = late && 'go' in late ? late : this.#among([...this.#queue], nowMs)
    if ('go' in next) for (const { priority } of next.go) this.#sinceMs[priority] = nowMs
    return next
  }

  #among(turns: readonly T[], nowMs: number): Next<T> {
    let lookAgainMs: number | undefined
    const waiting = new Set<T>()
    for (const [at, turn] of turns.entries()) {
      if (turn.begun) return { go: [turn] }
      if (this.#deps.blocked(turn.model)) {
        const holder = turns.slice(at).find(({ begun }) => begun)
        if (holder) return { go: [holder] }
        continue
      }
      // Looked at already, with whom it would go.
      if (waiting.has(turn)) continue
      const group = this.#group(turn, turns)
      const readyMs = this.#readyMs(turn, group)
      if (readyMs <= nowMs) return { go: group }
      lookAgainMs = Math.min(lookAgainMs ?? Infinity, readyMs)
      for (const one of group) waiting.add(one)
    }
    return { lookAgainMs }
  }

  /** Those who can run with `turn`, in the order of service, as many rows as the model takes at once. */
  #group(turn: T, turns: readonly T[]): T[] {
    const batch = this.#deps.batchOf(turn.model)
    const { share } = turn
    if (!batch || !share) return [turn]
    let rows = share.rows
    const others = turns.filter((other) => {
      if (other === turn || other.begun || other.model !== turn.model || other.share?.key !== share.key)
        return false
      if (rows + other.share.rows > batch.max) return false
      rows += other.share.rows
      return true
    })
    return [turn, ...others]
  }

  #readyMs(turn: T, group: readonly T[]): number {
    const batch = this.#deps.batchOf(turn.model)
    if (!batch || !turn.share) return turn.arrivedMs
    const rows = group.reduce((sum, { share }) => sum + (share?.rows ?? 0), 0)
    if (rows >= batch.max) return turn.arrivedMs
    const firstMs = Math.min(...group.map(({ arrivedMs }) => arrivedMs))
    const latestMs = Math.min(...group.map(({ expiresAtMs }) => expiresAtMs)) - this.#deps.runMs(turn.model)
    return Math.min(firstMs + batch.delayMs, latestMs)
  }
}
