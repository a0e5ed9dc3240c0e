/** A relay module with its load: the coil's current decides which contact is closed. */
import type { Emulator } from '../contract/emulator.ts'
import { HalError } from '../contract/errors.ts'

export const emulatedRelay: Emulator = ({ options }) => {
  const levelWithCurrent = options['activeLow'] === true ? 0 : 1
  let level: 0 | 1 = levelWithCurrent === 1 ? 0 : 1
  const coil = () => level === levelWithCurrent
  const closedAtRest = options['normallyOn'] === true
  return {
    pins: {
      written(_pin, value) {
        level = value
      },
      start: () => () => {},
    },
    set(quantity) {
      throw new HalError('unsupported', `a relay is not exposed to ${quantity}`)
    },
    world: () => ({ coil: coil() ? 1 : 0, on: coil() !== closedAtRest ? 1 : 0 }),
  }
}
