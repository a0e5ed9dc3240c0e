/**
 * Leases: who holds which components, until when. A component has at most one; a lease that has ended is forgotten, and
 * its id, which begins with the start's, never comes again.
 */
import type { Denial, Lease, LeaseRequest, PrincipalKind } from '../contract/safety.ts'
import { clip } from './kernel-draft.ts'
import type { Component, HeldLease } from './kernel-output.ts'

/** Ten minutes: a holder that is gone is noticed within that at the latest, whatever it asked for. */
const leaseTtlMsMax = 600_000
const principalLengthMax = 128

const ranks: Readonly<Record<PrincipalKind, number>> = { person: 3, mqtt: 2, agent: 1, model: 0 }

/** A principal that says none of these has the lowest rank. */
export function kindOf(principal: string): PrincipalKind {
  if (principal === 'user') return 'person'
  const [head] = principal.split(':', 1)
  return head === 'mqtt' || head === 'agent' ? head : 'model'
}

export class Leases {
  readonly #live = new Map<string, HeldLease>()
  readonly #startId: string
  #granted = 0

  constructor(startId: string) {
    this.#startId = startId
  }

  get live(): Iterable<HeldLease> {
    return this.#live.values()
  }

  get(id: string): HeldLease | undefined {
    return this.#live.get(id)
  }

  /** Why the request is wrong in itself, or stopped by whoever holds a component; undefined when neither. */
  refusal(request: LeaseRequest, components: readonly (Component | undefined)[]): Denial | undefined {
    const { principal, ttlMs } = request
    const wrong = (message: string): Denial => ({ rule: 'lease', message })
    const unknown = request.components.find((_, at) => components[at] === undefined)
    if (unknown !== undefined) return wrong(`there is no actuator "${clip(unknown)}"`)
    if (components.length === 0) return wrong('a lease needs at least one actuator')
    if (!(ttlMs > 0 && ttlMs <= leaseTtlMsMax)) {
      return wrong(`a lease lasts more than 0 and at most ${leaseTtlMsMax} ms, not ${ttlMs}`)
    }
    if (principal.length === 0 || principal.length > principalLengthMax) {
      return wrong(`a principal has 1 to ${principalLengthMax} characters`)
    }
    const rank = ranks[kindOf(principal)]
    for (const component of components) {
      const holder = component?.lease
      if (!component?.config.exclusive || !holder || ranks[holder.kind] <= rank) continue
      return {
        rule: 'authority',
        message: `${component.id} is held by ${holder.lease.principal}, which ${principal} may not take over`,
      }
    }
    return undefined
  }

  /** The components must be free. */
  grant(request: LeaseRequest, components: readonly Component[], nowMs: number): Lease {
    this.#granted++
    const { principal, ttlMs } = request
    const lease: Lease = {
      id: `${this.#startId}-lease-${this.#granted}`,
      components: components.map(({ id }) => id),
      principal,
      ttlMs,
    }
    const held: HeldLease = {
      lease,
      components,
      kind: kindOf(principal),
      endsAtMs: nowMs + ttlMs,
      sequence: Number.NEGATIVE_INFINITY,
    }
    this.#live.set(lease.id, held)
    for (const component of components) component.lease = held
    return lease
  }

  /** Frees the components; what their outputs do then is the kernel's business. */
  end(held: HeldLease): void {
    this.#live.delete(held.lease.id)
    for (const component of held.components) component.lease = undefined
  }
}
