/** The worked examples of the datasheets, against the drivers' formulas; none of the numbers is our own. */
import { describe, expect, test } from 'vitest'
import { volts } from '../../../../hal/drivers/ads1115.driver.ts'
import { lux } from '../../../../hal/drivers/bh1750.driver.ts'
import {
  calibrationOf,
  fineTemperature,
  pascals,
  relativeHumidity,
} from '../../../../hal/drivers/bme280.driver.ts'
import { crc8, dallasCrc, sensirionCrc } from '../../../../hal/drivers/crc.ts'
import { calibrationFor, valuesOf } from '../../../../hal/drivers/ina219.driver.ts'
import * as mpu6050 from '../../../../hal/drivers/mpu6050.driver.ts'
import * as scd4x from '../../../../hal/drivers/scd4x.driver.ts'
import { sendCommand, wordsOf } from '../../../../hal/drivers/sensirion.ts'
import * as sht4x from '../../../../hal/drivers/sht4x.driver.ts'
import { degrees } from '../../../../hal/drivers/tmp102.driver.ts'

describe('TMP102, SBOS397H, table "12-bit temperature data format"', () => {
  test.each([
    [0x7ff, 127.9375],
    [0x640, 100],
    [0x500, 80],
    [0x4b0, 75],
    [0x320, 50],
    [0x190, 25],
    [0x004, 0.25],
    [0x000, 0],
    [0xffc, -0.25],
    [0xe70, -25],
    [0xc90, -55],
  ])('code 0x%s is %d °C', (code, celsius) => {
    expect(degrees(code << 4, 12)).toBe(celsius)
  })
})

describe('LM75A, NXP rev 4, table 10 "Temp register value"', () => {
  test.each([
    [0b011_1111_1000, 127],
    [0b011_1111_0111, 126.875],
    [0b000_1100_1000, 25],
    [0b000_0000_0001, 0.125],
    [0b111_1111_1111, -0.125],
    [0b111_0011_1000, -25],
    [0b110_0100_1000, -55],
  ])('code %d is %d °C', (code, celsius) => {
    expect(degrees(code << 5, 11)).toBe(celsius)
  })

  test('an LM75 of 9 bits leaves undefined bits below, which do not count', () => {
    expect(degrees(0x1900 | 0x7f, 9)).toBe(25)
  })
})

describe('BME280 and BMP280', () => {
  // BST-BMP280-DS001, section 3.12: the same formulas, with numbers.
  const t = [27_504, 26_435, -1000] as const
  const p = [36_477, -10_685, 3024, 2855, 140, -7, 15_500, -14_600, 6000] as const

  test('the example of section 3.12 is 25.08 °C and 100653.27 Pa', () => {
    const fine = fineTemperature(519_888, t)
    expect(Math.trunc(fine)).toBe(128_422)
    expect(fine / 5120).toBeCloseTo(25.08, 2)
    expect(pascals(415_148, fine, p)).toBeCloseTo(100_653.27, 1)
  })

  test('the calibration is read from the places and in the signs of table 16', () => {
    const low = new Uint8Array(26)
    const view = new DataView(low.buffer)
    for (const [at, value] of [...t, ...p].entries()) view.setInt16(2 * at, value, true)
    low[25] = 75
    // H2 = 0x016A, H3 = 0x05, H4 = 0x139 over E4 and the low half of E5, H5 = -46 (0xFD2), H6 = -2.
    const high = Uint8Array.of(0x6a, 0x01, 0x05, 0x13, 0x29, 0xfd, 0xfe)
    expect(calibrationOf(low, high)).toEqual({ t: [...t], p: [...p], h: [75, 362, 5, 0x139, -46, -2] })
  })

  test('H4 has a sign too, and shares a byte with H5', () => {
    const high = Uint8Array.of(0, 0, 0, 0xf3, 0x29, 0x03, 0)
    expect(calibrationOf(new Uint8Array(26), high).h).toEqual([0, 0, 0, -199, 0x32, 0])
  })

  test('with a plain calibration, humidity is a straight line through the offset', () => {
    // H1, H3, H5, H6 are zero: (adc - 64 h4) h2 / 65536, by section 8.1.
    expect(relativeHumidity(64 * 300 + 8192, 76_800, [0, 400, 0, 300, 0, 0])).toBeCloseTo(50, 9)
  })
})

describe('Sensirion', () => {
  test('CRC of BE EF is 92 (SHT4x, checksum calculation)', () => {
    expect(crc8(Uint8Array.of(0xbe, 0xef), sensirionCrc)).toBe(0x92)
  })

  test('the example of read_measurement is 500 ppm, 25 °C, 37 % (SCD4x 1.3, section 3.5.2)', () => {
    const answer = Uint8Array.of(0x01, 0xf4, 0x33, 0x66, 0x67, 0xa2, 0x5e, 0xb9, 0x3c)
    const [co2 = 0, t = 0, rh = 0] = wordsOf(answer, 'here')
    expect(co2).toBe(500)
    expect(scd4x.degrees(t)).toBeCloseTo(25, 2)
    expect(scd4x.relativeHumidity(rh)).toBeCloseTo(37, 2)
  })

  test('the example of get_serial_number has valid checksums (SCD4x 1.3, section 3.9.2)', () => {
    const answer = Uint8Array.of(0xf8, 0x96, 0x31, 0x9f, 0x07, 0xc2, 0x3b, 0xbe, 0x89)
    expect(wordsOf(answer, 'here')).toEqual([0xf896, 0x9f07, 0x3bbe])
  })

  test('the examples of set_temperature_offset 5.4 °C and set_sensor_altitude 1950 m go out as printed', () => {
    const sent: number[][] = []
    const i2c = {
      write: (bytes: Uint8Array) => void sent.push([...bytes]),
      read: () => new Uint8Array(),
      writeRead: () => new Uint8Array(),
      close() {},
    }
    sendCommand(i2c, 0x241d, scd4x.offsetWord(5.4))
    sendCommand(i2c, 0x2427, 1950)
    expect(sent).toEqual([
      [0x24, 0x1d, 0x07, 0xe6, 0x48],
      [0x24, 0x27, 0x07, 0x9e, 0x09],
    ])
  })

  test('SHT4x codes span -45 to 130 °C and -6 to 119 % (conversion of signal output)', () => {
    expect(sht4x.degrees(0)).toBe(-45)
    expect(sht4x.degrees(0xffff)).toBe(130)
    expect(sht4x.relativeHumidity(0)).toBe(-6)
    expect(sht4x.relativeHumidity(0xffff)).toBe(119)
  })

  test('one wrong bit is a checksum error that names the place and the word', () => {
    expect(() => wordsOf(Uint8Array.of(0xbe, 0xef, 0x93), 'i2c-1 address 0x44')).toThrow(
      'i2c-1 address 0x44: the checksum of word 0 does not fit',
    )
  })
})

test('Dallas: CRC of the example 02 1C B8 01 00 00 00 is A2 (Maxim application note 27)', () => {
  expect(crc8(Uint8Array.of(0x02, 0x1c, 0xb8, 0x01, 0x00, 0x00, 0x00), dallasCrc)).toBe(0xa2)
})

describe('BH1750FVI, 11046EDT01', () => {
  test('83 90 (hex) is 28067 lx (page 7)', () => {
    expect(lux(0x8390)).toBeCloseTo(28_067, 0)
  })

  test('01 10 (hex) is 227 lx (page 7)', () => {
    expect(Math.round(lux(0x0110))).toBe(227)
  })

  test('at a measurement time of 138, one count is 0.42 lx (page 11)', () => {
    expect(lux(1, 1, 138)).toBeCloseTo(0.42, 2)
  })
})

describe('INA219, SBOS448G, section 9.2, table 8: 10 A through 2 mΩ at 11.98 V', () => {
  test('1 mA a step calibrates to 0x5000', () => {
    expect(calibrationFor(0.001, 0.002)).toBe(0x5000)
  })

  test('its registers are 20 mV, 11.98 V, 10 A and 119.8 W', () => {
    const raw = { shunt: 0x07d0, bus: 0x5d98, current: 0x2710, power: 0x1766 }
    const values = valuesOf(raw, 0.001)
    expect(values.shuntVoltage).toBeCloseTo(0.02, 9)
    expect(values.voltage).toBeCloseTo(11.98, 9)
    expect(values.current).toBeCloseTo(10, 9)
    expect(values.power).toBeCloseTo(119.8, 9)
  })

  test('-320 mV is 0x8300 at PGA /8 (section 8.6.3.1)', () => {
    expect(valuesOf({ shunt: 0x8300, bus: 0, current: 0, power: 0 }, 0.001).shuntVoltage).toBeCloseTo(
      -0.32,
      9,
    )
  })

  test('power has the sign of the current, which the register has not', () => {
    expect(valuesOf({ shunt: 0, bus: 0, current: 0xd8f0, power: 0x1766 }, 0.001).power).toBeCloseTo(-119.8, 9)
  })
})

describe('ADS1115, SBAS444, table "Input Signal Versus Ideal Output Code"', () => {
  test.each([
    [0x7fff, (4.096 * 32_767) / 32_768],
    [0x0001, 4.096 / 32_768],
    [0x0000, 0],
    [0xffff, -4.096 / 32_768],
    [0x8000, -4.096],
  ])('code %d is %d V at ±4.096 V', (code, expected) => {
    expect(volts(code, 4.096)).toBeCloseTo(expected, 9)
  })
})

describe('MPU-6050, RM-MPU-6000A-00 rev 4.2', () => {
  test.each([
    [16_384, 2],
    [8192, 4],
    [4096, 8],
    [2048, 16],
  ])('%d steps are 1 g at ±%d g (section 4.17)', (steps, range) => {
    expect(mpu6050.acceleration(steps, range)).toBeCloseTo(9.806_65, 9)
  })

  test.each([
    [131, 250],
    [65.5, 500],
    [32.8, 1000],
    [16.4, 2000],
  ])('%d steps are 1 °/s at ±%d °/s (section 4.19)', (steps, range) => {
    expect(mpu6050.angularVelocity(steps, range)).toBeCloseTo(Math.PI / 180, 12)
  })

  test('raw 0 is 36.53 °C and 340 steps are a degree (section 4.18)', () => {
    expect(mpu6050.degrees(0)).toBe(36.53)
    expect(mpu6050.degrees(-340)).toBeCloseTo(35.53, 9)
  })
})
