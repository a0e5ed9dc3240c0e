/** An emulated part whose one output line, `signal`, follows one quantity: high while it is not 0, or low where `activeLow` says. */
import type { EmulatedPart } from '../contract/emulator.ts'
import { Exposure } from './exposure.ts'

export function emulatedContact(quantity: string, activeLow: boolean): EmulatedPart {
  const exposure = new Exposure({ [quantity]: 0 })
  let drive: (pin: string, value: 0 | 1) => void = () => {}
  const show = () => drive('signal', (exposure.get(quantity) !== 0) !== activeLow ? 1 : 0)
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
    set(changed, value) {
      exposure.set(changed, value)
      show()
    },
    world: () => exposure.all(),
  }
}
