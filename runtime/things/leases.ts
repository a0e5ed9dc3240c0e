/**
 * The device's holder of leases on attached actuators: takes one for whoever commands, and keeps it alive while this
 * process does. What lets go of it: the actuator back at its safe state, somebody else's command, a network that stays
 * away, or the end of this process; the safety thread then drives the outputs safe by itself.
 *
 * Invariants: [things-4] no attached actuator is commanded without a lease, and every command under one has a greater
 * number than the one before; [things-5] what came over the network ends with it, unless the part keeps what was
 * commanded; [things-6] a lease is renewed by a timer of the control loop and by nothing else: a loop that hangs loses it;
 * [things-7] what an agent or a model commanded is not renewed: it lasts `programTtlMs`, and each command takes a new lease.
 */
import type { Lease, Safety } from '../../hal/contract/safety.ts'
import type { Cancel, Clock } from '../base/clock.ts'
import { CodedError, messageOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { ActuationRequest, Authority } from './actuation.ts'

/** Denied by the safety kernel; the message is its sentence. */
export class LeaseError extends CodedError<'permission'> {
  override readonly name = 'LeaseError'
}

export interface LeasesDeps {
  readonly clock: Clock
  readonly log: Log
  readonly safety: Safety
}

export interface LeasesOptions {
  /** How long the network may be away before what it commanded ends, milliseconds. */
  readonly networkGraceMs: number
  /** Components that keep what was commanded without a network. */
  readonly keeps: (component: string) => boolean
}

/** Three renewals may be late before a lease is lost; a crash is felt within this. */
const ttlMs = 5_000
const renewEveryMs = 1_500
/**
 * The longest that the safety kernel grants: long enough for a lamp or a fan to be of use, short enough for what a program
 * has forgotten. A loop that hangs ends these as well: the kernel hears no sign of life.
 */
const programTtlMs = 600_000
/** A command may need this long to move its output away from the safe value: ramps, sequences. */
const settleMs = 5_000

interface Holding {
  readonly lease: Lease
  readonly component: string
  readonly viaNetwork: boolean
  /** Infinity: renewed for as long as it is held. */
  readonly endsMs: number
  sequence: number
  commandedMs: number
}

export class Leases implements Authority, AsyncDisposable {
  readonly #deps: LeasesDeps
  readonly #options: LeasesOptions
  readonly #held = new Map<string, Holding>()
  #cancelRenewal: Cancel | undefined
  #cancelGrace: Cancel | undefined
  #closed = false

  constructor(deps: LeasesDeps, options: LeasesOptions) {
    this.#deps = deps
    this.#options = options
  }

  /** Throws LeaseError where the kernel denies it. */
  async grant(
    component: string,
    { principal, viaNetwork = false }: Pick<ActuationRequest, 'principal' | 'viaNetwork'>,
    signal: AbortSignal,
  ): Promise<{ id: string; sequence: number } | undefined> {
    if (!this.#deps.safety.components.has(component)) return undefined
    signal.throwIfAborted()
    const holding =
      (await this.#stillHeld(component, principal, viaNetwork)) ??
      (await this.#acquire(component, principal, viaNetwork))
    holding.sequence += 1
    holding.commandedMs = this.#deps.clock.monotonicMs()
    return { id: holding.lease.id, sequence: holding.sequence }
  }

  /** Told with every change of the link to the broker. */
  network(connected: boolean): void {
    this.#cancelGrace?.()
    this.#cancelGrace = undefined
    if (connected || this.#closed) return
    this.#cancelGrace = this.#deps.clock.after(this.#options.networkGraceMs, () => void this.#networkLost())
  }

  /** Lets go of everything: the outputs go safe. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#cancelGrace?.()
    this.#cancelRenewal?.()
    await Promise.all([...this.#held.values()].map((holding) => this.#release(holding)))
  }

  /** A lease that has ended meanwhile is found out here, not by a denied command. */
  async #stillHeld(component: string, principal: string, viaNetwork: boolean): Promise<Holding | undefined> {
    const holding = this.#held.get(component)
    if (!mayRenew(principal)) return undefined
    if (holding?.lease.principal !== principal || holding.viaNetwork !== viaNetwork) return undefined
    // Before anything is waited for: from here on it is not given back as one at rest.
    holding.commandedMs = this.#deps.clock.monotonicMs()
    return (await this.#renew(holding)) ? holding : undefined
  }

  async #acquire(component: string, principal: string, viaNetwork: boolean): Promise<Holding> {
    if (this.#closed) throw new LeaseError('permission', 'the device is stopping')
    try {
      const request = {
        components: [component],
        principal,
        ttlMs: mayRenew(principal) ? ttlMs : programTtlMs,
      }
      const lease = await this.#deps.safety.acquire(request)
      const nowMs = this.#deps.clock.monotonicMs()
      const endsMs = mayRenew(principal) ? Number.POSITIVE_INFINITY : nowMs + programTtlMs
      const holding = { lease, component, viaNetwork, endsMs, sequence: 0, commandedMs: nowMs }
      this.#held.set(component, holding)
      this.#renewLater()
      return holding
    } catch (error) {
      throw new LeaseError('permission', messageOf(error), { cause: error })
    }
  }

  #renewLater(): void {
    if (this.#closed || this.#held.size === 0) return
    this.#cancelRenewal ??= this.#deps.clock.after(renewEveryMs, () => void this.#renewAll())
  }

  async #renewAll(): Promise<void> {
    const nowMs = this.#deps.clock.monotonicMs()
    for (const holding of this.#held.values())
      if (nowMs >= holding.endsMs) this.#ended(holding, 'a program does not extend its lease')
    const renewed = [...this.#held.values()].filter(({ lease }) => mayRenew(lease.principal))
    await Promise.all(renewed.map((holding) => this.#renew(holding)))
    await this.#releaseSafe().catch((error) =>
      this.#deps.log.warn('the safety kernel does not say what its outputs are', {
        reason: messageOf(error),
      }),
    )
    this.#cancelRenewal = undefined
    this.#renewLater()
  }

  async #renew(holding: Holding): Promise<boolean> {
    try {
      await this.#deps.safety.renew(holding.lease.id)
      return true
    } catch (error) {
      this.#ended(holding, messageOf(error))
      return false
    }
  }

  #ended(holding: Holding, reason: string): void {
    const { component, lease } = holding
    this.#forget(holding)
    this.#deps.log.info('a lease has ended', { component, principal: lease.principal, reason })
  }

  /** Nobody needs to hold what is at rest. */
  async #releaseSafe(): Promise<void> {
    const { clock, safety } = this.#deps
    const settled = [...this.#held.values()].filter(
      ({ commandedMs }) => clock.monotonicMs() - commandedMs >= settleMs,
    )
    if (settled.length === 0) return
    const { outputs } = await safety.status()
    for (const holding of settled) {
      // Commanded while the kernel answered: what it said is what was before.
      if (clock.monotonicMs() - holding.commandedMs < settleMs) continue
      const part = `${holding.component.slice(holding.component.indexOf('.') + 1)}.`
      const own = outputs.filter(({ output }) => output.startsWith(part))
      if (own.length > 0 && own.every(({ value, safe }) => value === safe)) await this.#release(holding)
    }
  }

  async #networkLost(): Promise<void> {
    const { log, safety } = this.#deps
    const ending = [...this.#held.values()].filter(
      ({ viaNetwork, component }) => viaNetwork && !this.#options.keeps(component),
    )
    if (ending.length > 0)
      log.warn('the network stays away: what it commanded ends', {
        components: ending.map(({ component }) => component),
      })
    await safety
      .networkLost()
      .catch((error) => log.error('the safety kernel was not told', { reason: messageOf(error) }))
    await Promise.all(ending.map((holding) => this.#release(holding)))
  }

  async #release(holding: Holding): Promise<void> {
    this.#forget(holding)
    await this.#deps.safety.release(holding.lease.id).catch((error) =>
      this.#deps.log.warn('a lease could not be given back; it ends by itself', {
        component: holding.component,
        reason: messageOf(error),
      }),
    )
  }

  #forget(holding: Holding): void {
    if (this.#held.get(holding.component) === holding) this.#held.delete(holding.component)
  }
}

/** A person's and the broker's; whoever is of no known kind counts as a program. */
function mayRenew(principal: string): boolean {
  return principal === 'user' || principal.split(':', 1)[0] === 'mqtt'
}
