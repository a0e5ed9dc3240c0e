/** A contact on a line: the line follows the channel that was configured. */
import type { Emulator } from '../contract/emulator.ts'
import { Exposure } from './exposure.ts'

export const emulatedDigitalInput: Emulator = ({ options }) => {
  const channel = String(options['channel'])
  const exposure = new Exposure({ [channel]: 0 })
  let drive: (pin: string, value: 0 | 1) => void = () => {}
  const show = () =>
    drive('signal', (exposure.get(channel) !== 0) === (options['activeLow'] !== true) ? 1 : 0)
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
