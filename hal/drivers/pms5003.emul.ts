/** PMS5003 in active mode: a frame of appendix I of its manual (V2.3) every second. */
import type { Emulator } from '../contract/emulator.ts'
import { Exposure } from './exposure.ts'
import { sendsEvery } from './sends-every.ts'

const everyMs = 1000

export const emulatedPms5003: Emulator = ({ host }) => {
  const exposure = new Exposure({ pm1: 4, pm25: 7, pm10: 9 })
  const frame = (): Uint8Array => {
    const concentrations = ['pm1', 'pm25', 'pm10'].map((name) =>
      Math.max(0, Math.min(0xffff, Math.round(exposure.get(name)))),
    )
    // Standard particles, atmosphere, counts per 0.1 l in six sizes, version 151 (97h) and no error.
    const words = [28, ...concentrations, ...concentrations, 900, 260, 40, 6, 2, 0, 0x9700]
    const bytes = [0x42, 0x4d, ...words.flatMap((word) => [word >> 8, word & 0xff])]
    let sum = 0
    for (const byte of bytes) sum += byte
    return Uint8Array.from([...bytes, sum >> 8, sum & 0xff])
  }
  return {
    serial: sendsEvery(host.clock, everyMs, () => [frame()]),
    set: (quantity, value) => exposure.set(quantity, value),
    world: () => exposure.all(),
  }
}
