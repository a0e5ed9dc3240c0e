/** A servo: turns towards where the pulse points, 0.1 s for 60° (SG90 data sheet, operating speed at 4.8 V). */
import type { Emulator } from '../contract/emulator.ts'
import { HalError } from '../contract/errors.ts'

const degreesPerMs = 60 / 100

export const emulatedServo: Emulator = ({ host, options }) => {
  const from = Number(options['pulseMinUs'])
  const to = Number(options['pulseMaxUs'])
  const range = Number(options['travelDegrees'])
  let angle = 0
  let target: number | undefined
  let sinceMs = host.clock.monotonicMs()
  let pulseUs = 0

  /** Where the arm is by now. */
  const turn = () => {
    const nowMs = host.clock.monotonicMs()
    const way = (nowMs - sinceMs) * degreesPerMs
    const left = target === undefined ? 0 : target - angle
    angle = Math.abs(left) <= way ? (target ?? angle) : angle + Math.sign(left) * way
    sinceMs = nowMs
  }

  return {
    pins: {
      written: () => {},
      dutyWritten(_pin, duty, hz) {
        turn()
        pulseUs = (duty * 1e6) / hz
        // Without pulses it is limp; outside its pulses it stops at its end.
        const part = Math.max(0, Math.min(1, (pulseUs - from) / (to - from)))
        target = pulseUs === 0 ? undefined : (options['reversed'] === true ? 1 - part : part) * range
      },
      start: () => () => {},
    },
    set(quantity, value) {
      if (quantity !== 'angle') throw new HalError('unsupported', `a servo is not exposed to ${quantity}`)
      turn()
      angle = value
    },
    world() {
      turn()
      return { angle, pulseUs, limp: target === undefined ? 1 : 0 }
    },
  }
}
