/**
 * Emulated BH1750FVI: obeys instructions only when powered on, gives the last result until a measurement ends (120 ms
 * typically, scaled by the measurement time), and powers down after a one-time measurement.
 */
import type { Emulator } from '../contract/emulator.ts'
import { Exposure } from './exposure.ts'

const countsPerLux = 1.2

export const emulatedBh1750: Emulator = ({ host }) => {
  const exposure = new Exposure({ illuminance: 320 })
  let powered = false
  let time = 69
  let result = 0
  let running: { readonly gain: number; readonly readyAtMs: number } | undefined

  const reset = () => {
    powered = false
    time = 69
    result = 0
    running = undefined
  }
  const settle = () => {
    if (!running || host.clock.monotonicMs() < running.readyAtMs) return
    const counts = exposure.get('illuminance') * countsPerLux * (time / 69) * running.gain
    result = Math.round(Math.min(65_535, Math.max(0, counts)))
    running = undefined
    powered = false
  }
  const obey = (instruction: number) => {
    if (instruction === 0x01) powered = true
    else if (instruction === 0x00) powered = false
    else if (instruction >> 3 === 0x08) time = (time & 0x1f) | ((instruction & 0x07) << 5)
    else if (instruction >> 5 === 0x03) time = (time & 0xe0) | (instruction & 0x1f)
    else if (!powered) return
    else if (instruction === 0x07) result = 0
    else if (instruction === 0x20 || instruction === 0x21)
      running = {
        gain: instruction === 0x21 ? 2 : 1,
        readyAtMs: host.clock.monotonicMs() + (120 * time) / 69,
      }
  }
  return {
    i2c: {
      write(bytes) {
        settle()
        for (const instruction of bytes) obey(instruction)
      },
      read(byteLength) {
        settle()
        return Uint8Array.from({ length: byteLength }, (_, at) =>
          at % 2 === 0 ? result >> 8 : result & 0xff,
        )
      },
    },
    set: (quantity, value) => exposure.set(quantity, value),
    world: () => exposure.all(),
    powerOn: reset,
  }
}
