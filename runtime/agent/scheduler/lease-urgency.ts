/**
 * An agent that holds a lease of the site which another agent of this device waits for hurries as much as that one: unlike an entity's
 * lock a lease is given back by a turn of its holder ([sched-16]). Leases that other devices hold are theirs to hurry.
 */
import type { Cancel } from '../../base/clock.ts'
import type { ResourceRequest, Scheduler } from './scheduler.ts'

interface Waiter {
  readonly request: ResourceRequest
  takeBack: Cancel
}

export class LeaseUrgency {
  readonly #scheduler: Pick<Scheduler, 'lend'>
  readonly #holderOf: (lease: string) => string | undefined
  readonly #waiters = new Map<string, Set<Waiter>>()

  /** `holderOf`: the agent of this device that holds it now. */
  constructor(scheduler: Pick<Scheduler, 'lend'>, holderOf: (lease: string) => string | undefined) {
    this.#scheduler = scheduler
    this.#holderOf = holderOf
  }

  /** While `claim` is under way, who holds the lease hurries. */
  async claimed<T>(lease: string, request: ResourceRequest, claim: () => Promise<T>): Promise<T> {
    const waiter: Waiter = { request, takeBack: () => {} }
    const waiters = this.#waiters.get(lease) ?? new Set()
    this.#waiters.set(lease, waiters.add(waiter))
    this.#lend(lease, waiter)
    try {
      return await claim()
    } finally {
      waiter.takeBack()
      waiters.delete(waiter)
      if (waiters.size === 0) this.#waiters.delete(lease)
      this.changed(lease)
    }
  }

  /** The lease may have another holder. */
  changed(lease: string): void {
    for (const waiter of this.#waiters.get(lease) ?? []) {
      waiter.takeBack()
      this.#lend(lease, waiter)
    }
  }

  #lend(lease: string, waiter: Waiter): void {
    const holder = this.#holderOf(lease)
    const isOwn = holder === undefined || holder === waiter.request.agent
    waiter.takeBack = isOwn ? () => {} : this.#scheduler.lend(waiter.request, holder)
  }
}
