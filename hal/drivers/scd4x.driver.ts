/**
 * SCD40, SCD41 and SCD43: CO2, temperature and humidity, measured by itself every 5 seconds; each word under a CRC.
 *
 * "SCD4x", Sensirion, version 1.3 (September 2022): sections 3.4 (which command when), 3.5 (measurement), 3.6 (compensation),
 * 3.7.2 (self-calibration), 3.8.2 (data ready), 3.9.2 (serial number), 3.11 (checksum). Codes span 2^16 - 1, as later
 * versions and Sensirion's own library have it.
 */
import type { DriverContext, SensorDriver } from '../contract/driver.ts'
import { HalError } from '../contract/errors.ts'
import type { I2c } from '../contract/io.ts'
import { i2cPlace, openI2c } from './i2c-place.ts'
import { sendCommand, wordsOf } from './sensirion.ts'
import { openSensor, plausible } from './sensor-device.ts'
import { wait } from './wait.ts'

const command = {
  start: 0x21b1,
  read: 0xec05,
  stop: 0x3f86,
  dataReady: 0xe4b8,
  serial: 0x3682,
  temperatureOffset: 0x241d,
  altitude: 0x2427,
  selfCalibration: 0x2416,
} as const

const stopMs = 500
const commandMs = 1
const periodMs = 5000
const pollMs = 100
/** A measuring period and a tenth: the part's clock may be slow. */
const pollsMax = (1.1 * periodMs) / pollMs

/** Section 3.5.2. */
export const degrees = (word: number): number => -45 + (175 * word) / 65_535
export const relativeHumidity = (word: number): number => (100 * word) / 65_535
/** Section 3.6.1. */
export const offsetWord = (degreesMore: number): number => Math.round((degreesMore * 65_535) / 175)

class Scd4x {
  #uniqueId: string | undefined
  readonly #i2c: I2c
  readonly #context: DriverContext

  constructor(context: DriverContext, i2c: I2c) {
    this.#i2c = i2c
    this.#context = context
  }

  get identification() {
    const uniqueId = this.#uniqueId
    return {
      model: 'SCD4x',
      classification: 'carbon-dioxide',
      ...(uniqueId === undefined ? {} : { uniqueId }),
    }
  }

  /** It may be measuring since before this program began, and takes no settings then. */
  async setUp(signal: AbortSignal): Promise<void> {
    const { options, host } = this.#context
    await this.#stop(signal)
    const serial = await this.#ask(command.serial, 3, signal)
    this.#uniqueId = serial.map((word) => word.toString(16).padStart(4, '0')).join('')
    const settings: readonly [number, number][] = [
      [command.temperatureOffset, offsetWord(Number(options['temperatureOffset']))],
      [command.altitude, Math.round(Number(options['altitude']))],
      [command.selfCalibration, options['selfCalibration'] ? 1 : 0],
    ]
    for (const [code, word] of settings) {
      sendCommand(this.#i2c, code, word)
      await wait(host.clock, commandMs, signal)
    }
    sendCommand(this.#i2c, command.start)
    await wait(host.clock, commandMs, signal)
  }

  async measure(signal: AbortSignal) {
    await this.#measured(signal)
    const [co2 = 0, t = 0, rh = 0] = await this.#ask(command.read, 3, signal)
    return {
      co2: plausible(co2, 1, 40_000),
      temperature: plausible(degrees(t), -10, 60),
      humidity: plausible(relativeHumidity(rh), 0, 100, rh === 0xffff),
    }
  }

  /** A part that was stopped less than half a second ago does not answer: one more try. */
  async #stop(signal: AbortSignal): Promise<void> {
    const { clock } = this.#context.host
    try {
      sendCommand(this.#i2c, command.stop)
    } catch (error) {
      if (!(error instanceof HalError) || error.code !== 'no-acknowledge') throw error
      await wait(clock, stopMs, signal)
      sendCommand(this.#i2c, command.stop)
    }
    await wait(clock, stopMs, signal)
  }

  rest(): void {
    sendCommand(this.#i2c, command.stop)
  }

  /** Section 3.8.2: nothing is ready while the lower 11 bits are zero. */
  async #measured(signal: AbortSignal): Promise<void> {
    for (let poll = 0; poll < pollsMax; poll += 1) {
      const [status = 0] = await this.#ask(command.dataReady, 1, signal)
      if ((status & 0x07ff) !== 0) return
      await wait(this.#context.host.clock, pollMs, signal)
    }
    throw new HalError('timeout', `${i2cPlace(this.#context)} measured nothing in ${periodMs / 1000} s`)
  }

  async #ask(code: number, words: number, signal: AbortSignal): Promise<number[]> {
    sendCommand(this.#i2c, code)
    await wait(this.#context.host.clock, commandMs, signal)
    return wordsOf(this.#i2c.read(3 * words), i2cPlace(this.#context))
  }
}

export const scd4x: SensorDriver = {
  role: 'sensor',
  id: 'scd4x',
  name: 'Sensirion SCD40, SCD41, SCD43 CO2, temperature and humidity sensor',
  manufacturer: 'Sensirion',
  model: 'SCD4x',
  datasheet: 'SCD4x, version 1.3, sections 3.4 to 3.9, 3.11',
  connection: { bus: 'i2c', addresses: [0x62] },
  options: {
    altitude: { type: 'number', min: 0, max: 3000, default: 0, unit: 'm', help: 'Height above the sea' },
    temperatureOffset: {
      type: 'number',
      min: 0,
      max: 20,
      default: 4,
      unit: '°C',
      help: 'How much warmer the part is than the air around its case',
    },
    selfCalibration: {
      type: 'boolean',
      default: true,
      help: 'Takes the lowest CO2 of a week for fresh air: off where there is never fresh air',
    },
  },
  channels: () => ['co2', 'temperature', 'humidity'],
  ranges: () => ({
    co2: { min: 0, max: 40_000, resolution: 1 },
    temperature: { min: -10, max: 60, resolution: 0.01 },
    humidity: { min: 0, max: 100, resolution: 0.01 },
  }),
  checksummed: true,
  sampleEveryMs: { min: periodMs, default: 30_000 },
  sampleMsMax: 7000,
  async open(context, signal) {
    const i2c = openI2c(context)
    return openSensor(context, i2c, new Scd4x(context, i2c), signal)
  },
}
