/**
 * DS18B20: the scratchpad after a conversion, as figure 9 of its data sheet (19-7487 revision 6) has it, at 12 bits. Its CRC is
 * made as the shift register of figure 11 makes it.
 */
import type { Emulator } from '../contract/emulator.ts'
import { Exposure } from './exposure.ts'

export const emulatedDs18b20: Emulator = () => {
  const exposure = new Exposure({ temperature: 21.5 })
  return {
    oneWire: {
      scratchpad() {
        const sixteenths = Math.round(Math.max(-67, Math.min(127.9, exposure.get('temperature'))) * 16)
        const raw = sixteenths & 0xffff
        const bytes = [raw & 0xff, raw >> 8, 0x4b, 0x46, 0x7f, 0xff, 0x10 - (raw & 0x0f), 0x10]
        return Uint8Array.from([...bytes, shiftRegister(bytes)])
      },
    },
    set: (quantity, value) => exposure.set(quantity, value),
    world: () => exposure.all(),
  }
}

/** Eight stages; the input is fed back into stages 1, 5 and 6 (X^8 + X^5 + X^4 + 1), least significant bit first. */
function shiftRegister(bytes: readonly number[]): number {
  const stages = [0, 0, 0, 0, 0, 0, 0, 0]
  for (const byte of bytes) {
    for (let n = 0; n < 8; n++) {
      const feedback = ((byte >> n) & 1) ^ (stages[7] ?? 0)
      stages.pop()
      stages.unshift(feedback)
      stages[4] = (stages[4] ?? 0) ^ feedback
      stages[5] = (stages[5] ?? 0) ^ feedback
    }
  }
  return stages.reduce((value, stage, n) => value | (stage << (7 - n)), 0)
}
