/**
 * PCA9685 as its data sheet (NXP, revision 4) has it: power-on values of table 4, SLEEP and auto-increment of 7.3.1, a
 * prescaler that can be set only while it sleeps and not below 3 (7.3.5), full-on and full-off bits of 7.3.3. RESTART
 * and the sub-addresses are registers without effect.
 */
import type { Emulator } from '../contract/emulator.ts'
import { HalError } from '../contract/errors.ts'

const MODE1 = 0
const LED0 = 6
const ALL_LED = 0xfa
const PRE_SCALE = 0xfe

export const emulatedPca9685: Emulator = () => {
  let registers = powerOn()
  let pointer = 0
  const asleep = () => ((registers[MODE1] ?? 0) & 0x10) !== 0
  const put = (address: number, value: number) => {
    if (address === PRE_SCALE) {
      if (asleep()) registers[PRE_SCALE] = Math.max(3, value)
    } else if (address >= ALL_LED && address < PRE_SCALE) {
      for (let n = 0; n < 16; n++) registers[LED0 + 4 * n + (address - ALL_LED)] = value
    } else registers[address] = value
  }
  const advance = () => {
    // 7.3.1, AI: the pointer goes through the LED registers and back to MODE1.
    if ((registers[MODE1] ?? 0) & 0x20) pointer = pointer === 0x45 ? 0 : (pointer + 1) & 0xff
  }
  /** Part of the time that an output is high. */
  const duty = (channel: number): number => {
    if (asleep()) return 0
    const [onLow = 0, onHigh = 0, offLow = 0, offHigh = 0] = registers.slice(LED0 + 4 * channel)
    if (offHigh & 0x10) return 0
    if (onHigh & 0x10) return 1
    const counts = ((offHigh & 0x0f) << 8) + offLow - (((onHigh & 0x0f) << 8) + onLow)
    return ((counts + 4096) % 4096) / 4096
  }

  return {
    i2c: {
      write(bytes) {
        const [address, ...values] = bytes
        if (address !== undefined) pointer = address
        for (const value of values) {
          put(pointer, value)
          advance()
        }
      },
      read(byteLength) {
        return Uint8Array.from({ length: byteLength }, () => {
          const value = registers[pointer] ?? 0
          advance()
          return value
        })
      },
    },
    provided: {
      drive(pin) {
        throw new HalError('unsupported', `channel ${pin} is an output`)
      },
      seen: duty,
    },
    powerOn() {
      registers = powerOn()
      pointer = 0
    },
    set(quantity) {
      throw new HalError('unsupported', `a PCA9685 is not exposed to ${quantity}`)
    },
    world: () => ({
      hz: 25e6 / 4096 / ((registers[PRE_SCALE] ?? 0) + 1),
      asleep: asleep() ? 1 : 0,
      ...Object.fromEntries(Array.from({ length: 16 }, (_, n) => [`duty ${n}`, duty(n)])),
    }),
  }
}

/** Table 4 and 7.3: asleep, all-call on, totem pole, every channel fully off, 200 Hz. */
function powerOn(): Uint8Array {
  const registers = new Uint8Array(256)
  registers[MODE1] = 0x11
  registers[1] = 0x04
  for (let n = 0; n < 16; n++) registers[LED0 + 4 * n + 3] = 0x10
  registers[PRE_SCALE] = 0x1e
  return registers
}
