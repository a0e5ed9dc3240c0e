/**
 * HC-SR04: after the trigger fell it sends eight periods of 40 kHz, then raises echo for as long as the sound travels, 38 ms
 * where nothing reflects it. It hears no trigger while it measures (ElecFreaks data sheet, timing diagram).
 */
import type { Emulator } from '../contract/emulator.ts'
import type { Cancel } from '../contract/host.ts'
import { Exposure } from './exposure.ts'

const burstMs = 0.2
const nothingMs = 38
const reachM = 4.2

export const emulatedHcSr04: Emulator = ({ host }) => {
  const exposure = new Exposure({ distance: 1.2, airTemperature: 20 })
  let drive: (pin: string, value: 0 | 1, atMs?: number) => void = () => {}
  let triggered = false
  let cancel: Cancel | undefined

  const measure = () => {
    // Near 20 °C the velocity of sound grows by 0.6 m/s per degree.
    const mPerMs = (331.4 + 0.6 * exposure.get('airTemperature')) / 1000
    const metres = exposure.get('distance')
    const highMs = metres > reachM ? nothingMs : (2 * metres) / mPerMs
    const riseMs = host.clock.monotonicMs() + burstMs
    cancel = host.clock.after(burstMs, () => {
      drive('echo', 1, riseMs)
      cancel = host.clock.after(highMs, () => {
        cancel = undefined
        drive('echo', 0, riseMs + highMs)
      })
    })
  }

  return {
    pins: {
      written(pin, value) {
        if (pin !== 'trigger') return
        if (triggered && value === 0 && !cancel) measure()
        triggered = value === 1
      },
      start(toComputer) {
        drive = toComputer
        return () => {
          cancel?.()
          cancel = undefined
          drive = () => {}
        }
      },
    },
    set: (quantity, value) => exposure.set(quantity, value),
    world: () => exposure.all(),
  }
}
