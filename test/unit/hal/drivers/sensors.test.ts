/** Sensors on pins, 1-Wire and serial lines: what their data sheets promise, and what goes wrong. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Reading } from '../../../../hal/contract/channels.ts'
import { ds18b20, temperatureOf } from '../../../../hal/drivers/ds18b20.driver.ts'
import { emulatedDs18b20 } from '../../../../hal/drivers/ds18b20.emul.ts'
import { gnss } from '../../../../hal/drivers/gnss.driver.ts'
import { emulatedGnss } from '../../../../hal/drivers/gnss.emul.ts'
import { distanceM, hcSr04 } from '../../../../hal/drivers/hc-sr04.driver.ts'
import { emulatedHcSr04 } from '../../../../hal/drivers/hc-sr04.emul.ts'
import { pir } from '../../../../hal/drivers/pir.driver.ts'
import { emulatedPir } from '../../../../hal/drivers/pir.emul.ts'
import { Pms5003Parser, pms5003 } from '../../../../hal/drivers/pms5003.driver.ts'
import { emulatedPms5003 } from '../../../../hal/drivers/pms5003.emul.ts'
import { AttachedIo, never } from './attached-io.ts'

describe('HC-SR04', () => {
  const at = { pins: { trigger: 23, echo: 24 } }
  const attached = async () => {
    const io = new AttachedIo()
    const { part, context } = io.attach({ driver: hcSr04, emulator: emulatedHcSr04 }, 'tank', at)
    const device = await io.run(() => hcSr04.open(context, never))
    return { io, part, device, sample: () => io.run(() => device.sample(never)) }
  }

  test('a microsecond is 1/58 cm, as the data sheet says, within 1 %', () => {
    for (const us of [116n, 1000n, 5800n, 23_200n])
      expect(distanceM(us * 1000n, 20) / (Number(us) / 5800)).toBeCloseTo(1, 2)
  })

  test('with nothing in reach, or too near, it is saturated at the end of its range', async () => {
    const { part, sample } = await attached()
    part.set('distance', 50)
    expect((await sample()).channels.distance).toEqual({ value: 4, quality: 'saturated' })
    part.set('distance', 0.005)
    expect((await sample()).channels.distance?.quality).toBe('saturated')
  })

  test('a broken echo wire is a timeout that says which way it is broken', async () => {
    const { io, sample } = await attached()
    io.world.hold(24, 0)
    await expect(sample()).rejects.toMatchObject({
      code: 'timeout',
      message: expect.stringContaining('no echo'),
    })
    io.world.hold(24, 1)
    await expect(sample()).rejects.toMatchObject({
      code: 'timeout',
      message: expect.stringContaining('high'),
    })
    io.world.hold(24, undefined)
    expect((await sample()).channels.distance?.quality).toBe('ok')
  })

  test('a taken echo pin gives the trigger pin back', async () => {
    const io = new AttachedIo()
    const { context } = io.attach({ driver: hcSr04, emulator: emulatedHcSr04 }, 'tank', at)
    const taken = io.world.io.digital({ pin: 24, mode: 'input' })
    await expect(hcSr04.open(context, never)).rejects.toMatchObject({ code: 'busy' })
    taken.close()
    await using _ = await hcSr04.open(context, never)
  })
})

describe('PIR', () => {
  test('it reports every change by itself, and is implausible until it is warm', async () => {
    const io = new AttachedIo()
    const { part, context } = io.attach({ driver: pir, emulator: emulatedPir }, 'hall', {
      pins: { signal: 17 },
    })
    const device = await pir.open(context, never)
    const readings: Reading[] = []
    device.onReading = (reading) => readings.push(reading)
    part.set('motion', 1)
    await Promise.resolve()
    expect(device.faults()).toEqual(['it warms up'])
    io.host.clock.advance(60_000)
    expect(device.faults()).toEqual([])
    part.set('motion', 0)
    await Promise.resolve()
    part.set('motion', 1)
    await Promise.resolve()
    expect(readings.map(({ channels }) => channels.motion)).toEqual([
      { value: 1, quality: 'implausible' },
      { value: 0, quality: 'ok' },
      { value: 1, quality: 'ok' },
    ])
    await device[Symbol.asyncDispose]()
    part.set('motion', 0)
    await Promise.resolve()
    expect(readings).toHaveLength(3)
  })

  test('a module with a low-active output is read the other way round', async () => {
    const io = new AttachedIo()
    const place = { pins: { signal: 17 } }
    const options = { activeLow: true, warmUpS: 0 }
    const { part, context } = io.attach({ driver: pir, emulator: emulatedPir }, 'hall', place, options)
    await using device = await pir.open(context, never)
    expect((await device.sample(never)).channels.motion).toEqual({ value: 0, quality: 'ok' })
    part.set('motion', 1)
    expect((await device.sample(never)).channels.motion).toEqual({ value: 1, quality: 'ok' })
  })
})

describe('DS18B20', () => {
  // Documentation/w1/slaves/w1_therm of Linux: "72 01 4b 46 7f ff 0e 10 57 : crc=57 YES", 23125.
  const measured = Uint8Array.of(0x72, 0x01, 0x4b, 0x46, 0x7f, 0xff, 0x0e, 0x10, 0x57)
  const powerUp = Uint8Array.of(0x50, 0x05, 0x4b, 0x46, 0x7f, 0xff, 0x0c, 0x10, 0x1c)
  const scratchpadOf = (raw: number): Uint8Array => {
    const { oneWire, set } = emulatedDs18b20({
      host: new AttachedIo().host.host,
      at: { pins: {} },
      options: {},
    })
    set('temperature', ((raw << 16) >> 16) / 16)
    return oneWire?.scratchpad() ?? new Uint8Array(0)
  }

  test('a scratchpad of the kernel’s documentation is 23.125 °C', () => {
    expect(temperatureOf(measured)).toBe(23.125)
  })

  test.each([
    [0x07d0, 125],
    [0x0550, 85],
    [0x0191, 25.0625],
    [0x00a2, 10.125],
    [0x0008, 0.5],
    [0x0000, 0],
    [0xfff8, -0.5],
    [0xff5e, -10.125],
    [0xfe6f, -25.0625],
    [0xfc90, -55],
  ])('table 1: %i is %f °C', (raw, celsius) => {
    expect(temperatureOf(scratchpadOf(raw))).toBe(celsius)
  })

  test('85 °C of a part that never converted is no measurement', () => {
    expect(() => temperatureOf(powerUp)).toThrow(expect.objectContaining({ code: 'timeout' }))
  })

  test('every wrong bit is a checksum error; nine zeros and a short scratchpad are malformed', () => {
    for (let bit = 0; bit < 72; bit++) {
      const wrong = measured.map((byte, at) => (at === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte))
      expect(() => temperatureOf(wrong)).toThrow(expect.objectContaining({ code: 'checksum' }))
    }
    for (const wrong of [new Uint8Array(9), measured.subarray(0, 8)])
      expect(() => temperatureOf(wrong)).toThrow(expect.objectContaining({ code: 'malformed' }))
  })

  test('two on one bus are told apart by their numbers', async () => {
    const io = new AttachedIo()
    const attach = (id: string, address: string) =>
      io.attach({ driver: ds18b20, emulator: emulatedDs18b20 }, id, { bus: 'w1-0', address, pins: {} })
    const [one, two] = [attach('one', '28-0000075a1b2c'), attach('two', '28-0000075a1b2d')]
    one.part.set('temperature', 4)
    two.part.set('temperature', 60)
    await using first = await ds18b20.open(one.context, never)
    await using second = await ds18b20.open(two.context, never)
    expect((await io.run(() => first.sample(never))).channels.temperature?.value).toBe(4)
    expect((await io.run(() => second.sample(never))).channels.temperature?.value).toBe(60)
    expect(second.identification.uniqueId).toBe('28-0000075a1b2d')
  })
})

describe('PMS5003', () => {
  /** Appendix I: 13 words after the length, then the sum of everything before it. */
  const frame = (words: readonly number[]): Uint8Array => {
    const bytes = [0x42, 0x4d, 0, 28, ...words.flatMap((word) => [word >> 8, word & 0xff])]
    const sum = bytes.reduce((total, byte) => total + byte, 0)
    return Uint8Array.from([...bytes, sum >> 8, sum & 0xff])
  }
  const words = (pm1: number, pm25: number, pm10: number) => [
    1,
    2,
    3,
    pm1,
    pm25,
    pm10,
    0,
    0,
    0,
    0,
    0,
    0,
    0x9100,
  ]

  test('words 4 to 6 are the values; above 1000 µg/m³ they are saturated', () => {
    const [values] = new Pms5003Parser().take(frame(words(12, 35, 1200)))
    expect(values).toEqual({
      pm1: { value: 12, quality: 'ok' },
      pm25: { value: 35, quality: 'ok' },
      pm10: { value: 1200, quality: 'saturated' },
    })
  })

  test('frames are found again in noise, however it is cut into pieces, and nothing else is', () => {
    const noise = fc.uint8Array({ maxLength: 70 }).map((bytes) => bytes.filter((byte) => byte !== 0x42))
    fc.assert(
      fc.property(
        fc.array(fc.tuple(noise, fc.nat(999)), { maxLength: 6 }),
        fc.integer({ min: 1, max: 50 }),
        (sent, size) => {
          const stream = Buffer.concat(
            sent.flatMap(([before, value]) => [before, frame(words(value, value, value))]),
          )
          const parser = new Pms5003Parser()
          const found = []
          for (let at = 0; at < stream.length; at += size)
            found.push(...parser.take(stream.subarray(at, at + size)))
          expect(found.map(({ pm25 }) => pm25?.value)).toEqual(sent.map(([, value]) => value))
        },
      ),
    )
  })

  test('a frame with a wrong sum or length is refused, and one that begins inside it is found', () => {
    const good = frame(words(1, 2, 3))
    const parser = new Pms5003Parser()
    const wrong = good.with(20, 0x55)
    expect(parser.take(wrong)).toEqual([])
    expect(parser.refused).toBe(1)
    expect(parser.take(Buffer.concat([Uint8Array.of(0x42, 0x4d, 0, 28), good]))).toHaveLength(1)
  })

  test('it samples the frame that comes next, and says whether silence or noise kept it from coming', async () => {
    const io = new AttachedIo()
    const at = { bus: 'uart-0', pins: {} }
    const { part, context } = io.attach({ driver: pms5003, emulator: emulatedPms5003 }, 'air', at)
    await using device = await pms5003.open(context, never)
    part.set('pm25', 42)
    expect((await io.run(() => device.sample(never))).channels.pm25?.value).toBe(42)
    io.world.fault('air', { kind: 'corrupt' })
    await expect(io.run(() => device.sample(never))).rejects.toMatchObject({ code: 'checksum' })
    io.world.fault('air', { kind: 'unplugged' })
    const silent = io.run(() => device.sample(never))
    await expect(silent).rejects.toMatchObject({
      code: 'timeout',
      message: expect.stringContaining('air: uart-0'),
    })
  })
})

describe('GNSS receiver', () => {
  test('it reports each second by itself; without a fix a sample is stale and the fault is named', async () => {
    const io = new AttachedIo()
    const at = { bus: 'uart-0', pins: {} }
    const { part, context } = io.attach({ driver: gnss, emulator: emulatedGnss }, 'van', at)
    await using device = await gnss.open(context, never)
    const readings: Reading[] = []
    device.onReading = (reading) => readings.push(reading)
    for (let second = 0; second < 5; second++)
      await io.run(() => new Promise<void>((resolve) => void io.host.clock.after(1000, resolve)))
    expect(readings.length).toBeGreaterThanOrEqual(4)
    part.set('fix', 0)
    const lost = await io.run(() => device.sample(never))
    expect(lost.channels.latitude?.quality).toBe('stale')
    expect(device.faults()).toEqual(['no position fix'])
  })
})
