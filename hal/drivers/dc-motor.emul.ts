/** A bridge, a motor that turns in proportion to its power, and a quadrature encoder with 100 edges a second at full power. */
import type { Emulator } from '../contract/emulator.ts'
import { HalError } from '../contract/errors.ts'
import type { Cancel } from '../contract/host.ts'

const edgesPerSMax = 100
/** Levels of the two phases, turning forward: A leads B. */
const phases = [
  [0, 0],
  [1, 0],
  [1, 1],
  [0, 1],
] as const

export const emulatedDcMotor: Emulator = ({ host }) => {
  let forward = 0
  let reverse = 0
  let duty = 0
  let blocked = false
  let shorts = 0
  let edges = 0
  let cancel: Cancel | undefined
  let drive: (pin: string, value: 0 | 1) => void = () => {}

  const speed = () => (blocked || (forward === 1 && reverse === 1) ? 0 : (forward - reverse) * duty)
  const turn = () => {
    edges += Math.sign(speed())
    const [a, b] = phases[((edges % 4) + 4) % 4] ?? phases[0]
    drive('encoderA', a)
    drive('encoderB', b)
  }
  const follow = () => {
    cancel?.()
    cancel = undefined
    const rate = Math.abs(speed()) * edgesPerSMax
    if (rate === 0) return
    cancel = host.clock.after(1000 / rate, () => {
      turn()
      follow()
    })
  }

  return {
    pins: {
      written(pin, value) {
        if (pin === 'forward') forward = value
        if (pin === 'reverse') reverse = value
        if (forward === 1 && reverse === 1) shorts += 1
        follow()
      },
      dutyWritten(_pin, value) {
        duty = value
        follow()
      },
      start(toComputer) {
        drive = toComputer
        return () => {
          cancel?.()
          drive = () => {}
        }
      },
    },
    /** `blocked`: 1 holds the shaft. */
    set(quantity, value) {
      if (quantity !== 'blocked') throw new HalError('unsupported', `a motor is not exposed to ${quantity}`)
      blocked = value !== 0
      follow()
    },
    world: () => ({ speed: speed(), shorts, edges }),
  }
}
