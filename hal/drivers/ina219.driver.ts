/**
 * INA219: voltage of a bus, and current and power through a shunt. One triggered conversion a sample; PGA /8, 32 V range.
 *
 * "INA219 Zerø-Drift, Bidirectional Current/Power Monitor With I2C Interface", TI SBOS448G: sections 8.5.1 (calibration),
 * 8.6.2 (configuration), 8.6.3 (data registers), 9.2 (worked example, tables 7 and 8).
 */
import type { DriverContext, Options, SensorDriver } from '../contract/driver.ts'
import { HalError } from '../contract/errors.ts'
import type { I2c } from '../contract/io.ts'
import { i2cPlace, openI2c } from './i2c-place.ts'
import { openSensor, plausible } from './sensor-device.ts'
import { wait } from './wait.ts'

const register = { configuration: 0, shunt: 1, bus: 2, power: 3, current: 4, calibration: 5 } as const
const shuntVoltsMax = 0.32
const voltsMax = 26
const voltsPerStep = 0.004
const shuntVoltsPerStep = 10e-6
const conversionMsMax = 0.586
const pollsMax = 10

/** Code of the converter's setting and its number of samples (table 5). */
const averaging: Readonly<Record<string, number>> = {
  '1': 0x3,
  '2': 0x9,
  '4': 0xa,
  '8': 0xb,
  '16': 0xc,
  '32': 0xd,
  '64': 0xe,
  '128': 0xf,
}

/** Equation 1. */
export function calibrationFor(ampsPerStep: number, shuntOhm: number): number {
  return Math.trunc(0.04096 / (ampsPerStep * shuntOhm))
}

/** Values of the registers, sections 8.6.3 and 8.5.1; the power register has no sign. */
export function valuesOf(
  raw: { readonly shunt: number; readonly bus: number; readonly current: number; readonly power: number },
  ampsPerStep: number,
) {
  const current = signed(raw.current) * ampsPerStep
  return {
    shuntVoltage: signed(raw.shunt) * shuntVoltsPerStep,
    voltage: (raw.bus >> 3) * voltsPerStep,
    current,
    power: raw.power * 20 * ampsPerStep * (current < 0 ? -1 : 1),
  }
}

const signed = (word: number): number => (word << 16) >> 16

class Ina219 {
  readonly identification = { model: 'INA219', classification: 'power' }
  readonly #i2c: I2c
  readonly #context: DriverContext
  readonly #calibration: number
  readonly #ampsPerStep: number
  readonly #configuration: number
  readonly #samples: number

  constructor(context: DriverContext, i2c: I2c) {
    this.#i2c = i2c
    this.#context = context
    const shuntOhm = shuntOf(context.options)
    this.#calibration = calibrationFor(shuntVoltsMax / shuntOhm / 32_768, shuntOhm)
    this.#ampsPerStep = 0.04096 / (this.#calibration * shuntOhm)
    this.#samples = Number(context.options['averaging'])
    const converter = averaging[String(this.#samples)] ?? 0x3
    this.#configuration = 0x3800 | (converter << 7) | (converter << 3) | 0x3
  }

  async setUp(): Promise<void> {
    this.#write(register.calibration, this.#calibration)
    if (this.#read(register.calibration) !== this.#calibration)
      throw new HalError('not-present', `${i2cPlace(this.#context)} keeps no calibration as an INA219 does`)
  }

  async measure(signal: AbortSignal) {
    this.#write(register.configuration, this.#configuration)
    await wait(this.#context.host.clock, 2 * conversionMsMax * this.#samples, signal)
    const bus = await this.#converted(signal)
    const kept =
      this.#read(register.calibration) === this.#calibration &&
      this.#read(register.configuration) === this.#configuration
    if (!kept)
      throw new HalError('not-present', `${i2cPlace(this.#context)} lost its calibration; its power failed?`)
    const shunt = this.#read(register.shunt)
    const raw = { bus, shunt, current: this.#read(register.current), power: this.#read(register.power) }
    const values = valuesOf(raw, this.#ampsPerStep)
    const full = Math.abs(signed(shunt)) >= shuntVoltsMax / shuntVoltsPerStep
    const ampsMax = shuntVoltsMax / shuntOf(this.#context.options)
    const wattsMax = ampsMax * voltsMax
    const overflow = full || (bus & 1) === 1
    return {
      voltage: plausible(values.voltage, 0, voltsMax),
      shunt_voltage: plausible(values.shuntVoltage, -shuntVoltsMax, shuntVoltsMax, full),
      current: plausible(values.current, -ampsMax, ampsMax, overflow),
      power: plausible(values.power, -wattsMax, wattsMax, overflow),
    }
  }

  /** The bus register once its bit "conversion ready" is set. */
  async #converted(signal: AbortSignal): Promise<number> {
    for (let poll = 0; poll < pollsMax; poll += 1) {
      const bus = this.#read(register.bus)
      if ((bus & 2) !== 0) return bus
      await wait(this.#context.host.clock, 1, signal)
    }
    throw new HalError('timeout', `${i2cPlace(this.#context)}: no conversion came to an end`)
  }

  #read(from: number): number {
    const [high = 0, low = 0] = this.#i2c.writeRead(Uint8Array.of(from), 2)
    return (high << 8) | low
  }

  #write(to: number, word: number): void {
    this.#i2c.write(Uint8Array.of(to, word >> 8, word & 0xff))
  }
}

const shuntOf = (options: Options): number => Number(options['shuntOhm'])

export const ina219: SensorDriver = {
  role: 'sensor',
  id: 'ina219',
  name: 'Texas Instruments INA219 voltage, current and power monitor',
  manufacturer: 'Texas Instruments',
  model: 'INA219',
  datasheet: 'INA219, SBOS448G, sections 8.5.1, 8.6.2, 8.6.3, 9.2',
  connection: { bus: 'i2c', addresses: Array.from({ length: 16 }, (_, index) => 0x40 + index) },
  options: {
    shuntOhm: {
      type: 'number',
      min: 0.0001,
      max: 10,
      default: 0.1,
      unit: 'Ω',
      help: 'Resistance of the shunt; the largest current is 0.32 V divided by it',
    },
    averaging: {
      type: 'choice',
      choices: Object.keys(averaging),
      default: '1',
      help: 'Measurements that are averaged in the part: more are less noisy, and slower',
    },
  },
  channels: () => ['voltage', 'shunt_voltage', 'current', 'power'],
  ranges(options) {
    const ampsMax = shuntVoltsMax / shuntOf(options)
    return {
      voltage: { min: 0, max: voltsMax, resolution: voltsPerStep },
      shunt_voltage: { min: -shuntVoltsMax, max: shuntVoltsMax, resolution: shuntVoltsPerStep },
      current: { min: -ampsMax, max: ampsMax, resolution: ampsMax / 16_000 },
      power: { min: -ampsMax * voltsMax, max: ampsMax * voltsMax, resolution: (ampsMax * voltsMax) / 800 },
    }
  },
  sampleEveryMs: { min: 200, default: 5000 },
  sampleMsMax: 250,
  async open(context, signal) {
    const i2c = openI2c(context)
    return openSensor(context, i2c, new Ina219(context, i2c), signal)
  },
}
