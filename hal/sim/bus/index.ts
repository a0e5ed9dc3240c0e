/**
 * A machine's pins and buses with emulated parts on them, instead of wires: drivers run on its `io` unchanged. The world's
 * side can change what parts are exposed to, break wires, and drive or watch pins that no part is on.
 */

import type { At, Connection } from '../../contract/driver.ts'
import type { EmulatedPart } from '../../contract/emulator.ts'
import { HalError } from '../../contract/errors.ts'
import type { Cancel, Host } from '../../contract/host.ts'
import type { Io, PinRef } from '../../contract/io.ts'
import type { ProviderRegistry } from '../../drivers/provider-registry.ts'
import type { BusFault } from './bus-fault.ts'
import type { Level, LineUse } from './emulated-line.ts'
import { EmulatedMachine } from './emulated-machine.ts'

export type { BusFault } from './bus-fault.ts'

export interface EmulatedIoOptions {
  readonly host: Host
  /** Pins `<part>:<pin>` are opened here; absent: they are refused. */
  readonly providers?: ProviderRegistry
  /** Ids of the buses that there are; absent: every bus that is asked for. */
  readonly buses?: readonly string[]
  /** One name for every way to write a pin (`11`, `GPIO17`); throws HalError for a pin that is not. Default: as written. */
  readonly pinName?: (pin: PinRef) => string
}

/** What the world sees of one line. */
export interface SeenLine {
  readonly level: Level
  readonly use: LineUse
  /** PWM: 0 to 1. */
  readonly duty: number
  readonly hz: number
}

export interface EmulatedWorld {
  readonly io: Io
  /**
   * Hangs a part on the machine until the returned function is called. Throws HalError `busy` in one line naming both
   * parts where an address, port or pin is taken.
   */
  attach(id: string, at: At, connection: Connection, part: EmulatedPart): Cancel
  /** Throws HalError `not-present` for an unknown id. */
  part(id: string): EmulatedPart
  /** Breaks the wires of a part or of a whole bus, or mends them with `undefined`. */
  fault(target: string, fault: BusFault | undefined): void
  /** Drives a pin from outside; `undefined` lets it float. */
  drive(pin: PinRef, level: Level | undefined): void
  /** Shorts a pin to a level that beats the computer's output; `undefined` mends it. */
  hold(pin: PinRef, level: Level | undefined): void
  seen(pin: PinRef): SeenLine
  /** Hears every change of output lines; lines that one call wrote arrive together. */
  onOutputs(listener: (levels: Readonly<Record<string, Level>>) => void): Cancel
}

export function createEmulatedIo(options: EmulatedIoOptions): EmulatedWorld {
  const machine = new EmulatedMachine(options)
  const { providers } = options
  const bare: Io = {
    digital: (asked) => machine.digital(asked),
    digitalBank: (asked) => machine.digitalBank(asked),
    pulseCount: (asked) => machine.pulseCount(asked),
    pwm: (asked) => machine.pwm(asked),
    analog(asked) {
      throw new HalError('unsupported', `pin ${asked.pin} has no analog input`)
    },
    i2c: (asked) => machine.i2c(asked),
    smbus: (asked) => machine.smbus(asked),
    spi: (asked) => machine.spi(asked),
    serial: (asked) => machine.serial(asked),
    oneWire: (asked) => machine.oneWire(asked),
  }
  return {
    io: providers?.over(bare) ?? bare,
    attach: (id, at, connection, part) => machine.attach(id, at, connection, part),
    part: (id) => machine.attached(id).part,
    fault: (target, fault) => machine.setFault(target, fault),
    drive: (pin, level) => machine.line(pin).drive(level),
    hold: (pin, level) => machine.line(pin).hold(level),
    seen(pin) {
      const { level, use, duty, hz } = machine.line(pin)
      return { level, use, duty, hz }
    },
    onOutputs: (listener) => machine.onOutputs(listener),
  }
}
