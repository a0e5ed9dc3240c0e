/** Three lamps, each with a current while it is lit and whole, and a flasher relay. */
import type { Emulator } from '../contract/emulator.ts'
import { HalError } from '../contract/errors.ts'

const lamps = ['red', 'yellow', 'green'] as const

export const emulatedTrafficHead: Emulator = ({ options }) => {
  const litLevel = options['activeLow'] === true ? 0 : 1
  const levels = new Map<string, 0 | 1>()
  const broken = new Set<string>()
  let drive: (pin: string, value: 0 | 1) => void = () => {}
  const lit = (lamp: string) => (levels.get(lamp) === litLevel && !broken.has(lamp) ? 1 : 0)
  return {
    pins: {
      written(pin, value) {
        levels.set(pin, value)
        drive('redSense', lit('red'))
      },
      start(toComputer) {
        drive = toComputer
        drive('redSense', lit('red'))
        return () => {
          drive = () => {}
        }
      },
    },
    /** `red-broken`: 1 breaks the lamp's filament, 0 puts a new lamp in. */
    set(quantity, value) {
      const lamp = lamps.find((name) => quantity === `${name}-broken`)
      if (!lamp) throw new HalError('unsupported', `a traffic-signal head is not exposed to ${quantity}`)
      if (value === 0) broken.delete(lamp)
      else broken.add(lamp)
      drive('redSense', lit('red'))
    },
    world: () => ({
      ...Object.fromEntries(lamps.map((lamp) => [lamp, lit(lamp)])),
      flash: levels.get('flasher') === litLevel ? 1 : 0,
    }),
  }
}
