/**
 * Begins agents of a device that has died, from the copies that are kept here, where the configuration says so. A device counts as dead
 * when the broker has said for the whole time that it is away, and it does not answer either.
 *
 * Invariants: [replica-4] nothing is begun without the lease of the agent, which more than half of the site's devices grant to one device at a
 * time: not by the minority of a site that fell apart, and not by two that have copies; [replica-5] the time counts anew where the
 * device is seen, or answers, or this one loses its broker; [replica-6] what a person stopped is not begun.
 */
import type { Cancel, Clock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import type { Bus } from '../../link/bus.ts'
import type { Leases } from '../leader/leases.ts'
import type { AgentCopies, Standby } from './agent-copies.ts'
import type { Mover } from './mover.ts'
import { ownerLease } from './owner-lease.ts'
import { moveReason } from './package.ts'

export interface TakeOverDeps {
  readonly clock: Clock
  readonly log: Log
  readonly bus: Pick<Bus, 'connected'>
  /** Devices that are away, as the broker says. */
  readonly away: () => ReadonlySet<string>
  readonly mover: Pick<Mover, 'begin' | 'isThere'>
  readonly leases: Pick<Leases, 'claim' | 'shown'>
  readonly known: () => Promise<Pick<AgentCopies, 'standbys'> | undefined>
}

export interface TakeOverOptions {
  readonly from: readonly string[]
  readonly afterMs: number
}

/** Of the time, between two looks. */
const lookShare = 1 / 8
/** The lease is for the beginning: whoever hears of it later lets go of its copy. */
const leaseMs = { ttlMs: 60_000, withinMs: 5_000 } as const

export class TakeOver implements AsyncDisposable {
  readonly #deps: TakeOverDeps
  readonly #options: TakeOverOptions
  readonly #stop = new AbortController()
  /** Since when each device is away. */
  readonly #since = new Map<string, number>()
  readonly #logged = new Map<string, string>()
  #timer: Cancel = () => {}
  #looking: Promise<void> | undefined

  constructor(deps: TakeOverDeps, options: TakeOverOptions) {
    this.#deps = { ...deps, log: deps.log.named('copies') }
    this.#options = options
    this.#next()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new Error('the device is stopping'))
    this.#timer()
    await this.#looking
  }

  #next(): void {
    if (this.#stop.signal.aborted) return
    this.#timer = this.#deps.clock.after(this.#options.afterMs * lookShare, () => {
      this.#looking = this.#look()
        .catch((error) => {
          if (!this.#stop.signal.aborted)
            this.#deps.log.warn('agents of a device that is away were not begun', {
              reason: moveReason(error),
            })
        })
        .then(() => this.#next())
    })
  }

  async #look(): Promise<void> {
    const { clock, mover } = this.#deps
    const { from, afterMs } = this.#options
    for (const device of from) {
      if (!this.#isAway(device)) this.#since.delete(device)
      else if (!this.#since.has(device)) this.#since.set(device, clock.monotonicMs())
    }
    for (const [device, sinceMs] of [...this.#since]) {
      if (clock.monotonicMs() - sinceMs < afterMs) continue
      const copies = ((await this.#deps.known())?.standbys() ?? []).filter(({ peer }) => peer === device)
      if (copies.length === 0) continue
      if (await mover.isThere(device)) this.#since.delete(device)
      else for (const copy of copies) await this.#begin(copy)
    }
  }

  #isAway(device: string): boolean {
    return this.#deps.bus.connected && this.#deps.away().has(device)
  }

  async #begin({ name, peer, was }: Standby): Promise<void> {
    const { log, leases, mover } = this.#deps
    if (was !== 'running' || !this.#isAway(peer)) return
    const lease = ownerLease(peer, name)
    // Held in the name of nobody who runs, so that it is let go of by itself.
    const claimed = await leases.claim(lease, `copy of ${name}`, leaseMs, this.#stop.signal)
    const still = (await this.#deps.known())
      ?.standbys()
      .some((copy) => copy.name === name && copy.peer === peer)
    if (!still || !this.#isAway(peer)) return
    const shown = leases.shown(lease)
    if (!claimed.ok || !shown) return this.#say(name, peer, claimed.ok ? 'it ran out' : claimed.reason)
    try {
      await mover.begin(name, shown)
    } catch (error) {
      if (this.#stop.signal.aborted) throw error
      return this.#say(name, peer, moveReason(error))
    }
    this.#logged.delete(name)
    log.warn('an agent goes on here from its last copy: its device is away', { agent: name, device: peer })
  }

  #say(agent: string, device: string, reason: string): void {
    if (this.#logged.get(agent) === reason) return
    this.#logged.set(agent, reason)
    this.#deps.log.warn('a copy of an agent was not begun, although its device is away', {
      agent,
      device,
      reason,
    })
  }
}
