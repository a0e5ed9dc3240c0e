/**
 * BME280: temperature, humidity and pressure. Measures in forced mode, filter off ("weather monitoring", section 3.5.1).
 *
 * "BME280 Combined humidity and pressure sensor", Bosch BST-BME280-DS002-15, rev 1.6: sections 4.2.2 (calibration), 5.3 and
 * 5.4 (registers), 8.1 (compensation in double precision), 9.1 (measurement time).
 */
import type { DriverContext, Options, SensorDriver } from '../contract/driver.ts'
import { HalError } from '../contract/errors.ts'
import type { I2c } from '../contract/io.ts'
import { hex, i2cPlace, openI2c } from './i2c-place.ts'
import { openSensor, plausible } from './sensor-device.ts'
import { wait } from './wait.ts'

const chipId = 0x60
/** Neighbours of the family that answer at the same addresses. */
const otherChips: Readonly<Record<number, string>> = {
  85: 'BMP180',
  86: 'BMP280',
  87: 'BMP280',
  88: 'BMP280',
  97: 'BME680',
  80: 'BMP388',
}
const startUpMs = 2
const pollsMax = 20

export interface Calibration {
  readonly t: readonly [number, number, number]
  readonly p: readonly [number, number, number, number, number, number, number, number, number]
  readonly h: readonly [number, number, number, number, number, number]
}

/** Section 4.2.2, table 16: `low` is 0x88 to 0xA1, `high` is 0xE1 to 0xE7. */
export function calibrationOf(low: Uint8Array, high: Uint8Array): Calibration {
  const a = new DataView(low.buffer, low.byteOffset, 26)
  const b = new DataView(high.buffer, high.byteOffset, 7)
  const s16 = (at: number) => a.getInt16(at, true)
  return {
    t: [a.getUint16(0, true), s16(2), s16(4)],
    p: [a.getUint16(6, true), s16(8), s16(10), s16(12), s16(14), s16(16), s16(18), s16(20), s16(22)],
    h: [
      a.getUint8(25),
      b.getInt16(0, true),
      b.getUint8(2),
      (b.getInt8(3) << 4) | (b.getUint8(4) & 0x0f),
      (b.getInt8(5) << 4) | (b.getUint8(4) >> 4),
      b.getInt8(6),
    ],
  }
}

/** Section 8.1; the fine temperature is 5120 times the temperature in °C. */
export function fineTemperature(adc: number, [t1, t2, t3]: Calibration['t']): number {
  const first = (adc / 16_384 - t1 / 1024) * t2
  const second = (adc / 131_072 - t1 / 8192) ** 2 * t3
  return first + second
}

/** Section 8.1; pascals. */
export function pascals(adc: number, fine: number, calibration: Calibration['p']): number {
  const [p1, p2, p3, p4, p5, p6, p7, p8, p9] = calibration
  const half = fine / 2 - 64_000
  const offset = ((half * half * p6) / 32_768 + half * p5 * 2) / 4 + p4 * 65_536
  const slope = (1 + ((p3 * half * half) / 524_288 + p2 * half) / 524_288 / 32_768) * p1
  if (slope === 0) throw new HalError('malformed', 'the calibration gives no pressure')
  const raw = ((1_048_576 - adc - offset / 4096) * 6250) / slope
  return raw + ((p9 * raw * raw) / 2_147_483_648 + (raw * p8) / 32_768 + p7) / 16
}

/** Section 8.1; per cent of relative humidity, before it is limited to 0 to 100. */
export function relativeHumidity(adc: number, fine: number, calibration: Calibration['h']): number {
  const [h1, h2, h3, h4, h5, h6] = calibration
  const warm = fine - 76_800
  const linear =
    (adc - (h4 * 64 + (h5 / 16_384) * warm)) *
    ((h2 / 65_536) * (1 + (h6 / 67_108_864) * warm * (1 + (h3 / 67_108_864) * warm)))
  return linear * (1 - (h1 * linear) / 524_288)
}

class Bme280 {
  readonly identification = { model: 'BME280', classification: 'environment' }
  readonly #i2c: I2c
  readonly #context: DriverContext
  readonly #oversampling: number
  #calibration: Calibration | undefined

  constructor(context: DriverContext, i2c: I2c) {
    this.#i2c = i2c
    this.#context = context
    this.#oversampling = oversampling(context.options)
  }

  async setUp(signal: AbortSignal): Promise<void> {
    const [id = 0] = this.#read(0xd0, 1)
    if (id !== chipId) {
      const found = otherChips[id] ?? `a part with chip id ${hex(id)}`
      throw new HalError('not-present', `${i2cPlace(this.#context)} is ${found}, not a BME280`)
    }
    this.#i2c.write(Uint8Array.of(0xe0, 0xb6))
    await wait(this.#context.host.clock, startUpMs, signal)
    await this.#idle(0x01, signal)
    const calibration = calibrationOf(this.#read(0x88, 26), this.#read(0xe1, 7))
    if (calibration.t[0] === 0 || calibration.p[0] === 0)
      throw new HalError('malformed', `${i2cPlace(this.#context)}: its calibration is empty`)
    this.#calibration = calibration
  }

  async measure(signal: AbortSignal) {
    const code = Math.log2(this.#oversampling) + 1
    this.#i2c.write(Uint8Array.of(0xf2, code))
    this.#i2c.write(Uint8Array.of(0xf4, (code << 5) | (code << 2) | 0x01))
    await wait(this.#context.host.clock, measurementMsMax(this.#oversampling), signal)
    await this.#idle(0x08, signal)
    return this.#values(this.#read(0xf7, 8))
  }

  #values(bytes: Uint8Array) {
    const [p2 = 0, p1 = 0, p0 = 0, t2 = 0, t1 = 0, t0 = 0, h1 = 0, h0 = 0] = bytes
    const adcP = (p2 << 12) | (p1 << 4) | (p0 >> 4)
    const adcT = (t2 << 12) | (t1 << 4) | (t0 >> 4)
    const adcH = (h1 << 8) | h0
    if (adcP === 0x80000 && adcT === 0x80000 && adcH === 0x8000)
      throw new HalError('malformed', `${i2cPlace(this.#context)} has measured nothing; its power failed?`)
    if ((p0 & 0x0f) !== 0 || (t0 & 0x0f) !== 0 || !this.#calibration)
      throw new HalError('malformed', `${i2cPlace(this.#context)}: bits are set that a BME280 leaves zero`)
    const { t, p, h } = this.#calibration
    const fine = fineTemperature(adcT, t)
    const humidity = relativeHumidity(adcH, fine, h)
    const limited = Math.min(100, Math.max(0, humidity))
    return {
      temperature: plausible(fine / 5120, -40, 85),
      humidity: plausible(limited, 0, 100, limited !== humidity),
      pressure: plausible(pascals(adcP, fine, p), 30_000, 110_000),
    }
  }

  /** Waits until a bit of the status register (section 5.4.4) is clear. */
  async #idle(bit: number, signal: AbortSignal): Promise<void> {
    for (let poll = 0; poll < pollsMax; poll += 1) {
      if (((this.#read(0xf3, 1)[0] ?? 0) & bit) === 0) return
      await wait(this.#context.host.clock, 1, signal)
    }
    throw new HalError(
      'timeout',
      `${i2cPlace(this.#context)}: still busy after ${pollsMax} ms more than it needs`,
    )
  }

  #read(register: number, byteLength: number): Uint8Array {
    return this.#i2c.writeRead(Uint8Array.of(register), byteLength)
  }
}

const oversampling = (options: Options): number => Number(options['oversampling'])

/** Section 9.1, the same oversampling for all three. */
const measurementMsMax = (times: number): number => 1.25 + 2.3 * times + 2 * (2.3 * times + 0.575)

export const bme280: SensorDriver = {
  role: 'sensor',
  id: 'bme280',
  name: 'Bosch BME280 temperature, humidity and pressure sensor',
  manufacturer: 'Bosch Sensortec',
  model: 'BME280',
  datasheet: 'BME280, BST-BME280-DS002-15 rev 1.6, sections 4.2.2, 5.3, 5.4, 8.1, 9.1',
  connection: { bus: 'i2c', addresses: [0x76, 0x77] },
  options: {
    oversampling: {
      type: 'choice',
      choices: ['1', '2', '4', '8', '16'],
      default: '1',
      help: 'Measurements that are averaged in the part: more are less noisy, and slower',
    },
  },
  channels: () => ['temperature', 'humidity', 'pressure'],
  ranges: () => ({
    temperature: { min: -40, max: 85, resolution: 0.01 },
    humidity: { min: 0, max: 100, resolution: 0.02 },
    pressure: { min: 30_000, max: 110_000, resolution: 4 },
  }),
  sampleEveryMs: { min: 200, default: 10_000 },
  sampleMsMax: 250,
  async open(context, signal) {
    const i2c = openI2c(context)
    return openSensor(context, i2c, new Bme280(context, i2c), signal)
  },
}
