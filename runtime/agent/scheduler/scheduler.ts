/**
 * Who may use what is scarce: turns of the processor, engine slots, tokens of language models, the gateway's and the radio's
 * budget, and actuators as locks. A service asks with `acquire` or `lock`, works, and gives back.
 *
 * Somebody who holds a lock that a more urgent one waits for is as urgent meanwhile, wherever it waits itself (priority
 * inheritance: Sha, Rajkumar, Lehoczky, IEEE Transactions on Computers 39, 1990). Nothing is taken from anybody who works: a
 * long piece of work calls `pause` at its boundaries, between turns and between tokens.
 *
 * Times are monotonic: a wall clock that is set changes nothing. Given the same requests at the same instants, the same
 * grants follow.
 */
import type { Cancel, Clock } from '../../base/clock.ts'
import { CodedError } from '../../base/errors.ts'
import type { Queued } from '../../inference/engine/priority-queue.ts'
import { type Priority, priorities } from '../../wire/infer.ts'
import { Lending } from './lending.ts'
import { isSooner, Resource, type ResourceOptions, type Waiting } from './resource.ts'
import { Tally } from './tally.ts'

export type ScheduleErrorCode = 'unknown' | 'full' | 'deadline' | 'deadlock' | 'closed'
export class ScheduleError extends CodedError<ScheduleErrorCode> {
  override readonly name = 'ScheduleError'
}

export interface ResourceRequest {
  readonly agent: string
  /** What waits and holds as one; default: the agent. A call that may wait beside others of its agent names itself. */
  readonly task?: string
  readonly priority: Priority
  /** Nobody wants it later than this: then `deadline` is thrown. */
  readonly withinMs?: number
  /** When it is due, where that is not `withinMs`; it is served later all the same. */
  readonly dueInMs?: number
  /** Monotonic: it is due then where that is sooner than it would be, and not before it was asked for. */
  readonly byMs?: number
  /** How long it will be held, as far as anybody knows: of those without a deadline short ones are due sooner. */
  readonly costMs?: number
  /** Units; default 1. */
  readonly amount?: number
}

export interface Grant {
  readonly waitedMs: number
  /** Idempotent. `used`, of a budget: what it really took. */
  release(used?: number): void
  /**
   * A boundary of long work: lets those go first who are more urgent, or have waited too long, and settles when it may go on.
   * Throws when the signal aborts; nothing is held then.
   */
  pause(signal: AbortSignal): Promise<void>
}

export interface ResourceLoad {
  readonly name: string
  readonly capacity: number
  readonly used: number
  readonly waiting: number
  /** Of all locks together, not of each. Since the device started; who waits still is in `longestMs` too. */
  readonly fared?: {
    readonly granted: number
    readonly refused: number
    readonly waitedMs: number
    readonly longestMs: number
  }
}

export interface SchedulerOptions {
  readonly resources: readonly ResourceOptions[]
  /** Locks that are held or waited for. */
  readonly locksMax?: number
  /** Those who wait for one lock. */
  readonly lockQueueMax?: number
}

/** When work without a deadline is due after it was asked for: so much, and so many times what it costs. */
const slackMs: Readonly<Record<Priority, number>> = { control: 100, interactive: 1_000, background: 10_000 }
const stretch = 10
/** No timer of Node's is longer than 24 days, and a debt may take longer to be paid. */
const lookAgainMs = 3_600_000

interface Entry extends Waiting {
  readonly task: string
  readonly resource: Resource<Entry>
  askedMs: number
  begun: boolean
  own: Queued
  grant: (() => void) | undefined
  refuse: (error: unknown) => void
}

export class Scheduler {
  readonly #clock: Clock
  readonly #options: Required<SchedulerOptions>
  readonly #resources: ReadonlyMap<string, Resource<Entry>>
  readonly #locks = new Map<string, Resource<Entry>>()
  readonly #waits = new Map<string, Set<Entry>>()
  /** Locks that a task holds. */
  readonly #holds = new Map<string, Set<Resource<Entry>>>()
  readonly #wakes = new Map<Resource<Entry>, Cancel>()
  readonly #tallies = new Map<Resource<Entry>, Tally>()
  readonly #lockTally = new Tally()
  readonly #lending = new Lending()
  #closed = false

  constructor(clock: Clock, options: SchedulerOptions) {
    this.#clock = clock
    this.#options = { locksMax: 1_024, lockQueueMax: 64, ...options }
    const nowMs = clock.monotonicMs()
    this.#resources = new Map(options.resources.map((one) => [one.name, new Resource<Entry>(one, nowMs)]))
    for (const one of this.#resources.values()) this.#tallies.set(one, new Tally())
  }

  /** Throws ScheduleError `unknown`, `full`, `deadline`, `closed`, or the signal's reason. */
  acquire(resource: string, request: ResourceRequest, signal: AbortSignal): Promise<Grant> {
    const found = this.#resources.get(resource)
    if (found) return this.#ask(found, request, signal)
    return Promise.reject(new ScheduleError('unknown', `this device has no resource ${resource}`))
  }

  /**
   * The only one who commands `key` until it is released. Throws as `acquire`, and ScheduleError `deadlock` where the one who
   * holds it waits for what this task holds.
   */
  lock(key: string, request: ResourceRequest, signal: AbortSignal): Promise<Grant> {
    let lock = this.#locks.get(key)
    if (!lock) {
      const { locksMax, lockQueueMax } = this.#options
      if (this.#locks.size >= locksMax)
        return this.#refuse(this.#lockTally, 'full', `${locksMax} locks are held already`)
      lock = new Resource<Entry>(
        { name: key, capacity: 1, queueMax: lockQueueMax },
        this.#clock.monotonicMs(),
      )
      this.#locks.set(key, lock)
    }
    const task = request.task ?? request.agent
    if (this.#wouldWaitForItself(lock, task))
      return this.#refuse(this.#lockTally, 'deadlock', `${task} holds what the holder of ${key} waits for`)
    return this.#ask(lock, { ...request, amount: 1 }, signal)
  }

  /**
   * Until it is taken back, an agent waits everywhere at least as urgently as who asked: it has what that one waits for. Idempotent when
   * it is taken back.
   */
  lend(request: ResourceRequest, to: string): Cancel {
    const { priority, expiresAtMs } = this.#dueOf(request)
    const takeBack = this.#lending.lend({ agent: request.agent, urgency: { priority, expiresAtMs } }, to)
    this.#hurry(to)
    return () => {
      takeBack()
      this.#hurry(to)
    }
  }

  /** What this task waits for it waits for at least as urgently from now on. */
  hasten(request: ResourceRequest): void {
    const due = this.#dueOf(request)
    for (const entry of this.#waits.get(request.task ?? request.agent) ?? []) {
      if (!isSooner(due, entry.own)) continue
      entry.own = due
      this.#moveUp(entry)
    }
  }

  /** The class that an agent's work has, where others wait for it the most urgent of theirs. */
  priorityOf(agent: string, own: Priority): Priority {
    const lent = this.#lending.mostOf(agent)?.priority ?? own
    return priorities.indexOf(lent) < priorities.indexOf(own) ? lent : own
  }

  /** What there is of everything, who waits, and how those fared who asked; last each lock that is held. */
  loads(): ResourceLoad[] {
    const nowMs = this.#clock.monotonicMs()
    const loadOf = (resource: Resource<Entry>): ResourceLoad => ({
      name: resource.options.name,
      capacity: resource.options.capacity,
      used: resource.used(nowMs),
      waiting: resource.waiting,
    })
    const fared = ({ granted, refused, waitedMs, longestMs }: Tally, lines: Iterable<Resource<Entry>>) => {
      const waits = [...lines].flatMap(({ line }) => [...line].map(({ askedMs }) => nowMs - askedMs))
      return {
        granted,
        refused,
        waitedMs,
        longestMs: waits.reduce((most, ms) => Math.max(most, ms), longestMs),
      }
    }
    const locks = [...this.#locks.values()]
    return [
      ...[...this.#tallies].map(([one, tally]) => ({ ...loadOf(one), fared: fared(tally, [one]) })),
      {
        name: 'locks',
        capacity: this.#options.locksMax,
        used: locks.length,
        waiting: locks.reduce((sum, { waiting }) => sum + waiting, 0),
        fared: fared(this.#lockTally, locks),
      },
      ...locks.map(loadOf),
    ]
  }

  /** What an agent waits for here. */
  waitsOf(agent: string): string[] {
    const entries = [...this.#waits.values()].flatMap((set) => [...set])
    return entries.filter((one) => one.agent === agent).map(({ resource }) => resource.options.name)
  }

  /** Whoever waits is told; what is held may still be given back. Idempotent. */
  close(): void {
    this.#closed = true
    for (const cancel of this.#wakes.values()) cancel()
    this.#wakes.clear()
    for (const set of [...this.#waits.values()])
      for (const one of [...set]) this.#withdraw(one, new ScheduleError('closed', 'the device is stopping'))
  }

  #ask(resource: Resource<Entry>, request: ResourceRequest, signal: AbortSignal): Promise<Grant> {
    if (signal.aborted) return Promise.reject(signal.reason)
    if (this.#closed) return Promise.reject(new ScheduleError('closed', 'the device is stopping'))
    const entry = this.#entryOf(resource, request)
    const { askedMs } = entry
    const granted = this.#waitFor(entry, request.withinMs, signal)
    return granted.then(() => ({
      waitedMs: this.#clock.monotonicMs() - askedMs,
      release: (used) => this.#release(entry, used),
      pause: (pausing) => this.#pause(entry, pausing),
    }))
  }

  #entryOf(resource: Resource<Entry>, request: ResourceRequest): Entry {
    const { agent, task = agent, amount = 1 } = request
    const due = this.#dueOf(request)
    return {
      ...{ agent, task, amount, askedMs: this.#clock.monotonicMs(), ...due, own: due, resource },
      begun: false,
      grant: undefined,
      refuse: () => {},
    }
  }

  #dueOf({ priority, withinMs, dueInMs = withinMs, byMs = Infinity, costMs = 0 }: ResourceRequest): Queued {
    const nowMs = this.#clock.monotonicMs()
    const dueMs = nowMs + (dueInMs ?? slackMs[priority] + stretch * costMs)
    return { priority, expiresAtMs: Math.min(dueMs, Math.max(nowMs, byMs)) }
  }

  /** Settles when it is granted. */
  #waitFor(entry: Entry, withinMs: number | undefined, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const tally = this.#tallyOf(entry.resource)
      const problem = entry.resource.add(entry)
      if (problem !== undefined) return resolve(this.#refuse(tally, 'full', problem))
      const onAbort = () => this.#withdraw(entry, signal.reason)
      const late = () => {
        tally.refused += 1
        this.#withdraw(entry, lateFor(entry, withinMs))
      }
      const cancelLate = withinMs === undefined ? () => {} : this.#clock.after(withinMs, late)
      const over = () => {
        signal.removeEventListener('abort', onAbort)
        cancelLate()
        entry.grant = undefined
        remove(this.#waits, entry.task, entry)
      }
      entry.grant = () => {
        over()
        tally.waited(this.#clock.monotonicMs() - entry.askedMs, entry.begun)
        resolve()
      }
      entry.refuse = (error) => {
        over()
        reject(error)
      }
      signal.addEventListener('abort', onAbort, { once: true })
      put(this.#waits, entry.task, entry)
      this.#reposition(entry)
      this.#boostHolders(entry.resource)
      this.#pump(entry.resource)
    })
  }

  #withdraw(entry: Entry, error: unknown): void {
    if (!entry.grant) return
    entry.resource.remove(entry)
    entry.refuse(error)
    this.#boostHolders(entry.resource)
    this.#pump(entry.resource)
    this.#tidy(entry.resource)
  }

  #pump(resource: Resource<Entry>): void {
    if (this.#closed) return
    const nowMs = this.#clock.monotonicMs()
    for (let one = resource.next(nowMs); one; one = resource.next(nowMs)) {
      if (this.#isLock(resource)) put(this.#holds, one.task, resource)
      one.grant?.()
      this.#boostHolders(resource)
    }
    this.#wakes.get(resource)?.()
    this.#wakes.delete(resource)
    const againMs = resource.waiting > 0 ? resource.lookAgainMs(nowMs) : undefined
    if (againMs === undefined) return
    // A hair later: a bucket that is full but for a rounding error would be looked at again and again.
    const waitMs = Math.min(lookAgainMs, againMs - nowMs + 0.01)
    const cancel = this.#clock.after(waitMs, () => this.#pump(resource))
    this.#wakes.set(resource, cancel)
  }

  #release(entry: Entry, used?: number): void {
    const { resource, task } = entry
    if (!resource.holders.has(entry)) return
    resource.giveBack(entry, this.#clock.monotonicMs(), used)
    remove(this.#holds, task, resource)
    this.#pump(resource)
    this.#inherit(task)
    this.#tidy(resource)
  }

  async #pause(entry: Entry, signal: AbortSignal): Promise<void> {
    const { resource } = entry
    const isSlot = resource.options.refillMs === undefined && !this.#isLock(resource)
    if (!isSlot || !resource.holders.has(entry) || resource.waiting === 0) return
    signal.throwIfAborted()
    const nowMs = this.#clock.monotonicMs()
    const { priority, expiresAtMs } = this.#urgencyOf(entry)
    if (resource.goesOn({ ...entry, priority, expiresAtMs }, nowMs)) return
    entry.begun = true
    entry.askedMs = nowMs
    resource.giveBack(entry, nowMs)
    await this.#waitFor(entry, undefined, signal)
  }

  #tidy(resource: Resource<Entry>): void {
    if (resource.waiting === 0 && resource.holders.size === 0 && this.#isLock(resource))
      this.#locks.delete(resource.options.name)
  }

  #tallyOf(resource: Resource<Entry>): Tally {
    return this.#tallies.get(resource) ?? this.#lockTally
  }

  #refuse(tally: Tally, code: ScheduleErrorCode, reason: string): Promise<never> {
    tally.refused += 1
    return Promise.reject(new ScheduleError(code, reason, { retryable: code === 'full' }))
  }

  #isLock(resource: Resource<Entry>): boolean {
    return this.#locks.get(resource.options.name) === resource
  }

  // Inheritance

  #boostHolders(resource: Resource<Entry>): void {
    if (this.#isLock(resource)) for (const { task } of resource.holders) this.#inherit(task)
  }

  /** All that the task waits for it waits for as the most urgent of those who wait for it. Ends: nobody waits for itself. */
  #inherit(task: string): void {
    for (const entry of this.#waits.get(task) ?? []) this.#moveUp(entry)
  }

  /** As `#inherit`, for all that the agent waits for, and those to whom it lends. */
  #hurry(agent: string): void {
    const reached = this.#lending.reached(agent)
    for (const entries of [...this.#waits.values()])
      for (const entry of entries) if (reached.has(entry.agent)) this.#moveUp(entry)
  }

  /** Whoever is first now may be small enough for what is left of a budget. */
  #moveUp(entry: Entry): void {
    if (!this.#reposition(entry)) return
    this.#boostHolders(entry.resource)
    this.#pump(entry.resource)
  }

  #reposition(entry: Entry): boolean {
    const urgency = this.#urgencyOf(entry)
    if (entry.priority === urgency.priority && entry.expiresAtMs === urgency.expiresAtMs) return false
    entry.resource.becomes(entry, urgency)
    return true
  }

  #urgencyOf({ agent, task, own }: Entry): Queued {
    const lent = this.#lending.mostOf(agent)
    let most = lent && isSooner(lent, own) ? lent : own
    for (const lock of this.#holds.get(task) ?? [])
      for (const one of lock.line) if (isSooner(one, most)) most = one
    return most
  }

  #wouldWaitForItself(lock: Resource<Entry>, task: string, seen = new Set<Resource<Entry>>()): boolean {
    if (seen.has(lock)) return false
    seen.add(lock)
    for (const holder of lock.holders) {
      if (holder.task === task) return true
      for (const { resource } of this.#waits.get(holder.task) ?? [])
        if (this.#isLock(resource) && this.#wouldWaitForItself(resource, task, seen)) return true
    }
    return false
  }
}

function lateFor({ resource }: Entry, withinMs = 0): ScheduleError {
  const message = `waited ${Math.round(withinMs)} ms for ${resource.options.name}, and nobody wants it later`
  return new ScheduleError('deadline', message)
}

function put<V>(map: Map<string, Set<V>>, key: string, value: V): void {
  const set = map.get(key)
  if (set) set.add(value)
  else map.set(key, new Set([value]))
}

function remove<V>(map: Map<string, Set<V>>, key: string, value: V): void {
  const set = map.get(key)
  set?.delete(value)
  if (set?.size === 0) map.delete(key)
}
