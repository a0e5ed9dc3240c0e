/**
 * A unipolar stepping motor on four coil lines (28BYJ-48 on a ULN2003, for example).
 *
 * `position` is where it shall be, `powered` whether its coils may have current. The port walks there itself, one step a
 * timer of the HAL thread, never faster than `stepsPerS`: a write of the kernel takes one bank write, and a late timer makes it
 * slower, never faster. The walk is bounded by the travel and ends at once, with all coils off, when `powered` falls (the
 * safe value) or the port closes; a thread that hangs steps no more. Steps are counted while the port is open, whoever holds the
 * motor, so a release loses no place; nothing measures the shaft: its place at start is taken to be `startPosition`.
 *
 * Source: Kiatronics 28BYJ-48 data sheet, "Phase sequence" (eight half steps; 4096 of them a turn of the output shaft).
 */
import { CommandFields } from '../command-fields.ts'
import type { ActuatorDriver, DriverContext, Options, OutputPort } from '../contract/driver.ts'
import { HalError } from '../contract/errors.ts'
import type { Cancel } from '../contract/host.ts'
import type { DigitalBank } from '../contract/io.ts'
import type { OutputValues } from '../contract/safety.ts'

const coils = ['a', 'b', 'c', 'd'] as const
/** Coils with current, bit n for the n-th. */
const halfSteps = [0b0001, 0b0011, 0b0010, 0b0110, 0b0100, 0b1100, 0b1000, 0b1001]
/** Two coils at a time: the torque of both. */
const fullSteps = [0b0011, 0b0110, 0b1100, 0b1001]

export const stepper: ActuatorDriver = {
  role: 'actuator',
  id: 'stepper',
  name: 'Unipolar stepping motor on four lines',
  manufacturer: 'Kiatronics',
  model: '28BYJ-48',
  datasheet: 'Kiatronics 28BYJ-48 data sheet, phase sequence',
  connection: {
    bus: 'pins',
    pins: {
      a: { use: 'output', help: 'IN1 of the coil driver' },
      b: { use: 'output', help: 'IN2 of the coil driver' },
      c: { use: 'output', help: 'IN3 of the coil driver' },
      d: { use: 'output', help: 'IN4 of the coil driver' },
    },
  },
  options: {
    unit: { type: 'choice', choices: ['steps', 'degrees'], default: 'degrees', help: 'unit of the position' },
    mode: { type: 'choice', choices: ['half', 'full'], default: 'half', help: 'half steps, or full steps' },
    stepsPerTurn: {
      type: 'number',
      min: 4,
      max: 1_000_000,
      default: 4096,
      help: 'steps of this mode a turn',
    },
    stepsPerS: { type: 'number', min: 1, max: 1000, default: 400, unit: '1/s', help: 'speed' },
    min: { type: 'number', min: -1_000_000, max: 0, default: 0, help: 'lowest position, in the unit' },
    max: { type: 'number', min: 1, max: 1_000_000, default: 360, help: 'highest position, in the unit' },
    startPosition: {
      type: 'number',
      min: -1_000_000,
      max: 1_000_000,
      default: 0,
      help: 'where the shaft is at start, in the unit',
    },
    hold: {
      type: 'boolean',
      default: true,
      help: 'keep current in the coils while it stands, until released',
    },
  },
  kind: () => 'number',
  range: (options) => ({
    min: Number(options['min']),
    max: Number(options['max']),
    step: stepSize(options),
    ...(options['unit'] === 'degrees' ? { unit: '°' } : {}),
  }),
  outputs: (options) => {
    const [min, max, safe] = [
      Number(options['min']),
      Number(options['max']),
      Number(options['startPosition']),
    ]
    if (safe < min || safe > max)
      throw new HalError('out-of-range', `stepper: startPosition: ${safe} is not between ${min} and ${max}`)
    return [
      { name: 'position', type: 'number', safe, min, max },
      { name: 'powered', type: 'binary', safe: 0, min: 0, max: 1 },
    ]
  },
  plan(command, options) {
    const fields = new CommandFields('stepper', command, ['value'])
    return {
      position: fields.number('value', Number(options['min']), Number(options['max'])) ?? 0,
      powered: 1,
    }
  },
  telemetry(values, options, readBack) {
    const { steps } = readBack
    const position = steps === undefined ? values['position'] : steps / stepsPerUnit(options)
    return {
      state: position === undefined ? 'unknown' : shown(position, options),
      attributes: { powered: values['powered'] === 1 },
    }
  },
  async open(context) {
    const pins = coils.map((coil) => ({ pin: context.at.pins[coil] ?? '', initial: 0 as const }))
    return new StepperPort(context, context.io.digitalBank({ mode: 'output', pins }))
  },
}

/** What one can ask for: a whole step, or a tenth of a degree where steps are finer. */
function stepSize(options: Options): number {
  return options['unit'] === 'degrees' ? Math.max(0.1, 1 / stepsPerUnit(options)) : 1
}

function shown(position: number, options: Options): string {
  const size = stepSize(options)
  return String(Math.round(Math.round(position / size) * size * 1000) / 1000)
}

function stepsPerUnit(options: Options): number {
  return options['unit'] === 'degrees' ? Number(options['stepsPerTurn']) / 360 : 1
}

class StepperPort implements OutputPort {
  readonly #clock: DriverContext['host']['clock']
  readonly #options: Options
  readonly #bank: DigitalBank
  readonly #table: readonly number[]
  #values: OutputValues = {}
  #steps: number
  #cancel: Cancel | undefined
  /** Why the last step could not be written: a timer has nobody to throw to. */
  #failure: string | undefined
  #closed = false

  constructor({ host, options }: DriverContext, bank: DigitalBank) {
    this.#clock = host.clock
    this.#options = options
    this.#table = options['mode'] === 'full' ? fullSteps : halfSteps
    this.#steps = Math.round(Number(options['startPosition']) * stepsPerUnit(options))
    this.#bank = bank
  }

  write(values: OutputValues): void {
    if (this.#closed) throw new HalError('closed', 'stepper: it is closed')
    this.#values = { ...this.#values, ...values }
    if (this.#values['powered'] !== 1) this.#release()
    else if (!this.#cancel) this.#energize()
    this.#failure = undefined
  }

  readBack(): OutputValues {
    return { steps: this.#steps }
  }

  stalled(): readonly string[] {
    return this.#failure === undefined ? [] : [`its coils could not be written: ${this.#failure}`]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    try {
      this.#release()
    } finally {
      this.#bank.close()
    }
  }

  #release(): void {
    this.#cancel?.()
    this.#cancel = undefined
    this.#bank.write(0)
  }

  /** Gives the coils the current of the present step, and goes on from there. */
  #energize(): void {
    const left = Math.round((this.#values['position'] ?? 0) * stepsPerUnit(this.#options)) - this.#steps
    const { length } = this.#table
    const current = this.#table[((this.#steps % length) + length) % length] ?? 0
    this.#bank.write(left === 0 && this.#options['hold'] !== true ? 0 : current)
    if (left === 0) return
    this.#cancel = this.#clock.after(1000 / Number(this.#options['stepsPerS']), () => {
      this.#cancel = undefined
      this.#steps += Math.sign(left)
      this.#step()
    })
  }

  #step(): void {
    try {
      this.#energize()
    } catch (error) {
      this.#failure = error instanceof HalError ? error.message : String(error)
    }
  }
}
