/**
 * Latched faults and arming: what stands in the way of moving at all. A fault covers the components that it names and all
 * that share rules with them; an emergency stop covers everything, also what was attached since.
 */
import type { Denial, Fault, FaultCause } from '../contract/safety.ts'
import type { Component } from './kernel-output.ts'
import type { KernelConfig, KernelMemory } from './kernel-types.ts'

export class Faults {
  readonly #config: KernelConfig
  readonly #components: readonly Component[]
  readonly #latched: Fault[]
  #latchings = 0
  emergencyStop = false
  monitorContent = false

  constructor(config: KernelConfig, components: readonly Component[], memory: KernelMemory) {
    this.#config = config
    this.#components = components
    this.#latched = [...memory.faults]
    this.#cover()
  }

  get latched(): readonly Fault[] {
    return this.#latched
  }

  /** Why this component must not move. */
  covering(component: Component): Denial | undefined {
    if (!component.faulty) return undefined
    const fault = this.#latched.find((f) => this.#covers(f).includes(component))
    return {
      rule: 'fault',
      message: `${component.id} stays safe: fault ${fault?.id} (${fault?.cause}) is latched`,
    }
  }

  /** Machines and signals move only after a person armed them. */
  get armsItself(): boolean {
    return this.#config.arming === 'automatic' && this.#components.every((c) => !c.config.safetyClass)
  }

  /** Traffic signals with all that share rules with them; everything where there are none. */
  get monitored(): readonly Component[] {
    const signals = this.#components.filter((c) => c.config.safetyClass === 'traffic-signal')
    return signals.length > 0 ? signals : this.#components
  }

  /** Undefined when the same cause is latched for all of them already: repeating it would fill the disk. */
  latch(
    cause: FaultCause,
    components: readonly Component[],
    message: string,
    epochMs: number,
  ): Fault | undefined {
    const ids = components.map(({ id }) => id)
    const same = this.#latched.filter((fault) => fault.cause === cause)
    if (same.length > 0 && ids.every((id) => same.some((fault) => fault.components.includes(id)))) {
      return undefined
    }
    this.#latchings++
    const id = `${this.#config.startId}-fault-${this.#latchings}`
    const fault: Fault = { id, cause, components: ids, message, atMs: epochMs }
    this.#latched.push(fault)
    this.#cover()
    return fault
  }

  /** Why it cannot be cleared (yet). */
  stillThere(fault: Fault | undefined, unknown: string): Denial | undefined {
    if (!fault) return { rule: 'fault', message: unknown }
    const { cause } = fault
    if (cause === 'emergency-stop' && this.emergencyStop) {
      return { rule: 'emergency-stop', message: 'the emergency stop is pressed: release it first' }
    }
    if (cause === 'conflict-monitor' && !this.monitorContent) {
      return { rule: 'fault', message: 'the conflict monitor is not content yet' }
    }
    return undefined
  }

  clear(fault: Fault): void {
    this.#latched.splice(this.#latched.indexOf(fault), 1)
    this.#cover()
  }

  /** What keeps it from being armed. A person may arm the rest beside a fault that does not cover everything. */
  inTheWay(by: 'itself' | 'person'): readonly Denial[] {
    const found: Denial[] = []
    if (this.emergencyStop) found.push({ rule: 'emergency-stop', message: 'the emergency stop is pressed' })
    const all = this.#components.every(({ faulty }) => faulty)
    for (const { id, cause, message } of by === 'itself' || all ? this.#latched : []) {
      found.push({ rule: 'fault', message: `fault ${id} (${cause}) is latched: ${message}` })
    }
    const signal = this.#components.find((c) => c.config.safetyClass === 'traffic-signal')
    if (signal && !this.#config.hasConflictMonitor) {
      const message = `${signal.id} is a traffic signal: it needs safety.conflictMonitor, an external conflict monitor`
      found.push({ rule: 'disarmed', message })
    } else if (signal && !this.monitorContent) {
      found.push({ rule: 'disarmed', message: 'the conflict monitor is not content' })
    }
    return found
  }

  #cover(): void {
    for (const component of this.#components) component.faulty = false
    for (const fault of this.#latched) for (const component of this.#covers(fault)) component.faulty = true
  }

  #covers({ cause, components }: Fault): readonly Component[] {
    if (cause === 'emergency-stop') return this.#components
    return this.#components.filter((c) => components.includes(c.id)).flatMap((c) => c.group)
  }
}
