/** A PIR module: its output follows `motion`. */
import type { Emulator } from '../contract/emulator.ts'
import { Exposure } from './exposure.ts'

export const emulatedPir: Emulator = ({ options }) => {
  const exposure = new Exposure({ motion: 0 })
  let drive: (pin: string, value: 0 | 1) => void = () => {}
  const show = () =>
    drive('signal', (exposure.get('motion') !== 0) !== (options['activeLow'] === true) ? 1 : 0)
  return {
    pins: {
      written: () => {},
      start(toComputer) {
        drive = toComputer
        show()
        return () => {
          drive = () => {}
        }
      },
    },
    set(quantity, value) {
      exposure.set(quantity, value)
      show()
    },
    world: () => exposure.all(),
  }
}
