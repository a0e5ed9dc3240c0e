/**
 * An I2C target whose first written byte is a register pointer, as most parts have it: further bytes go into registers, reads
 * start at the pointer. What a register holds is the part's business.
 */
import type { EmulatedI2c, EmulatedPart } from '../contract/emulator.ts'
import type { Exposure } from './exposure.ts'

export interface Registers {
  /** `bytes` were written to register `register` and those after it. */
  written(register: number, bytes: Uint8Array): void
  /** `byteLength` bytes from `register` on. */
  read(register: number, byteLength: number): Uint8Array
}

/** The pointer is 0 at power-on; `reset` makes it so again. */
export function registerTarget(registers: Registers): EmulatedI2c & { reset(): void } {
  let pointer = 0
  return {
    reset() {
      pointer = 0
    },
    write(bytes) {
      const [register, ...rest] = bytes
      if (register === undefined) return
      pointer = register
      if (rest.length > 0) registers.written(register, Uint8Array.from(rest))
    },
    read: (byteLength) => registers.read(pointer, byteLength),
  }
}

/** A part that is such a target and nothing else; `powerOn` makes its registers what they are when power comes. */
export function registerPart(exposure: Exposure, registers: Registers, powerOn: () => void): EmulatedPart {
  const target = registerTarget(registers)
  return {
    i2c: target,
    set: (quantity, value) => exposure.set(quantity, value),
    world: () => exposure.all(),
    powerOn() {
      powerOn()
      target.reset()
    },
  }
}

/** As parts with registers of 16 bits send them, the higher byte first, over again for a longer read. */
export const wordBytes = (word: number, byteLength: number): Uint8Array =>
  Uint8Array.from({ length: byteLength }, (_, at) => (at % 2 === 0 ? word >> 8 : word & 0xff))
