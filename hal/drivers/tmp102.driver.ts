/**
 * TMP102, TMP105 and LM75: thermometers with one register map (pointer 0 temperature, 1 configuration), big-endian, in
 * two's complement, left-justified.
 *
 * TMP1xx: "TMP102", TI SBOS397H: "Digital Temperature Output", "One-Shot/Conversion Ready", "Configuration Register"; "TMP105",
 * TI SLLS648D: "Temperature Register", "One-Shot (OS)", "Configuration Register".
 * LM75: "LM75A", NXP rev 4, section 7.4.3 (11 bits); "LM75B, LM75C", TI SNIS153D (9 bits). LM75s have no one-shot and
 * start to measure by themselves; two queued faults are the mark by which a lost configuration is noticed.
 */
import type { DriverContext, SensorDriver } from '../contract/driver.ts'
import { HalError } from '../contract/errors.ts'
import type { I2c } from '../contract/io.ts'
import { i2cPlace, openI2c } from './i2c-place.ts'
import { openSensor, plausible } from './sensor-device.ts'
import { wait } from './wait.ts'

const temperatureRegister = 0
const configurationRegister = 1
const degreesPerStep = 1 / 256

interface Variant {
  /** What is written: shutdown for parts with one-shot. */
  readonly configuration: readonly number[]
  /** Bit of the first byte that starts one conversion; absent: it converts all the time. */
  readonly oneShot?: number
  /** Bits that read back as written. */
  readonly mask: readonly number[]
  readonly conversionMsMax: number
  readonly range: { readonly min: number; readonly max: number }
}

const tmp102Variant: Variant = {
  configuration: [0x61, 0xa0],
  oneShot: 0x80,
  mask: [0x7f, 0xd0],
  conversionMsMax: 35,
  range: { min: -40, max: 125 },
}
const tmp105Variant: Variant = {
  configuration: [0x61],
  oneShot: 0x80,
  mask: [0x7f],
  conversionMsMax: 300,
  range: { min: -40, max: 125 },
}
const lm75Variant: Variant = {
  configuration: [0x08],
  mask: [0xff],
  conversionMsMax: 300,
  range: { min: -55, max: 125 },
}

/** Degrees Celsius of the 16-bit register, of which the upper `bits` count (SBOS397H, table 7-2). */
export function degrees(register: number, bits: number): number {
  const signed = (register << 16) >> 16
  return (signed >> (16 - bits)) * 2 ** (16 - bits) * degreesPerStep
}

class Thermometer {
  readonly identification: { readonly model: string; readonly classification: string }
  readonly #i2c: I2c
  readonly #context: DriverContext
  readonly #variant: Variant
  readonly #bits: number

  constructor(context: DriverContext, i2c: I2c, model: string, variant: Variant, bits: number) {
    this.identification = { model, classification: 'temperature' }
    this.#i2c = i2c
    this.#context = context
    this.#variant = variant
    this.#bits = bits
  }

  async setUp(signal: AbortSignal): Promise<void> {
    const { configuration, oneShot, conversionMsMax } = this.#variant
    this.#i2c.write(Uint8Array.of(configurationRegister, ...configuration))
    if (!this.#configured())
      throw new HalError(
        'not-present',
        `${i2cPlace(this.#context)} does not keep a configuration as a ${this.identification.model} does`,
      )
    if (oneShot === undefined) await wait(this.#context.host.clock, conversionMsMax, signal)
  }

  async measure(signal: AbortSignal) {
    const { configuration, oneShot, conversionMsMax, range } = this.#variant
    if (oneShot !== undefined) {
      const [first = 0, ...rest] = configuration
      this.#i2c.write(Uint8Array.of(configurationRegister, first | oneShot, ...rest))
      await wait(this.#context.host.clock, conversionMsMax, signal)
    }
    if (!this.#configured())
      throw new HalError(
        'not-present',
        `${i2cPlace(this.#context)} lost its configuration; its power failed?`,
      )
    const [high = 0, low = 0] = this.#i2c.writeRead(Uint8Array.of(temperatureRegister), 2)
    const value = degrees((high << 8) | low, this.#bits)
    return { temperature: plausible(value, range.min, range.max) }
  }

  #configured(): boolean {
    const { configuration, mask } = this.#variant
    const found = this.#i2c.writeRead(Uint8Array.of(configurationRegister), configuration.length)
    return configuration.every(
      (byte, at) => ((found[at] ?? 0) & (mask[at] ?? 0)) === (byte & (mask[at] ?? 0)),
    )
  }
}

const addresses = (first: number, count: number) => Array.from({ length: count }, (_, index) => first + index)

function thermometer(
  variant: Variant,
  facts: Pick<
    SensorDriver,
    'id' | 'name' | 'manufacturer' | 'model' | 'datasheet' | 'connection' | 'options'
  >,
  bitsOf: (options: Parameters<SensorDriver['channels']>[0]) => number,
): SensorDriver {
  return {
    ...facts,
    role: 'sensor',
    channels: () => ['temperature'],
    ranges: (options) => ({
      temperature: { ...variant.range, resolution: 2 ** (8 - bitsOf(options)) },
    }),
    sampleEveryMs: { min: variant.conversionMsMax, default: 10_000 },
    sampleMsMax: 2 * variant.conversionMsMax + 100,
    async open(context, signal) {
      const i2c = openI2c(context)
      const part = new Thermometer(context, i2c, facts.model, variant, bitsOf(context.options))
      return openSensor(context, i2c, part, signal)
    },
  }
}

export const tmp102 = thermometer(
  tmp102Variant,
  {
    id: 'tmp102',
    name: 'Texas Instruments TMP102 thermometer',
    manufacturer: 'Texas Instruments',
    model: 'TMP102',
    datasheet: 'TMP102, SBOS397H, digital temperature output, one-shot, configuration register',
    connection: { bus: 'i2c', addresses: addresses(0x48, 4) },
    options: {},
  },
  () => 12,
)

export const tmp105 = thermometer(
  tmp105Variant,
  {
    id: 'tmp105',
    name: 'Texas Instruments TMP105 thermometer',
    manufacturer: 'Texas Instruments',
    model: 'TMP105',
    datasheet: 'TMP105, SLLS648D, temperature register, one-shot, configuration register',
    connection: { bus: 'i2c', addresses: addresses(0x48, 2) },
    options: {},
  },
  () => 12,
)

export const lm75 = thermometer(
  lm75Variant,
  {
    id: 'lm75',
    name: 'LM75 thermometer',
    manufacturer: 'NXP, Texas Instruments and others',
    model: 'LM75',
    datasheet: 'LM75A, NXP rev 4, section 7.4; LM75B and LM75C, TI SNIS153D, sections 1.2 to 1.9',
    connection: { bus: 'i2c', addresses: addresses(0x48, 8) },
    options: {
      bits: {
        type: 'choice',
        choices: ['9', '11'],
        default: '9',
        help: 'Bits of the temperature: 9 for LM75, LM75B and LM75C of TI, 11 for LM75A and LM75B of NXP',
      },
    },
  },
  (options) => Number(options['bits']),
)
