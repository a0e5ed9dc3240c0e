/** What single I2C sensors do besides what the suite asks of all: identities, the ends of ranges, lost power, rest. */
import { describe, expect, test } from 'vitest'
import type { SensorDriver } from '../../../../hal/contract/driver.ts'
import type { EmulatedPart } from '../../../../hal/contract/emulator.ts'
import { parts } from '../../../../hal/drivers/index.ts'
import { defaultOptions } from '../../../../hal/drivers/options.ts'
import { SensorRig } from '../../../conformance/sensor-rig.ts'

function rigOf(id: string, options: Record<string, number | string | boolean> = {}) {
  const part = parts.find(({ driver }) => driver.id === id)
  if (part?.driver.role !== 'sensor') throw new Error(`${id} is no sensor`)
  const driver: SensorDriver = part.driver
  const all = { ...defaultOptions(driver.options), ...options }
  return new SensorRig({ driver, emulator: part.emulator }, all)
}

/** The part, with one register that reads these bytes. */
const withRegister =
  (register: number, ...bytes: number[]) =>
  (emulated: EmulatedPart): EmulatedPart => {
    let pointer = 0
    return {
      ...emulated,
      i2c: {
        write(written) {
          pointer = written[0] ?? pointer
          emulated.i2c?.write(written)
        },
        read: (byteLength) =>
          pointer === register
            ? Uint8Array.from({ length: byteLength }, (_, at) => bytes[at] ?? 0)
            : (emulated.i2c?.read(byteLength) ?? new Uint8Array(byteLength)),
      },
    }
  }

describe('[drivers-3] a part of another kind at the address is not-present, naming what was found', () => {
  test.each([
    ['bme280', 0xd0, 0x58, 'one: i2c-1 address 0x76 is BMP280, not a BME280'],
    ['bme280', 0xd0, 0x61, 'one: i2c-1 address 0x76 is BME680, not a BME280'],
    ['bme280', 0xd0, 0x12, 'one: i2c-1 address 0x76 is a part with chip id 0x12, not a BME280'],
    ['mpu6050', 0x75, 0x70, 'one: i2c-1 address 0x68 is MPU-6500, not an MPU-6050'],
    ['mpu6050', 0x75, 0x00, 'one: i2c-1 address 0x68 is a part that calls itself 0x00, not an MPU-6050'],
  ])('%s, register 0x%s', async (id, register, value, message) => {
    const rig = rigOf(id)
    rig.attach('one', 0, withRegister(register, value))
    await expect(rig.open('one')).rejects.toMatchObject({ code: 'not-present', message })
  })

  test.each(['tmp102', 'tmp105', 'lm75', 'ina219', 'ads1115'])(
    '%s: a part without identification that keeps no configuration',
    async (id) => {
      const rig = rigOf(id)
      rig.attach('one', 0, () => ({
        i2c: { write() {}, read: (byteLength) => new Uint8Array(byteLength).fill(0x5a) },
        set() {},
        world: () => ({}),
      }))
      await expect(rig.open('one')).rejects.toMatchObject({
        code: 'not-present',
        message: expect.stringMatching(/^one: i2c-1 address 0x4[08] /),
      })
    },
  )
})

test('a BME280 whose calibration is empty is malformed, not hot', async () => {
  const rig = rigOf('bme280')
  rig.attach('one', 0, withRegister(0x88))
  await expect(rig.open('one')).rejects.toMatchObject({ code: 'malformed' })
})

describe('a part whose conversion never ends is a timeout, not an old value', () => {
  test('BME280: the status says that it measures', async () => {
    const rig = rigOf('bme280')
    rig.attach('one', 0, withRegister(0xf3, 0x08))
    await using device = await rig.open('one')
    await expect(rig.sample(device)).rejects.toMatchObject({ code: 'timeout' })
  })

  test('INA219: conversion ready is never set', async () => {
    const rig = rigOf('ina219')
    rig.attach('one', 0, withRegister(2, 0x5d, 0x98))
    await using device = await rig.open('one')
    await expect(rig.sample(device)).rejects.toMatchObject({ code: 'timeout' })
  })

  test('ADS1115: the configuration says that it converts', async () => {
    const rig = rigOf('ads1115')
    rig.attach('one', 0, withRegister(1, 0x43, 0x83))
    await expect(rig.open('one')).rejects.toMatchObject({ code: 'timeout' })
  })
})

describe('the ends of ranges', () => {
  test.each([
    ['bme280', 'humidity', 130, 100, 'saturated'],
    ['bme280', 'humidity', -20, 0, 'saturated'],
    ['sht4x', 'humidity', 110, 100, 'saturated'],
    ['sht4x', 'temperature', 128, 128, 'implausible'],
    ['tmp102', 'temperature', 127.9375, 127.9375, 'implausible'],
    ['scd4x', 'co2', 0, 0, 'implausible'],
    ['bh1750', 'illuminance', 100_000, 54_612.5, 'saturated'],
    ['ina219', 'current', 5, 3.2, 'saturated'],
    ['ina219', 'current', -5, -3.2, 'saturated'],
    ['ina219', 'voltage', 30, 30, 'implausible'],
    ['ads1115', 'voltage_2', 5, 4.096, 'saturated'],
    ['ads1115', 'voltage_2', -0.3, -0.3, 'implausible'],
    ['mpu6050', 'acceleration_y', 30, 2 * 9.80665, 'saturated'],
    ['mpu6050', 'angular_velocity_z', -5, -4.366, 'saturated'],
  ] as const)('%s: %s at %d is %d, %s', async (id, channel, truth, value, quality) => {
    const rig = rigOf(id)
    rig.attach('one').set(channel, truth)
    await using device = await rig.open('one')
    rig.settle()
    const found = (await rig.sample(device)).channels[channel]
    expect(found?.quality).toBe(quality)
    expect(found?.value).toBeCloseTo(value, 1)
  })

  test('an INA219 beyond its shunt range says so for current and power, and not for the voltage', async () => {
    const rig = rigOf('ina219')
    rig.attach('one').set('current', 5)
    await using device = await rig.open('one')
    const { channels } = await rig.sample(device)
    expect(channels.power?.quality).toBe('saturated')
    expect(channels.shunt_voltage?.quality).toBe('saturated')
    expect(channels.voltage).toEqual({ value: 12, quality: 'ok' })
  })
})

describe('[drivers-4] lost power', () => {
  test('an LM75 that has just been powered reads 0 °C: that is never given', async () => {
    const rig = rigOf('lm75')
    const part = rig.attach('one')
    await using device = await rig.open('one')
    expect((await rig.sample(device)).channels.temperature?.value).toBe(21.5)
    part.powerOn?.()
    await expect(rig.sample(device)).rejects.toMatchObject({ code: 'not-present' })
    expect(device.faults()).toHaveLength(1)
    expect((await rig.sample(device)).channels.temperature?.value).toBe(21.5)
    expect(device.faults()).toEqual([])
  })

  test('an SCD4x that lost its power does not measure: timeout, then it is started again', async () => {
    const rig = rigOf('scd4x')
    const part = rig.attach('one')
    await using device = await rig.open('one')
    rig.settle()
    part.powerOn?.()
    rig.clock.advance(1000)
    await expect(rig.sample(device)).rejects.toMatchObject({ code: 'timeout' })
    expect((await rig.sample(device)).channels.co2).toEqual({ value: 620, quality: 'ok' })
  })
})

test('an MPU-6050 that fell asleep is not at rest in free fall, even with the settings of power-on', async () => {
  const rig = rigOf('mpu6050', { bandwidth: '260' })
  const part = rig.attach('one')
  await using device = await rig.open('one')
  part.powerOn?.()
  await expect(rig.sample(device)).rejects.toMatchObject({ code: 'not-present' })
  expect((await rig.sample(device)).channels.acceleration_z?.value).toBeCloseTo(9.80665, 3)
})

test('an SCD4x that still measures for a program that was killed is taken over', async () => {
  const rig = rigOf('scd4x')
  const part = rig.attach('one')
  part.i2c?.write(Uint8Array.of(0x21, 0xb1))
  rig.clock.advance(12_000)
  await using device = await rig.open('one')
  expect(device.identification.uniqueId).toMatch(/^f8969f07/)
  expect((await rig.sample(device)).channels.co2?.value).toBe(620)
})

test('closing leaves an SCD4x idle and an MPU-6050 asleep', async () => {
  const scd4x = rigOf('scd4x')
  const co2 = scd4x.attach('one')
  await (await scd4x.open('one'))[Symbol.asyncDispose]()
  scd4x.clock.advance(600)
  // The serial number is answered only while it does not measure.
  co2.i2c?.write(Uint8Array.of(0x36, 0x82))
  const mpu6050 = rigOf('mpu6050')
  const motion = mpu6050.attach('one')
  await (await mpu6050.open('one'))[Symbol.asyncDispose]()
  motion.i2c?.write(Uint8Array.of(0x6b))
  expect([...(motion.i2c?.read(1) ?? [])]).toEqual([0x40])
})

test('an MPU-6050 measures gravity, and degrees per second as radians', async () => {
  const rig = rigOf('mpu6050', { gyroscopeRange: '2000' })
  const part = rig.attach('one')
  part.set('angular_velocity_x', Math.PI)
  await using device = await rig.open('one')
  const { channels } = await rig.sample(device)
  expect(channels.acceleration_z?.value).toBeCloseTo(9.80665, 3)
  expect(channels.angular_velocity_x?.value).toBeCloseTo(Math.PI, 2)
})

test('two samples at once of one part: the second is busy', async () => {
  const rig = rigOf('bme280')
  rig.attach('one')
  await using device = await rig.open('one')
  const signal = new AbortController().signal
  const first = device.sample(signal)
  await expect(device.sample(signal)).rejects.toMatchObject({ code: 'busy' })
  await rig.clock.run(() => first)
})

test('closing while a sample waits ends it as closed', async () => {
  const rig = rigOf('bme280')
  rig.attach('one')
  const device = await rig.open('one')
  const sample = device.sample(new AbortController().signal)
  await device[Symbol.asyncDispose]()
  await expect(sample).rejects.toMatchObject({ code: 'closed' })
  expect(() => device.configure({})).toThrow('closed')
})

test('no option of a polled sensor changes while it is open', async () => {
  const rig = rigOf('bme280')
  rig.attach('one')
  await using device = await rig.open('one')
  expect(() => device.configure({ oversampling: '2' })).toThrow('no option can change')
})
