/**
 * SHT40, SHT41, SHT43 and SHT45: temperature and humidity, each word under a CRC.
 *
 * "SHT4x", Sensirion: "Timings", "Checksum Calculation", "Command Overview", "Conversion of Signal Output". The same codes:
 * linux/drivers/hwmon/sht4x.c.
 */
import type { DriverContext, SensorDriver } from '../contract/driver.ts'
import type { I2c } from '../contract/io.ts'
import { i2cPlace, openI2c } from './i2c-place.ts'
import { wordsOf } from './sensirion.ts'
import { openSensor, plausible } from './sensor-device.ts'
import { wait } from './wait.ts'

const resetCommand = 0x94
const serialCommand = 0x89

/** Command and longest duration (table 4) by the option `precision`. */
const measurements: Readonly<Record<string, { readonly command: number; readonly ms: number }>> = {
  high: { command: 0xfd, ms: 8.3 },
  medium: { command: 0xf6, ms: 4.5 },
  low: { command: 0xe0, ms: 1.6 },
}

/** Section 4.6. */
export const degrees = (word: number): number => -45 + (175 * word) / 65_535
export const relativeHumidity = (word: number): number => -6 + (125 * word) / 65_535

class Sht4x {
  #uniqueId: string | undefined
  readonly #i2c: I2c
  readonly #context: DriverContext

  constructor(context: DriverContext, i2c: I2c) {
    this.#i2c = i2c
    this.#context = context
  }

  get identification() {
    const uniqueId = this.#uniqueId
    return { model: 'SHT4x', classification: 'environment', ...(uniqueId === undefined ? {} : { uniqueId }) }
  }

  async setUp(signal: AbortSignal): Promise<void> {
    const { clock } = this.#context.host
    this.#i2c.write(Uint8Array.of(resetCommand))
    await wait(clock, 1, signal)
    this.#i2c.write(Uint8Array.of(serialCommand))
    await wait(clock, 1, signal)
    const [high = 0, low = 0] = wordsOf(this.#i2c.read(6), i2cPlace(this.#context))
    this.#uniqueId = (high * 65_536 + low).toString(16).padStart(8, '0')
  }

  async measure(signal: AbortSignal) {
    const { command, ms } = measurements[String(this.#context.options['precision'])] ?? {
      command: 0xfd,
      ms: 8.3,
    }
    this.#i2c.write(Uint8Array.of(command))
    await wait(this.#context.host.clock, ms, signal)
    const [t = 0, rh = 0] = wordsOf(this.#i2c.read(6), i2cPlace(this.#context))
    const humidity = relativeHumidity(rh)
    const limited = Math.min(100, Math.max(0, humidity))
    return {
      temperature: plausible(degrees(t), -40, 125),
      humidity: plausible(limited, 0, 100, limited !== humidity),
    }
  }
}

export const sht4x: SensorDriver = {
  role: 'sensor',
  id: 'sht4x',
  name: 'Sensirion SHT40, SHT41, SHT43, SHT45 temperature and humidity sensor',
  manufacturer: 'Sensirion',
  model: 'SHT4x',
  datasheet: 'SHT4x, Sensirion, timings, checksum, command overview, conversion of signal output',
  connection: { bus: 'i2c', addresses: [0x44, 0x45, 0x46] },
  options: {
    precision: {
      type: 'choice',
      choices: Object.keys(measurements),
      default: 'high',
      help: 'Repeatability of a measurement: high is the least noisy and takes 8 ms',
    },
  },
  channels: () => ['temperature', 'humidity'],
  ranges: () => ({
    temperature: { min: -40, max: 125, resolution: 0.01 },
    humidity: { min: 0, max: 100, resolution: 0.01 },
  }),
  checksummed: true,
  sampleEveryMs: { min: 100, default: 10_000 },
  sampleMsMax: 100,
  async open(context, signal) {
    const i2c = openI2c(context)
    return openSensor(context, i2c, new Sht4x(context, i2c), signal)
  },
}
