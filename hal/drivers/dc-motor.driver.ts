/**
 * A brushed motor on an H-bridge with two direction lines and a PWM line, with an encoder where one is wired.
 *
 * Both directions together short-circuit a discrete bridge: the rules below forbid it, and let the motor change direction
 * only through a pause. The duty is ramped; a stop is not, for it drops the direction lines. With an encoder, a motor that
 * is driven and does not turn is reported as stalled.
 *
 * Source: Toshiba TB6612FNG data sheet (2014-10-01), "H-SW control function": IN1 high and IN2 low turn it one way, low
 * and high the other, both low let it coast; PWM high drives. The L298 (ST, revision 5, figure 6) is driven the same way.
 */
import { CommandFields } from '../command-fields.ts'
import type { ActuatorDriver, DriverContext, Options, OutputPort } from '../contract/driver.ts'
import type { PulseCount, Pwm } from '../contract/io.ts'
import type { OutputValues } from '../contract/safety.ts'

export const dcMotor: ActuatorDriver = {
  role: 'actuator',
  id: 'dc-motor',
  name: 'Brushed motor on an H-bridge, with an encoder where wired',
  manufacturer: 'generic',
  model: 'dc-motor',
  datasheet: 'Toshiba TB6612FNG data sheet (2014-10-01), H-SW control function',
  connection: {
    bus: 'pins',
    pins: {
      forward: { use: 'output', help: 'IN1 of the bridge' },
      reverse: { use: 'output', help: 'IN2 of the bridge' },
      duty: { use: 'pwm', help: 'PWM or enable input of the bridge' },
      encoderA: { use: 'input', help: 'first phase of the encoder', optional: true },
      encoderB: { use: 'input', help: 'second phase of the encoder', optional: true },
    },
  },
  options: {
    hz: { type: 'number', min: 50, max: 25_000, default: 1000, unit: 'Hz', help: 'PWM frequency' },
    percentPerS: {
      type: 'number',
      min: 1,
      max: 1000,
      default: 100,
      unit: '%/s',
      help: 'commanded change of power',
    },
    pauseMs: {
      type: 'number',
      min: 20,
      max: 10_000,
      default: 200,
      unit: 'ms',
      help: 'pause before each start',
    },
    percentMax: { type: 'number', min: 1, max: 100, default: 100, unit: '%', help: 'highest power' },
    stallPercent: {
      type: 'number',
      min: 1,
      max: 100,
      default: 30,
      unit: '%',
      help: 'with an encoder: from this power on it must turn',
    },
    stallMs: {
      type: 'number',
      min: 100,
      max: 10_000,
      default: 500,
      unit: 'ms',
      help: 'with an encoder: it counts as stalled after this long without a pulse',
    },
  },
  kind: () => 'number',
  range: (options) => {
    const max = Number(options['percentMax'])
    return { min: -max, max, step: 1, unit: '%' }
  },
  outputs: (options) => [
    { name: 'forward', type: 'binary', safe: 0, min: 0, max: 1, readBackMsMax: 100 },
    { name: 'reverse', type: 'binary', safe: 0, min: 0, max: 1, readBackMsMax: 100 },
    {
      name: 'duty',
      type: 'number',
      safe: 0,
      min: 0,
      max: Number(options['percentMax']),
      unit: '%',
      slewPerS: Number(options['percentPerS']),
    },
  ],
  constraints: (options) => {
    const afterMs = Number(options['pauseMs'])
    return [
      { rule: 'mutex', outputs: ['forward', 'reverse'], because: 'both together short-circuit the bridge' },
      {
        rule: 'sequence',
        outputs: ['forward', 'reverse'],
        states: {
          stop: { forward: 0, reverse: 0 },
          forward: { forward: 1, reverse: 0 },
          reverse: { forward: 0, reverse: 1 },
        },
        steps: [
          { from: 'stop', to: 'forward', afterMs },
          { from: 'stop', to: 'reverse', afterMs },
          { from: 'forward', to: 'stop', afterMs: 0 },
          { from: 'reverse', to: 'stop', afterMs: 0 },
        ],
        because: 'stop it before it turns the other way',
      },
    ]
  },
  lines: (_options, at) => ({
    forward: { pin: at.pins['forward'] ?? '', activeLow: false },
    reverse: { pin: at.pins['reverse'] ?? '', activeLow: false },
  }),
  plan(command, options) {
    const max = Number(options['percentMax'])
    const value = new CommandFields('dc-motor', command, ['value']).number('value', -max, max, ' %') ?? 0
    return { forward: value > 0 ? 1 : 0, reverse: value < 0 ? 1 : 0, duty: Math.abs(value) }
  },
  telemetry(values, _options, readBack) {
    const shown = { ...values, ...readBack }
    const way = (shown['forward'] ?? 0) - (shown['reverse'] ?? 0)
    const power = way === 0 ? 0 : way * (shown['duty'] ?? 0)
    const { pulses } = readBack
    return { state: String(Math.round(power * 10) / 10), attributes: pulses === undefined ? {} : { pulses } }
  },
  async open(context) {
    const { io, at, options } = context
    const { duty = '', encoderA, encoderB } = at.pins
    const pwm = io.pwm({ pin: duty, hz: Number(options['hz']) })
    if (encoderA === undefined) return new MotorPort(context, pwm, undefined)
    try {
      const control = encoderB === undefined ? {} : { control: encoderB }
      return new MotorPort(context, pwm, io.pulseCount({ signal: encoderA, ...control }))
    } catch (error) {
      pwm.close()
      throw error
    }
  },
}

class MotorPort implements OutputPort {
  readonly #clock: DriverContext['host']['clock']
  readonly #options: Options
  readonly #pwm: Pwm
  readonly #encoder: PulseCount | undefined
  #percent = 0
  #pulses = 0
  /** When it last turned, or had no reason to. */
  #turnedMs: number

  constructor({ host, options }: DriverContext, pwm: Pwm, encoder: PulseCount | undefined) {
    this.#clock = host.clock
    this.#options = options
    this.#turnedMs = host.clock.monotonicMs()
    this.#pwm = pwm
    this.#encoder = encoder
  }

  write(values: OutputValues): void {
    const percent = values['duty'] ?? this.#percent
    this.#pwm.write(Math.round((percent / 100) * this.#dutyMax()))
    if (this.#percent < Number(this.#options['stallPercent'])) this.#turnedMs = this.#clock.monotonicMs()
    this.#percent = percent
  }

  readBack(): OutputValues {
    const duty = this.#pwm.read?.()
    return {
      ...(duty === undefined ? {} : { duty: (duty / this.#dutyMax()) * 100 }),
      ...(this.#encoder ? { pulses: this.#encoder.read() } : {}),
    }
  }

  stalled(): readonly string[] {
    if (!this.#encoder) return []
    const nowMs = this.#clock.monotonicMs()
    const pulses = this.#encoder.read()
    if (pulses !== this.#pulses || this.#percent < Number(this.#options['stallPercent']))
      this.#turnedMs = nowMs
    this.#pulses = pulses
    const stillMs = nowMs - this.#turnedMs
    return stillMs < Number(this.#options['stallMs'])
      ? []
      : [`driven with ${Math.round(this.#percent)} % and without a pulse for ${Math.round(stillMs)} ms`]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#pwm.close()
    this.#encoder?.close()
  }

  #dutyMax(): number {
    return 2 ** this.#pwm.resolution - 1
  }
}
