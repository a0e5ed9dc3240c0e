/**
 * What one module's configuration gives it, and the refusal of everything else. Pins of a bus may be named in every way
 * that means this bus: its id, or its header pins where the board's description has them.
 *
 * Invariants: [ecma-419-1] a module reaches the bus, address and pins that its configuration names, and no other;
 * [ecma-419-2] it drives no output: outputs are the safety kernel's.
 */
import type { At } from '../contract/driver.ts'
import { HalError } from '../contract/errors.ts'
import type { DigitalMode, PinRef } from '../contract/io.ts'
import type { Given } from './io-instance.ts'

/** Modes as the standard's static properties; their values are the host's own. */
export const inputModes = {
  Input: 'input',
  InputPullUp: 'input-pull-up',
  InputPullDown: 'input-pull-down',
} as const satisfies Record<string, DigitalMode>
export const bothPulls = 'input-pull-up-down'
export const outputModes = {
  Output: 'output',
  OutputOpenDrain: 'output-open-drain',
} as const satisfies Record<string, DigitalMode>

export class Granted {
  readonly pins: readonly PinRef[]
  readonly #at: At
  readonly #id: string

  constructor(at: At, id: string) {
    this.#at = at
    this.#id = id
    this.pins = Object.values(at.pins)
  }

  refuse(what: string, code: 'permission' | 'unsupported' = 'permission'): never {
    throw new HalError(code, `${this.#id}: ${what}`)
  }

  /** The bus; `pinNames` are the options that name its pins. */
  bus(options: Given, ...pinNames: readonly string[]): string {
    const { bus, busPins = [] } = this.#at
    if (bus === undefined) return this.refuse('its configuration names no bus')
    for (const name of ['bus', 'port']) {
      const asked: unknown = options[name] ?? bus
      if (asked !== bus) this.refuse(`it asked for the bus ${asked}, and was given ${bus}`)
    }
    for (const name of pinNames) {
      const asked: unknown = options[name] ?? bus
      if (asked !== bus && !busPins.some((pin) => pin === asked))
        this.refuse(`it asked for ${name} on pin ${asked}, and was given ${[bus, ...busPins].join(', ')}`)
    }
    return bus
  }

  address(options: Given): number {
    const { address } = this.#at
    const asked = options['address']
    if (typeof address !== 'number') return this.refuse('its configuration names no address')
    return asked === address
      ? address
      : this.refuse(`it asked for the address ${asked}, and was given ${address}`)
  }

  pin(asked: unknown): PinRef {
    const pin = this.pins.find((given) => given === asked)
    return pin ?? this.refuse(`it asked for pin ${asked}, which its configuration does not give`)
  }

  mode(asked: unknown): DigitalMode {
    const mode = Object.values(inputModes).find((known) => known === asked)
    if (mode !== undefined) return mode
    if (asked === bothPulls) return this.refuse('no input here is pulled up and down at once', 'unsupported')
    if (!Object.values(outputModes).some((known) => known === asked))
      throw new RangeError(`mode "${asked}" is none of the class's modes`)
    return this.refuse('it asked for an output; a sensor module has inputs')
  }
}
