/**
 * BH1750FVI: illuminance, one measurement at a time. The part has no identification and no checksum: what is told from noise
 * is a missing acknowledge, and the end of its range.
 *
 * "BH1750FVI", ROHM 11046EDT01, 2011.11: "Instruction Set Architecture" (page 5), "Measurement mode explanation" (page 5),
 * "Adjust measurement result for influence of optical window" (page 11).
 */
import type { DriverContext, Options, SensorDriver } from '../contract/driver.ts'
import type { I2c } from '../contract/io.ts'
import { openI2c } from './i2c-place.ts'
import { openSensor, plausible } from './sensor-device.ts'
import { wait } from './wait.ts'

const powerOn = 0x01
/** Longest measurement at the default measurement time (electrical characteristics: 180 ms). */
const measurementMsMax = 180
const defaultTime = 69

/** Opcode and steps per count by the option `mode`. */
const modes: Readonly<Record<string, { readonly opcode: number; readonly perCount: number }>> = {
  high: { opcode: 0x20, perCount: 1 },
  'high-2': { opcode: 0x21, perCount: 0.5 },
}

/** Page 11: 1.2 counts per lux at the default measurement time. */
export function lux(counts: number, perCount = 1, time = defaultTime): number {
  return (counts / 1.2) * (defaultTime / time) * perCount
}

const modeOf = (options: Options) => modes[String(options['mode'])] ?? { opcode: 0x20, perCount: 1 }
const timeOf = (options: Options): number => Math.round(Number(options['measurementTime']))

class Bh1750 {
  readonly identification = { model: 'BH1750FVI', classification: 'light' }
  readonly #i2c: I2c
  readonly #context: DriverContext

  constructor(context: DriverContext, i2c: I2c) {
    this.#i2c = i2c
    this.#context = context
  }

  async setUp(): Promise<void> {
    this.#i2c.write(Uint8Array.of(powerOn))
  }

  /** The measurement time is written each time: nothing could tell that it was lost. */
  async measure(signal: AbortSignal) {
    const { options, host } = this.#context
    const { opcode, perCount } = modeOf(options)
    const time = timeOf(options)
    for (const instruction of [powerOn, 0x40 | (time >> 5), 0x60 | (time & 0x1f), opcode])
      this.#i2c.write(Uint8Array.of(instruction))
    await wait(host.clock, (measurementMsMax * time) / defaultTime, signal)
    const [high = 0, low = 0] = this.#i2c.read(2)
    const counts = (high << 8) | low
    const value = lux(counts, perCount, time)
    return { illuminance: plausible(value, 0, Number.POSITIVE_INFINITY, counts === 0xffff) }
  }
}

export const bh1750: SensorDriver = {
  role: 'sensor',
  id: 'bh1750',
  name: 'ROHM BH1750FVI ambient light sensor',
  manufacturer: 'ROHM',
  model: 'BH1750FVI',
  datasheet: 'BH1750FVI, 11046EDT01 (2011.11), pages 2, 5, 11',
  connection: { bus: 'i2c', addresses: [0x23, 0x5c] },
  options: {
    mode: {
      type: 'choice',
      choices: Object.keys(modes),
      default: 'high',
      help: 'high counts in steps of 1 lx, high-2 in steps of 0.5 lx over half the range',
    },
    measurementTime: {
      type: 'number',
      min: 31,
      max: 254,
      default: defaultTime,
      help: 'Sensitivity: 69 is that of the bare part, more for dark windows, 31 reaches 121,000 lx',
    },
  },
  channels: () => ['illuminance'],
  ranges(options) {
    const step = lux(1, modeOf(options).perCount, timeOf(options))
    return { illuminance: { min: 0, max: 65_535 * step, resolution: step } }
  },
  sampleEveryMs: { min: 1000, default: 10_000 },
  sampleMsMax: 800,
  async open(context, signal) {
    const i2c = openI2c(context)
    return openSensor(context, i2c, new Bh1750(context, i2c), signal)
  },
}
