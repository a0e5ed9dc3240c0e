/** What a sensor module finds here: `crc`, `timer`, buffers, and what its sample means. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { answerRead, bytesOf } from '../../../../hal/ecma-419/byte-buffer.ts'
import { CRC8, CRC16 } from '../../../../hal/ecma-419/crc.ts'
import { createIoClasses } from '../../../../hal/ecma-419/io-classes.ts'
import { readingOf } from '../../../../hal/ecma-419/samples.ts'
import { createTimer } from '../../../../hal/ecma-419/timer.ts'
import { createEmulatedIo } from '../../../../hal/sim/bus/index.ts'
import { testHost } from '../host.ts'

const check = new TextEncoder().encode('123456789')

describe('crc', () => {
  // Check values of Greg Cook's catalogue of parametrised CRC algorithms.
  it.each([
    ['CRC-8/SMBUS', new CRC8(0x07), 0xf4],
    ['CRC-8/NRSC-5', new CRC8(0x31, 0xff), 0xf7],
    ['CRC-8/MAXIM-DOW', new CRC8(0x31, 0, true, true), 0xa1],
    ['CRC-8/I-432-1', new CRC8(0x07, 0, false, false, 0x55), 0xa1],
    ['CRC-16/IBM-3740', new CRC16(0x1021, 0xffff), 0x29b1],
    ['CRC-16/MODBUS', new CRC16(0x8005, 0xffff, true, true), 0x4b37],
    ['CRC-16/X-25', new CRC16(0x1021, 0xffff, true, true, 0xffff), 0x906e],
  ])('%s of "123456789"', (_, crc, expected) => {
    expect(crc.checksum(check)).toBe(expected)
    crc.reset()
    expect(crc.checksum(check.buffer)).toBe(expected)
  })

  it('a sum taken in pieces is the sum of the whole', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1 }), fc.nat(), (bytes, at) => {
        const whole = new CRC16(0x1021, 0xffff, true, true, 0xffff)
        const pieces = new CRC16(0x1021, 0xffff, true, true, 0xffff)
        pieces.checksum(bytes.subarray(0, at % bytes.length))
        expect(pieces.checksum(bytes.subarray(at % bytes.length))).toBe(whole.checksum(bytes))
      }),
    )
  })
})

describe('byte buffers', () => {
  it('a number gives a new ArrayBuffer, a buffer is filled and its length answered', () => {
    const read = (byteLength: number) => Uint8Array.from({ length: byteLength }, (_, at) => at + 1)
    expect(answerRead(2, read)).toEqual(Uint8Array.of(1, 2).buffer)
    const words = new Uint16Array(2)
    expect(answerRead(words, read)).toBe(4)
    expect([...bytesOf(words)]).toEqual([1, 2, 3, 4])
    expect(() => bytesOf('text')).toThrow(TypeError)
  })
})

describe('timer', () => {
  it('sets, repeats, is scheduled anew and cleared, on the host’s clock', () => {
    const { clock } = testHost()
    const timer = createTimer(clock)
    const calls: string[] = []
    timer.set(() => calls.push('once'), 10)
    const ticking = timer.repeat(() => calls.push('tick'), 100)
    const never = timer.set(() => calls.push('never'), 50)
    timer.clear(never)
    clock.advance(250)
    expect(calls).toEqual(['once', 'tick', 'tick'])
    timer.schedule(ticking, 10, 1_000)
    clock.advance(20)
    expect(calls.length).toBe(4)
    timer.clear(ticking)
    timer.clear(undefined)
    clock.advance(10_000)
    expect(calls.length).toBe(4)
  })

  it('a delay stops the thread, never for long', () => {
    const timer = createTimer(testHost().clock)
    const startedMs = performance.now()
    timer.delay(20)
    expect(performance.now() - startedMs).toBeGreaterThanOrEqual(19)
    expect(() => timer.delay(60_000)).toThrow(RangeError)
  })
})

describe('samples', () => {
  it('plain and compound ones, in the channels’ units', () => {
    const at = (sample: unknown, expected: Parameters<typeof readingOf>[1] = []) =>
      Object.fromEntries(
        Object.entries(readingOf(sample, expected, 5).reading.channels).map(([name, { value }]) => [
          name,
          value,
        ]),
      )
    expect(at({ temperature: 23 })).toEqual({ temperature: 23 })
    expect(at({ hygrometer: { humidity: 50 }, thermometer: { temperature: 23 } })).toEqual({
      humidity: 50,
      temperature: 23,
    })
    expect(at({ near: true, distance: 150, max: 400 })).toEqual({ distance: 1.5 })
    expect(at({ CO2: 800 })).toEqual({ co2: 800 })
    expect(at({ accelerometer: { x: 1, y: 2, z: 9.8 } })).toMatchObject({ acceleration_z: 9.8 })
    expect(at({ x: 1, y: 2, z: 3 }, ['angular_velocity_x', 'angular_velocity_y'])).toEqual({
      angular_velocity_x: 1,
      angular_velocity_y: 2,
    })
  })

  it('carry the module’s own time and faults where it gives them', () => {
    expect(readingOf({ temperature: 1, time: 1234, faults: { open: true } }, [], 5)).toMatchObject({
      reading: { tsMs: 1234 },
      faults: ['open'],
    })
    expect(readingOf({ temperature: 1 }, [], 5).reading.tsMs).toBe(5)
  })

  it('none yet is busy; one with nothing known is an error that says what it had', () => {
    expect(() => readingOf(undefined, [], 0)).toThrow('the module has no sample yet')
    expect(() => readingOf({ x: 1, tvoc: 3 }, [], 0)).toThrow(
      'the sample {x, tvoc} has no channel that is known',
    )
  })
})

describe('IO classes', () => {
  const world = () => {
    const { host, clock } = testHost()
    const emulated = createEmulatedIo({ host })
    const classes = createIoClasses(
      emulated.io,
      { bus: 'i2c-1', address: 0x48, pins: { pin: 11 } },
      'm',
      clock,
    )
    return { ...emulated, ...classes }
  }
  type Any = Record<string, (...args: unknown[]) => unknown>
  const open = (Class: new (options: Record<string, unknown>) => object, options: Record<string, unknown>) =>
    new Class(options) as unknown as Any

  it('a module reaches its own bus, address and pins, and no other [ecma-419-1]', () => {
    const { I2C, Digital, SPI } = world()
    expect(() => open(I2C, { address: 0x49 })).toThrow('m: it asked for the address 73, and was given 72')
    expect(() => open(I2C, { bus: 'i2c-3', address: 0x48 })).toThrow('it asked for the bus i2c-3')
    expect(() => open(SPI, { bus: 'spi-0.0', hz: 1 })).toThrow('it asked for the bus spi-0.0')
    const { Input } = Digital as unknown as { Input: string }
    expect(() => open(Digital, { pin: 13, mode: Input })).toThrow('it asked for pin 13')
    open(Digital, { pin: 11, mode: Input })
  })

  it('drives no output [ecma-419-2]', () => {
    const { Digital, PWM } = world()
    const statics = Digital as unknown as Record<string, string>
    for (const mode of ['Output', 'OutputOpenDrain'])
      expect(() => open(Digital, { pin: 11, mode: statics[mode] })).toThrow('it asked for an output')
    expect(() => open(PWM, { pin: 11 })).toThrow('it asked for a PWM output')
  })

  it('a digital input reads 0 and 1 and calls back on its edges', async () => {
    const { Digital, drive } = world()
    const { Input, Rising } = Digital as unknown as { Input: string; Rising: number }
    let edges = 0
    const input = open(Digital, {
      pin: 11,
      mode: Input,
      edge: Rising,
      onReadable: () => {
        edges += 1
      },
    })
    drive(11, 0)
    expect(input['read']?.()).toBe(0)
    drive(11, 1)
    expect(input['read']?.()).toBe(1)
    await Promise.resolve()
    expect(edges).toBe(1)
  })

  it('a bank shows the module’s own pins, as bits in the order of its configuration', () => {
    const { host, clock } = testHost()
    const emulated = createEmulatedIo({ host })
    const { DigitalBank } = createIoClasses(emulated.io, { pins: { a: 11, b: 13, c: 15 } }, 'm', clock)
    const { Input } = DigitalBank as unknown as { Input: string }
    const bank = open(DigitalBank, { pins: 0b101, mode: Input })
    emulated.drive(11, 0)
    emulated.drive(15, 1)
    expect(bank['read']?.()).toBe(0b100)
    expect(() => open(DigitalBank, { pins: 0b1000, mode: Input })).toThrow(
      'pins that its configuration does not give',
    )
  })
})
