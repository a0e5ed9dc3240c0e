/**
 * One simulated component: what is true of it, what it reports, and the fault that lies between.
 *
 * Invariants: [hal-sim-1] every report is complete and in order; [hal-sim-2] a fault never alters what is true, only what
 * moves and what is reported from then on; [hal-sim-3] nothing is reported and no timer is left after disposal.
 */
import type { SimFault } from '../contract/board.ts'
import type { Component, ComponentInfo, Telemetry } from '../contract/component.ts'
import { HalError } from '../contract/errors.ts'
import type { Cancel, Host } from '../contract/host.ts'
import type { ParsedEntity } from './home.ts'
import { applyChange, type Change, type Snapshot } from './kinds/kind.ts'

export class SimComponent implements Component {
  readonly info: ComponentInfo
  protected readonly host: Host
  #truth: Snapshot
  /** What a lying device pretends; otherwise absent. */
  #claimed: Snapshot | undefined
  #fault: SimFault | undefined
  #reported: Telemetry
  #closed = false
  readonly #listeners = new Set<(telemetry: Telemetry) => void>()

  constructor(entity: ParsedEntity, host: Host) {
    this.info = entity.info
    this.host = host
    this.#truth = { state: entity.state, attributes: entity.attributes }
    this.#reported = { ...this.#truth, tsMs: host.clock.nowMs() }
  }

  current(): Telemetry {
    return this.#reported
  }

  onTelemetry(listener: (telemetry: Telemetry) => void): Cancel {
    if (!this.#closed) this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  get truth(): Snapshot {
    return this.#truth
  }

  get fault(): SimFault | undefined {
    return this.#fault
  }

  /** Injects a fault or clears it, and reports what the device then shows. */
  setFault(fault: SimFault | undefined): void {
    this.assertOpen()
    this.#fault = fault
    this.#claimed = fault?.kind === 'lying' ? this.#truth : undefined
    this.report()
  }

  /** The world alters the device. */
  setTruth(change: Change): void {
    this.assertOpen()
    this.#truth = applyChange(this.#truth, change)
    this.report()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    this.#listeners.clear()
  }

  protected assertOpen(): void {
    if (this.#closed) throw new HalError('closed', `${this.info.id}: the board is closed`)
  }

  protected assertPresent(): void {
    this.assertOpen()
    if (this.#fault?.kind === 'offline')
      throw new HalError('not-present', `${this.info.id}: the device is offline`)
  }

  /** The device's own movement: real, or only claimed by a device that lies. */
  protected move(apply: (now: Snapshot) => Change): void {
    if (this.#claimed) this.#claimed = applyChange(this.#claimed, apply(this.#claimed))
    else this.#truth = applyChange(this.#truth, apply(this.#truth))
    this.report()
  }

  /** Sends a complete report of what the device shows. */
  protected report(): void {
    this.#reported = { ...this.#shown(), tsMs: this.host.clock.nowMs() }
    for (const listener of this.#listeners) listener(this.#reported)
  }

  #shown(): Snapshot {
    const snapshot = this.#claimed ?? this.#truth
    if (this.#fault?.kind === 'offline') return { ...snapshot, state: 'unavailable' }
    const lie = this.#fault?.kind === 'lying' ? this.#fault.telemetry : undefined
    return lie ? applyChange(snapshot, lie) : snapshot
  }
}
