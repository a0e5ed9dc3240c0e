/** One emulated machine with sensors on it, as the conformance suite needs them. */

import type { Reading } from '../../hal/contract/channels.ts'
import type {
  At,
  Connection,
  OptionRules,
  Options,
  SensorDevice,
  SensorDriver,
} from '../../hal/contract/driver.ts'
import type { EmulatedPart, Emulator } from '../../hal/contract/emulator.ts'
import { defaultOptions } from '../../hal/drivers/options.ts'
import { createEmulatedIo, type EmulatedWorld } from '../../hal/sim/bus/index.ts'
import { sleep, type VirtualClock } from '../../runtime/base/clock.ts'
import { testHost } from '../unit/hal/host.ts'

export interface SensorPart {
  readonly driver: SensorDriver
  readonly emulator: Emulator
}

export const never = new AbortController().signal

/** A place for the n-th part of its kind: another address where there is one, else another bus. */
export function placeOf(connection: Connection, nth = 0): At {
  const names = 'pins' in connection ? Object.keys(connection.pins ?? {}) : []
  const pins = Object.fromEntries(names.map((name, index) => [name, 1 + index + nth * 20]))
  switch (connection.bus) {
    case 'i2c': {
      const count = connection.addresses.length
      const address = connection.addresses[nth % count] ?? 0
      return { bus: `i2c-${1 + Math.floor(nth / count)}`, address, pins }
    }
    case 'spi':
      return { bus: `spi-0.${nth}`, pins }
    case 'serial':
      return { bus: `uart-${nth}`, pins }
    case 'one-wire': {
      const family = (connection.families[0] ?? 0).toString(16).padStart(2, '0')
      return { bus: 'w1-0', address: `${family}-0000075a1b2${nth}`, pins: {} }
    }
    case 'pins':
      return { pins }
  }
}

/** No part needs longer after power-on until its values count. */
const warmUpMsMax = 300_000

/** The defaults, and each option in turn at each of its choices or at its ends. */
export function optionVariants(rules: OptionRules): Options[] {
  const defaults = defaultOptions(rules)
  const others = Object.entries(rules).flatMap(([name, rule]) => {
    const values =
      rule.type === 'number'
        ? [rule.min, rule.max]
        : rule.type === 'choice'
          ? rule.choices
          : rule.type === 'boolean'
            ? [false, true]
            : []
    return values.filter((value) => value !== rule.default).map((value) => ({ ...defaults, [name]: value }))
  })
  return [defaults, ...others]
}

export class SensorRig {
  readonly clock: VirtualClock
  readonly world: EmulatedWorld
  readonly driver: SensorDriver
  readonly options: Options
  readonly #emulator: Emulator
  readonly #host: ReturnType<typeof testHost>['host']

  constructor(part: SensorPart, options: Options = defaultOptions(part.driver.options)) {
    const { host, clock } = testHost()
    this.#host = host
    this.clock = clock
    this.world = createEmulatedIo({ host })
    this.driver = part.driver
    this.options = options
    this.#emulator = part.emulator
  }

  /** Hangs a part on the machine: the emulator, or `instead` of it. */
  attach(id: string, nth = 0, instead?: (emulated: EmulatedPart) => EmulatedPart): EmulatedPart {
    const at = placeOf(this.driver.connection, nth)
    const emulated = this.#emulator({ host: this.#host, at, options: this.options })
    const part = instead?.(emulated) ?? emulated
    this.world.attach(id, at, this.driver.connection, part)
    return emulated
  }

  open(id: string, nth = 0, signal = never): Promise<SensorDevice> {
    const at = placeOf(this.driver.connection, nth)
    const context = { io: this.world.io, at, options: this.options, host: this.#host, id }
    return this.clock.run(() => this.driver.open(context, signal))
  }

  sample(device: SensorDevice, signal = never): Promise<Reading> {
    return this.clock.run(() => device.sample(signal))
  }

  /** Lets time pass until the part is warm; what it sends meanwhile is received. */
  warmUp(): Promise<void> {
    return this.clock.run(() => sleep(this.clock, warmUpMsMax))
  }

  /** Lets the part see what it is exposed to for as long as its user would wait between samples. */
  settle(): void {
    this.clock.advance(Math.max(this.driver.sampleEveryMs.min, this.driver.sampleEveryMs.default))
  }
}
