/**
 * The levers of a simulated world, for attached parts as well: what an emulated sensor is exposed to can be set, and a part
 * can be unplugged. Everything else is the simulated home's.
 */
import type { SimControl, SimFault } from '../contract/board.ts'
import type { Component, Json } from '../contract/component.ts'
import { HalError } from '../contract/errors.ts'
import type { Host } from '../contract/host.ts'
import type { EmulatorLever } from '../safety/plan.ts'

interface AttachedParts {
  readonly sensors: readonly Component[]
  readonly actuators: readonly Component[]
  emulate(part: string, lever: EmulatorLever): Promise<Readonly<Record<string, number>>>
}

export class AttachedLevers implements SimControl {
  readonly #home: SimControl
  readonly #attached: AttachedParts
  readonly #host: Host
  readonly #components: ReadonlyMap<string, Component>
  /** By part: a fault is of the part, so of all its components. */
  readonly #faults = new Map<string, SimFault>()

  constructor(home: SimControl, attached: AttachedParts, host: Host) {
    this.#home = home
    this.#attached = attached
    this.#host = host
    const components = [...attached.sensors, ...attached.actuators]
    this.#components = new Map(components.map((component) => [component.info.id, component]))
  }

  fault(componentId: string, fault: SimFault | undefined): void {
    const part = this.#partOf(componentId)
    if (part === undefined) {
      this.#home.fault(componentId, fault)
      return
    }
    if (fault && fault.kind !== 'offline')
      throw new HalError(
        'unsupported',
        `${componentId} is an emulated part: it can be offline (unplugged), not ${fault.kind}`,
      )
    if (fault) this.#faults.set(part, fault)
    else this.#faults.delete(part)
    this.#emulate(part, { fault: fault ? { kind: 'unplugged' } : null })
  }

  faults(): ReadonlyMap<string, SimFault> {
    const ofParts = [...this.#components.keys()].flatMap((id): [string, SimFault][] => {
      const fault = this.#faults.get(this.#partOf(id) ?? '')
      return fault ? [[id, fault]] : []
    })
    return new Map([...this.#home.faults(), ...ofParts])
  }

  /** Of an emulated part: what it last reported; its thread has the truth. */
  truth(componentId: string): {
    readonly state: string
    readonly attributes: Readonly<Record<string, Json>>
  } {
    const component = this.#components.get(componentId)
    return component ? component.current() : this.#home.truth(componentId)
  }

  /** `state` is the value of the component's own channel, attributes are quantities by name. */
  set(componentId: string, change: { state?: string; attributes?: Readonly<Record<string, Json>> }): void {
    const part = this.#partOf(componentId)
    if (part === undefined) {
      this.#home.set(componentId, change)
      return
    }
    const channel = componentId.slice(componentId.indexOf(`.${part}_`) + part.length + 2)
    const wanted = {
      ...change.attributes,
      ...(change.state === undefined ? {} : { [channel]: change.state }),
    }
    for (const [quantity, given] of Object.entries(wanted)) {
      const value = given === 'on' ? 1 : given === 'off' ? 0 : Number(given)
      if (!Number.isFinite(value))
        throw new HalError('out-of-range', `${componentId}: ${quantity} must be a number, on or off`)
      this.#emulate(part, { quantity, value })
    }
  }

  #partOf(componentId: string): string | undefined {
    return this.#components.get(componentId)?.info.device?.id
  }

  #emulate(part: string, lever: EmulatorLever): void {
    this.#attached
      .emulate(part, lever)
      .catch((error) => this.#host.log.warn('an emulated part did not take a lever', { part, error }))
  }
}
