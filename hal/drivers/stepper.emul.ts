/**
 * A stepping motor: its rotor turns to the direction of the coils' summed field, by the shorter way. Against a field of the
 * opposite direction, or none, it stays.
 */
import type { Emulator } from '../contract/emulator.ts'
import { HalError } from '../contract/errors.ts'

const coils = ['a', 'b', 'c', 'd']

export const emulatedStepper: Emulator = ({ options }) => {
  const current = [0, 0, 0, 0]
  /** In eighths of an electrical turn. */
  let rotor = options['mode'] === 'full' ? 1 : 0

  const follow = () => {
    const [a = 0, b = 0, c = 0, d = 0] = current
    if (a === c && b === d) return
    const field = (Math.round(Math.atan2(b - d, a - c) / (Math.PI / 4)) + 8) % 8
    const turn = (((field - rotor) % 8) + 8) % 8
    if (turn !== 4) rotor += turn > 4 ? turn - 8 : turn
  }

  return {
    pins: {
      written(pin, value) {
        const coil = coils.indexOf(pin)
        if (coil >= 0) current[coil] = value
        follow()
      },
      start: () => () => {},
    },
    set(quantity) {
      throw new HalError('unsupported', `a stepping motor is not exposed to ${quantity}`)
    },
    world: () => ({
      steps: options['mode'] === 'full' ? (rotor - 1) / 2 : rotor,
      current: current.reduce((sum, value) => sum + value, 0),
    }),
  }
}
