/**
 * ADS1115: four voltages against ground, or two between inputs, 16 bits. One single-shot conversion a channel.
 *
 * "ADS111x Ultra-Small, Low-Power, I2C-Compatible, 860-SPS, 16-Bit ADCs", TI SBAS444: "Full-Scale Range (FSR) and LSB Size",
 * "Single-Shot Mode", "Data Format", "Config Register" (their numbers change with the revision). The same bits:
 * linux/drivers/iio/adc/ti-ads1015.c.
 */
import type { ChannelName, ChannelValue } from '../contract/channels.ts'
import type { DriverContext, Options, SensorDriver } from '../contract/driver.ts'
import { HalError } from '../contract/errors.ts'
import type { I2c } from '../contract/io.ts'
import { i2cPlace, openI2c } from './i2c-place.ts'
import { openSensor, plausible } from './sensor-device.ts'
import { wait } from './wait.ts'

const conversionRegister = 0
const configurationRegister = 1
const start = 0x8000
/** Single-shot, 128 samples a second, comparator off. */
const fixed = 0x0100 | 0x0080 | 0x0003
/** 1/128 s, and a tenth more for the part's oscillator ("Data rate variation"). */
const conversionMsMax = 8.7
const pollsMax = 5

/** Full scale in volts by its code. */
const fullScales = ['6.144', '4.096', '2.048', '1.024', '0.512', '0.256']

/** Multiplexer codes by channel: against ground, or AIN0-AIN1 and AIN2-AIN3. */
const inputs: Readonly<Record<string, Readonly<Partial<Record<ChannelName, number>>>>> = {
  'single-ended': { voltage_0: 4, voltage_1: 5, voltage_2: 6, voltage_3: 7 },
  differential: { voltage_0: 0, voltage_1: 3 },
}

const inputsOf = (options: Options) => inputs[String(options['inputs'])] ?? {}
const fullScaleOf = (options: Options): number => Number(options['fullScale'])
const channelsOf = (options: Options) => Object.keys(inputsOf(options)) as ChannelName[]

/** "Data Format": two's complement, full scale is 2^15. */
export function volts(register: number, fullScale: number): number {
  return (((register << 16) >> 16) * fullScale) / 32_768
}

class Ads1115 {
  readonly identification = { model: 'ADS1115', classification: 'voltage' }
  readonly #i2c: I2c
  readonly #context: DriverContext

  constructor(context: DriverContext, i2c: I2c) {
    this.#i2c = i2c
    this.#context = context
  }

  /** The configuration of an idle part reads back as written, with "not converting" set. */
  async setUp(signal: AbortSignal): Promise<void> {
    await this.#convert(4, signal)
  }

  async measure(signal: AbortSignal) {
    const values: Partial<Record<ChannelName, ChannelValue>> = {}
    for (const [name, code] of Object.entries(inputsOf(this.#context.options)) as [ChannelName, number][])
      values[name] = this.#value(await this.#convert(code, signal))
    return values
  }

  /** An input below ground is wired wrong; half a per cent is the part's offset and gain error. */
  #value(register: number): ChannelValue {
    const { options } = this.#context
    const fullScale = fullScaleOf(options)
    const min = options['inputs'] === 'differential' ? -fullScale : -0.005 * fullScale
    return plausible(volts(register, fullScale), min, fullScale, register === 0x7fff || register === 0x8000)
  }

  async #convert(input: number, signal: AbortSignal): Promise<number> {
    const gain = fullScales.indexOf(String(this.#context.options['fullScale']))
    const configuration = start | (input << 12) | (gain << 9) | fixed
    this.#i2c.write(Uint8Array.of(configurationRegister, configuration >> 8, configuration & 0xff))
    await wait(this.#context.host.clock, conversionMsMax, signal)
    await this.#idle(configuration, signal)
    return this.#read(conversionRegister)
  }

  async #idle(configuration: number, signal: AbortSignal): Promise<void> {
    for (let poll = 0; poll < pollsMax; poll += 1) {
      const found = this.#read(configurationRegister)
      if ((found & 0x7fff) !== (configuration & 0x7fff))
        throw new HalError(
          'not-present',
          `${i2cPlace(this.#context)} does not keep a configuration as an ADS1115 does`,
        )
      if ((found & start) !== 0) return
      await wait(this.#context.host.clock, 1, signal)
    }
    throw new HalError('timeout', `${i2cPlace(this.#context)}: no conversion came to an end`)
  }

  #read(from: number): number {
    const [high = 0, low = 0] = this.#i2c.writeRead(Uint8Array.of(from), 2)
    return (high << 8) | low
  }
}

export const ads1115: SensorDriver = {
  role: 'sensor',
  id: 'ads1115',
  name: 'Texas Instruments ADS1115 analog-to-digital converter',
  manufacturer: 'Texas Instruments',
  model: 'ADS1115',
  datasheet: 'ADS111x, SBAS444, full-scale range, single-shot mode, data format, config register',
  connection: { bus: 'i2c', addresses: [0x48, 0x49, 0x4a, 0x4b] },
  options: {
    inputs: {
      type: 'choice',
      choices: Object.keys(inputs),
      default: 'single-ended',
      help: 'single-ended: A0 to A3 against ground; differential: A0-A1 and A2-A3',
    },
    fullScale: {
      type: 'choice',
      choices: fullScales,
      default: '4.096',
      help: 'Largest voltage that can be told, volts; no input may exceed the supply',
    },
  },
  channels: channelsOf,
  ranges(options) {
    const max = fullScaleOf(options)
    const min = options['inputs'] === 'differential' ? -max : 0
    const range = { min, max, resolution: max / 32_768 }
    return Object.fromEntries(channelsOf(options).map((name) => [name, range]))
  },
  sampleEveryMs: { min: 100, default: 1000 },
  sampleMsMax: 200,
  async open(context, signal) {
    const i2c = openI2c(context)
    return openSensor(context, i2c, new Ads1115(context, i2c), signal)
  },
}
