/**
 * Pulses for a servo. The kernel ramps what is commanded; after a release its ramp starts anew from the safe angle while the
 * arm is where it was let go, so the port goes from there at the same speed until it has caught up: one timer a period of the
 * pulses, for at most the time of the whole travel, ended by a release and by closing.
 */
import type { OutputPort } from '../contract/driver.ts'
import { HalError } from '../contract/errors.ts'
import type { Cancel, HostClock } from '../contract/host.ts'
import type { Pwm } from '../contract/io.ts'
import type { OutputValues } from '../contract/safety.ts'

export interface ServoShape {
  readonly travelDegrees: number
  /** Pulses at both ends of the travel. */
  readonly pulseUs: readonly [number, number]
  /** 0° is where the pulse is longest. */
  readonly reversed: boolean
  readonly degreesPerS: number
}

const periodMs = 20

export class ServoPort implements OutputPort {
  readonly #pwm: Pwm
  readonly #clock: HostClock
  readonly #shape: ServoShape
  #values: OutputValues = {}
  /** Where the pulses put it last. */
  #angle: number | undefined
  #released = true
  #catchingUp: Cancel | undefined
  /** Why the last timer could not write: it has nobody to throw to. */
  #failure: string | undefined

  constructor(pwm: Pwm, clock: HostClock, shape: ServoShape) {
    this.#pwm = pwm
    this.#clock = clock
    this.#shape = shape
  }

  write(values: OutputValues): void {
    this.#values = { ...this.#values, ...values }
    if (this.#values['powered'] !== 1) this.#release()
    else if (this.#released) this.#catchUp(this.#angle ?? this.#target())
    else if (!this.#catchingUp) this.#pulse(this.#target())
    this.#failure = undefined
  }

  readBack(): OutputValues {
    const duty = this.#pwm.read?.()
    if (duty === undefined) return {}
    if (duty === 0) return { powered: 0 }
    const us = (duty / this.#dutyMax()) * this.#periodUs()
    return this.#catchingUp ? { powered: 1 } : { powered: 1, angle: this.#angleOf(us) }
  }

  stalled(): readonly string[] {
    return this.#failure === undefined ? [] : [`its pulses could not be set: ${this.#failure}`]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#catchingUp?.()
    this.#catchingUp = undefined
    this.#pwm.close()
  }

  #target(): number {
    return this.#values['angle'] ?? 0
  }

  #release(): void {
    this.#catchingUp?.()
    this.#catchingUp = undefined
    this.#released = true
    this.#pwm.write(0)
  }

  /** Sets the arm to `angle`, and goes on towards the target from there. */
  #catchUp(angle: number): void {
    this.#pulse(angle)
    this.#released = false
    if (angle === this.#target()) return
    this.#catchingUp = this.#clock.after(periodMs, () => {
      this.#catchingUp = undefined
      const most = (this.#shape.degreesPerS * periodMs) / 1000
      const way = this.#target() - angle
      try {
        this.#catchUp(Math.abs(way) <= most ? this.#target() : angle + Math.sign(way) * most)
      } catch (error) {
        this.#failure = error instanceof HalError ? error.message : String(error)
      }
    })
  }

  #pulse(angle: number): void {
    const [from, to] = this.#ends()
    const us = from + (angle / this.#shape.travelDegrees) * (to - from)
    this.#pwm.write(Math.round((us / this.#periodUs()) * this.#dutyMax()))
    this.#angle = angle
  }

  #angleOf(pulseUs: number): number {
    const [from, to] = this.#ends()
    return ((pulseUs - from) / (to - from)) * this.#shape.travelDegrees
  }

  #ends(): readonly [number, number] {
    const [min, max] = this.#shape.pulseUs
    return this.#shape.reversed ? [max, min] : [min, max]
  }

  /** Of the frequency that the hardware really has, which a prescaler rounds. */
  #periodUs(): number {
    return 1e6 / this.#pwm.hz
  }

  #dutyMax(): number {
    return 2 ** this.#pwm.resolution - 1
  }
}
