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

export const emulatedHcSr04: Emulator = ({ host, options }) => {
  const airTemperature = Number(options['airTemperature'] ?? 20)
  const exposure = new Exposure({ distance: 1.2, airTemperature })
  let drive: (pin: string, value: 0 | 1, atMs?: number) => void = () => {}
  let triggered = false
  let cancel: Cancel | undefined

  const measure = () => {
    // Velocity of sound in an ideal gas: 20.05 m/s for the root of a kelvin, in air.
    const mPerMs = (20.05 * Math.sqrt(exposure.get('airTemperature') + 273.15)) / 1000
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
