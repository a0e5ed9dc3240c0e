/**
 * MPU-6050: acceleration, angular velocity and the chip's temperature, read in one burst so that they belong together.
 *
 * "MPU-6000 and MPU-6050 Register Map and Descriptions", InvenSense RM-MPU-6000A-00 rev 4.2: sections 4.2 to 4.5
 * (configuration), 4.17 to 4.19 (measurements and their scales), 4.28 (power), 4.32 (who am I); "Product Specification",
 * PS-MPU-6000A-00 rev 3.4, section 6.1 (start-up of the gyroscope).
 */
import type { DriverContext, Options, SensorDriver } from '../contract/driver.ts'
import { HalError } from '../contract/errors.ts'
import type { I2c } from '../contract/io.ts'
import { hex, i2cPlace, openI2c } from './i2c-place.ts'
import { openSensor, plausible } from './sensor-device.ts'
import { wait } from './wait.ts'

const register = { sampleDivider: 0x19, measurements: 0x3b, power: 0x6b, whoAmI: 0x75 } as const
const reset = 0x80
/** The gyroscope's X axis as clock, as section 4.28 recommends. */
const awake = 0x01
const asleep = 0x40
const resetMs = 100
const gyroscopeStartMs = 30

const chipId = 0x68
/** Relatives that answer at the same addresses. */
const otherChips: Readonly<Record<number, string>> = {
  25: 'MPU-6886',
  112: 'MPU-6500',
  113: 'MPU-9250',
  115: 'MPU-9255',
  18: 'ICM-20602',
}

const standardGravity = 9.80665
const radiansPerDegree = Math.PI / 180

const accelerometerRanges = ['2', '4', '8', '16']
const gyroscopeRanges = ['250', '500', '1000', '2000']
const stepsPerDegreePerS: Readonly<Record<number, number>> = { 250: 131, 500: 65.5, 1000: 32.8, 2000: 16.4 }
/** Bandwidths of the low-pass filter by code (section 4.3), hertz. */
const bandwidths = ['260', '184', '94', '44', '21', '10', '5']

/** Section 4.18: degrees Celsius. */
export const degrees = (raw: number): number => raw / 340 + 36.53
/** Section 4.17: m/s² where full scale is `g` times the standard gravity. */
export const acceleration = (raw: number, g: number): number => (raw * g * standardGravity) / 32_768
/** Section 4.19: rad/s, by the table's steps for 1 °/s, which are rounded. */
export const angularVelocity = (raw: number, degreesPerS: number): number =>
  (raw / (stepsPerDegreePerS[degreesPerS] ?? Number.NaN)) * radiansPerDegree

class Mpu6050 {
  readonly identification = { model: 'MPU-6050', classification: 'motion' }
  readonly #i2c: I2c
  readonly #context: DriverContext
  /** Registers 0x19 to 0x1C: divider, filter, gyroscope, accelerometer. */
  readonly #configuration: readonly number[]

  constructor(context: DriverContext, i2c: I2c) {
    this.#i2c = i2c
    this.#context = context
    const { options } = context
    this.#configuration = [
      0,
      bandwidths.indexOf(String(options['bandwidth'])),
      gyroscopeRanges.indexOf(String(options['gyroscopeRange'])) << 3,
      accelerometerRanges.indexOf(String(options['accelerometerRange'])) << 3,
    ]
  }

  async setUp(signal: AbortSignal): Promise<void> {
    const { clock } = this.#context.host
    const id = this.#read(register.whoAmI, 1)[0] ?? 0
    if (id !== chipId) {
      const found = otherChips[id] ?? `a part that calls itself ${hex(id)}`
      throw new HalError('not-present', `${i2cPlace(this.#context)} is ${found}, not an MPU-6050`)
    }
    this.#i2c.write(Uint8Array.of(register.power, reset))
    await wait(clock, resetMs, signal)
    this.#i2c.write(Uint8Array.of(register.power, awake))
    this.#i2c.write(Uint8Array.of(register.sampleDivider, ...this.#configuration))
    await wait(clock, gyroscopeStartMs, signal)
  }

  async measure() {
    const power = this.#read(register.power, 1)[0]
    const configuration = this.#read(register.sampleDivider, 4)
    if (power !== awake || this.#configuration.some((byte, at) => byte !== configuration[at]))
      throw new HalError(
        'not-present',
        `${i2cPlace(this.#context)} lost its configuration; its power failed?`,
      )
    const bytes = this.#read(register.measurements, 14)
    const view = new DataView(bytes.buffer, bytes.byteOffset, 14)
    const [g, degreesPerS] = rangesOf(this.#context.options)
    const a = (at: number) => axis(view.getInt16(at), (raw) => acceleration(raw, g))
    const w = (at: number) => axis(view.getInt16(at), (raw) => angularVelocity(raw, degreesPerS))
    return {
      acceleration_x: a(0),
      acceleration_y: a(2),
      acceleration_z: a(4),
      temperature: plausible(degrees(view.getInt16(6)), -40, 85),
      angular_velocity_x: w(8),
      angular_velocity_y: w(10),
      angular_velocity_z: w(12),
    }
  }

  rest(): void {
    this.#i2c.write(Uint8Array.of(register.power, asleep))
  }

  #read(from: number, byteLength: number): Uint8Array {
    return this.#i2c.writeRead(Uint8Array.of(from), byteLength)
  }
}

const axis = (raw: number, scale: (raw: number) => number) =>
  plausible(scale(raw), Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, raw >= 32_767 || raw === -32_768)

const rangesOf = (options: Options): [number, number] => [
  Number(options['accelerometerRange']),
  Number(options['gyroscopeRange']),
]

export const mpu6050: SensorDriver = {
  role: 'sensor',
  id: 'mpu6050',
  name: 'InvenSense MPU-6050 accelerometer and gyroscope',
  manufacturer: 'InvenSense',
  model: 'MPU-6050',
  datasheet:
    'RM-MPU-6000A-00 rev 4.2, sections 4.2 to 4.5, 4.17 to 4.19, 4.28, 4.32; PS-MPU-6000A-00 rev 3.4, section 6.1',
  connection: { bus: 'i2c', addresses: [0x68, 0x69] },
  options: {
    accelerometerRange: {
      type: 'choice',
      choices: accelerometerRanges,
      default: '2',
      help: 'Largest acceleration, in standard gravities',
    },
    gyroscopeRange: {
      type: 'choice',
      choices: gyroscopeRanges,
      default: '250',
      help: 'Largest angular velocity, degrees per second',
    },
    bandwidth: {
      type: 'choice',
      choices: bandwidths,
      default: '44',
      help: 'Hertz that the low-pass filter lets through: less is calmer, and later',
    },
  },
  channels: () => [
    'acceleration_x',
    'acceleration_y',
    'acceleration_z',
    'angular_velocity_x',
    'angular_velocity_y',
    'angular_velocity_z',
    'temperature',
  ],
  ranges(options) {
    const [g, degreesPerS] = rangesOf(options)
    const [a, w] = [acceleration(32_767, g), angularVelocity(32_767, degreesPerS)]
    const linear = { min: -a, max: a, resolution: acceleration(1, g) }
    const angular = { min: -w, max: w, resolution: angularVelocity(1, degreesPerS) }
    return {
      acceleration_x: linear,
      acceleration_y: linear,
      acceleration_z: linear,
      angular_velocity_x: angular,
      angular_velocity_y: angular,
      angular_velocity_z: angular,
      temperature: { min: -40, max: 85, resolution: 0.01 },
    }
  },
  sampleEveryMs: { min: 10, default: 100 },
  sampleMsMax: 250,
  async open(context, signal) {
    const i2c = openI2c(context)
    return openSensor(context, i2c, new Mpu6050(context, i2c), signal)
  },
}
