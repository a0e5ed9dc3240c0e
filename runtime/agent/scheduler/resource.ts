/**
 * One scarce thing and those who wait for it, as pure steps of time: who goes next is a function of what was asked and when.
 *
 * The most urgent class first, the earliest deadline first within it (Liu and Layland, JACM 20, 1973), then first come; who
 * is next and does not fit holds up those behind, so that many small ones cannot starve a large one. Aging: once in
 * `aging.everyMs` the one who waited longest goes first, if that is `aging.afterMs` or more. Its bound is [sched-2].
 */
import { PriorityQueue, type Queued } from '../../inference/engine/priority-queue.ts'
import { priorities } from '../../wire/infer.ts'
import { Bucket, type BucketOptions } from './bucket.ts'

export interface ResourceOptions {
  readonly name: string
  /** Units there are: turns at a time, engine slots, or tokens of a budget. */
  readonly capacity: number
  /** A budget: what is used is gone, and `capacity` comes back in this time. Without it units are held and given back. */
  readonly refillMs?: number
  /** Those who may wait. */
  readonly queueMax: number
  readonly perAgent?: AgentLimits
  /** Instead of `perAgent`, for agents of these names. */
  readonly byName?: ReadonlyMap<string, AgentLimits>
}

export interface AgentLimits {
  /** Units that one agent holds at a time. */
  readonly heldMax?: number
  /** Its requests that wait. */
  readonly waitingMax?: number
  /** Units that it is given in a time: of what is held as often as it is granted, of a budget what it really took. What it took beyond it is paid first. */
  readonly rate?: BucketOptions
}

export interface Waiting extends Queued {
  readonly agent: string
  readonly amount: number
  /** When it was asked for, or last paused, monotonic milliseconds. */
  readonly askedMs: number
  /** It was granted before and has paused. */
  readonly begun: boolean
  /** What it is by itself; what it waits as may be more, while somebody more urgent waits for it. */
  readonly own: Queued
}

export const aging = { afterMs: 1_000, everyMs: 250 } as const

interface AgentUse {
  held: number
  waiting: number
  rate: Bucket | undefined
}

/** As it waits now. */
type Changing<T extends Waiting> = { -readonly [K in keyof Queued]: T[K] }

export class Resource<T extends Waiting = Waiting> {
  readonly options: ResourceOptions
  readonly #line: PriorityQueue<T>
  readonly #budget: Bucket | undefined
  readonly #agents = new Map<string, AgentUse>()
  readonly #holders = new Set<T>()
  #held = 0
  #agedMs = -Infinity

  constructor(options: ResourceOptions, nowMs: number) {
    const { capacity, refillMs, queueMax } = options
    this.options = options
    this.#line = new PriorityQueue(queueMax)
    if (refillMs !== undefined) this.#budget = new Bucket({ max: capacity, perMs: refillMs }, nowMs)
  }

  get waiting(): number {
    return this.#line.size
  }
  get holders(): ReadonlySet<T> {
    return this.#holders
  }
  /** In the order of service. */
  get line(): Iterable<T> {
    return this.#line
  }
  used(nowMs: number): number {
    return this.#budget ? this.options.capacity - this.#budget.left(nowMs) : this.#held
  }

  /** One line when it may not wait here. */
  add(one: T): string | undefined {
    const { name, capacity } = this.options
    if (!(one.amount > 0 && one.amount <= capacity)) return `${name} has ${capacity}, never ${one.amount}`
    const use = this.#agents.get(one.agent)
    const waitingMax = this.#limitsOf(one.agent)?.waitingMax ?? Infinity
    if (use && use.waiting >= waitingMax && !one.begun)
      return `${waitingMax} requests of ${one.agent} wait for ${name} already`
    if (!this.#line.push(one)) return `${this.options.queueMax} requests wait for ${name} already`
    this.#use(one, one.askedMs).waiting += 1
    return undefined
  }

  /** It waits no longer. */
  remove(one: T): void {
    this.#line.remove(one)
    const use = this.#agents.get(one.agent)
    if (use) use.waiting -= 1
    this.#forget(one.agent)
  }

  /** Somebody more urgent waits for it, or no longer does. */
  becomes(one: T, { priority, expiresAtMs }: Queued): void {
    this.#line.remove(one)
    Object.assign<Changing<T>, Queued>(one, { priority, expiresAtMs })
    this.#line.push(one)
  }

  /** Grants to the next who can go; undefined when nobody can now. */
  next(nowMs: number): T | undefined {
    const aged = nowMs - this.#agedMs >= aging.everyMs ? this.#oldest(nowMs) : undefined
    const one = aged ?? this.#first(nowMs)
    if (!one || !this.#fits(one, nowMs)) return undefined
    if (aged) this.#agedMs = nowMs
    this.#grant(one, nowMs)
    return one
  }

  /** True when one that pauses would be the next again, or could not wait: then it goes on at once. */
  goesOn(one: T, nowMs: number): boolean {
    const aged = nowMs - this.#agedMs >= aging.everyMs && this.#oldest(nowMs)
    const first = this.#first(nowMs)
    if (aged) return this.#line.size >= this.#line.max
    return !first || !isSooner(first, one) || this.#line.size >= this.#line.max
  }

  /** When to look again, if nobody asks or gives back before; undefined for never. */
  lookAgainMs(nowMs: number): number | undefined {
    const first = this.#first(nowMs)
    const aged = this.#oldest(nowMs)
    const times = [
      ...(first && this.#budget ? [this.#budget.waitMs(first.amount, nowMs)] : []),
      ...(aged && this.#budget
        ? [this.#budget.waitMs(aged.amount, nowMs), this.#agedMs + aging.everyMs - nowMs]
        : []),
      ...[...this.#agents.values()].flatMap(({ waiting, rate }) =>
        waiting > 0 && rate ? [rate.waitMs(1, nowMs)] : [],
      ),
    ].filter((ms) => ms > 0)
    return times.length > 0 ? nowMs + Math.min(...times) : undefined
  }

  /** Gives back what was granted. `used`, of a budget: what it really took, which may be more than was asked. */
  giveBack(one: T, nowMs: number, used = one.amount): void {
    if (!this.#holders.delete(one)) return
    const use = this.#agents.get(one.agent)
    if (this.#budget) {
      this.#budget.take(used - one.amount, nowMs)
      use?.rate?.take(used - one.amount, nowMs)
    } else this.#held -= one.amount
    if (use) use.held -= one.amount
    this.#forget(one.agent)
  }

  #grant(one: T, nowMs: number): void {
    this.#line.remove(one)
    const use = this.#use(one, nowMs)
    use.waiting -= 1
    use.held += one.amount
    if (!one.begun) use.rate?.take(one.amount, nowMs)
    this.#holders.add(one)
    if (this.#budget) this.#budget.take(one.amount, nowMs)
    else this.#held += one.amount
  }

  #first(nowMs: number): T | undefined {
    for (const priority of priorities) {
      const found = this.#line.of(priority).find((one) => this.#may(one, nowMs))
      if (found) return found
    }
    return undefined
  }

  /** The one who waited longest, where that is too long. */
  #oldest(nowMs: number): T | undefined {
    let oldest: T | undefined
    for (const priority of priorities)
      for (const one of this.#line.of(priority))
        if (
          nowMs - one.askedMs >= aging.afterMs &&
          !(oldest && oldest.askedMs <= one.askedMs) &&
          this.#may(one, nowMs)
        )
          oldest = one
    return oldest
  }

  #fits(one: T, nowMs: number): boolean {
    if (this.#budget) return this.#budget.waitMs(one.amount, nowMs) === 0
    return this.#held + one.amount <= this.options.capacity
  }

  /** Within what its agent may have. */
  #may({ agent, amount, begun }: T, nowMs: number): boolean {
    const heldMax = this.#limitsOf(agent)?.heldMax
    const use = this.#agents.get(agent)
    if (!use) return true
    if (heldMax !== undefined && use.held > 0 && use.held + amount > heldMax) return false
    return begun || !use.rate || use.rate.waitMs(1, nowMs) === 0
  }

  #limitsOf(agent: string): AgentLimits | undefined {
    const { perAgent, byName } = this.options
    return byName?.get(agent) ?? perAgent
  }

  #use({ agent }: T, nowMs: number): AgentUse {
    let use = this.#agents.get(agent)
    if (!use) {
      const rate = this.#limitsOf(agent)?.rate
      use = { held: 0, waiting: 0, rate: rate && new Bucket(rate, nowMs) }
      this.#agents.set(agent, use)
    }
    return use
  }

  /** An agent's rate is remembered as long as its agents are few, or it would be new with each request. */
  #forget(agent: string): void {
    const use = this.#agents.get(agent)
    if (!use || use.held > 0 || use.waiting > 0) return
    if (!use.rate || this.#agents.size > this.options.queueMax) this.#agents.delete(agent)
  }
}

export function isSooner(one: Queued, other: Queued): boolean {
  const classes = priorities.indexOf(one.priority) - priorities.indexOf(other.priority)
  return classes < 0 || (classes === 0 && one.expiresAtMs < other.expiresAtMs)
}
