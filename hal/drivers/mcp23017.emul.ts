/**
 * MCP23017 as its data sheet (DS20001952C) has it: registers of table 3-4 and 3-5 with their power-on values, the address
 * pointer of 3.2.1, inputs and latches of 3.5. Interrupts (3.6) are registers without effect.
 */
import type { Emulator } from '../contract/emulator.ts'
import { HalError } from '../contract/errors.ts'

const IODIR = 0
const IPOL = 1
const IOCON = 5
const GPPU = 6
const GPIO = 9
const OLAT = 10
const BANK = 0x80
const SEQOP = 0x20

export const emulatedMcp23017: Emulator = () => {
  /** Registers 0 to 10 of each port, in the order of table 3-3. */
  let ports = powerOn()
  let pointer = 0
  /** Levels that the world drives; undefined: nothing does. */
  const driven: (0 | 1 | undefined)[] = new Array(16).fill(undefined)

  const register = (address: number): { port: number; index: number } | undefined => {
    const banked = (ports[0]?.[IOCON] ?? 0) & BANK
    const port = banked ? address >> 4 : address & 1
    const index = banked ? address & 0x0f : address >> 1
    return index > OLAT || port > 1 ? undefined : { port, index }
  }
  const get = (port: number, index: number) => ports[port]?.[index] ?? 0
  const level = (pin: number): number => {
    const [port, bit] = [pin >> 3, 1 << (pin & 7)]
    if ((get(port, IODIR) & bit) === 0) return get(port, OLAT) & bit ? 1 : 0
    return driven[pin] ?? (get(port, GPPU) & bit ? 1 : 0)
  }
  const gpio = (port: number): number => {
    let value = 0
    for (let n = 0; n < 8; n++) value |= level(port * 8 + n) << n
    // IPOL inverts inputs only (3.5.2).
    return value ^ (get(port, IPOL) & get(port, IODIR))
  }
  const advance = () => {
    // SEQOP = 1: the pointer toggles between the two registers of a pair (BANK = 0), or stays (BANK = 1).
    const iocon = ports[0]?.[IOCON] ?? 0
    if (iocon & SEQOP) pointer = iocon & BANK ? pointer : pointer ^ 1
    else pointer = (pointer + 1) % (iocon & BANK ? 0x1b : 0x16)
  }
  const put = (value: number) => {
    const place = register(pointer)
    // A write to the port is a write to its latch (3.5.10); IOCON is one register at two addresses.
    if (place?.index === IOCON) for (const port of ports) port[IOCON] = value & 0xfe
    else if (place) {
      const port = ports[place.port]
      if (port) port[place.index === GPIO ? OLAT : place.index] = value
    }
    advance()
  }

  return {
    i2c: {
      write(bytes) {
        const [address, ...values] = bytes
        if (address !== undefined) pointer = address
        for (const value of values) put(value)
      },
      read(byteLength) {
        return Uint8Array.from({ length: byteLength }, () => {
          const place = register(pointer)
          const value = !place ? 0 : place.index === GPIO ? gpio(place.port) : get(place.port, place.index)
          advance()
          return value
        })
      },
    },
    provided: {
      drive(pin, value) {
        driven[pin] = value === 0 ? 0 : 1
      },
      seen: level,
    },
    powerOn() {
      ports = powerOn()
      pointer = 0
    },
    set(quantity) {
      throw new HalError('unsupported', `an MCP23017 is not exposed to ${quantity}`)
    },
    world: () => Object.fromEntries(driven.map((_, pin) => [`pin ${pin}`, level(pin)])),
  }
}

/** Table 3-3: all zero but the directions, which are inputs. */
function powerOn(): number[][] {
  return [0, 1].map(() => [0xff, ...new Array<number>(OLAT).fill(0)])
}
