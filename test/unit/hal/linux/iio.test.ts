/** IIO devices, against made-up files of the kernel and a pipe for its character device. */

import { closeSync, readFileSync, writeSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { captureIio, listIio } from '../../../../hal/index.ts'
import { findIio, readIio } from '../../../../hal/linux/iio.ts'
import { elementValue, type IioScan, layOut, parseScanType } from '../../../../hal/linux/iio-buffer.ts'
import { never, openWriter, until, useFiles } from './files.ts'

const files = useFiles()
const device = 'sys/bus/iio/devices/iio:device0'
const find = (wanted: string) => findIio(files().path('sys'), wanted)

test('a value is (raw + offset) × scale, in the SI unit of its type', async () => {
  files().write({
    [`${device}/name`]: 'bme280\n',
    [`${device}/in_temp_input`]: '21530\n',
    [`${device}/in_pressure_input`]: '101.325\n',
    [`${device}/in_humidityrelative_input`]: '45123\n',
    [`${device}/in_voltage0_raw`]: '1000\n',
    [`${device}/in_voltage0_offset`]: '24\n',
    [`${device}/in_voltage_scale`]: '0.125\n',
    [`${device}/in_accel_x_raw`]: '-512\n',
    [`${device}/in_accel_scale`]: '0.019163\n',
    [`${device}/in_activity_still_input`]: '100\n',
  })
  const found = await find('bme280')
  expect([...found.channels.keys()].sort()).toEqual([
    'accel_x',
    'humidityrelative',
    'pressure',
    'temp',
    'voltage0',
  ])
  expect(await readIio(found, 'temp')).toBeCloseTo(21.53)
  expect(await readIio(found, 'pressure')).toBeCloseTo(101_325)
  expect(await readIio(found, 'humidityrelative')).toBeCloseTo(45.123)
  expect(await readIio(found, 'voltage0')).toBeCloseTo(0.128)
  expect(await readIio(found, 'accel_x')).toBeCloseTo(-9.811_456)
})

test('every device is listed with its channels; a machine without any has none', async () => {
  expect(await listIio(files().path('sys'))).toEqual([])
  files().write({ [`${device}/name`]: 'adc', [`${device}/in_voltage3_raw`]: '1' })
  const [found] = await listIio(files().path('sys'))
  expect(found).toMatchObject({ node: 'iio:device0', name: 'adc', channels: new Map([['voltage3', 'raw']]) })
})

test('a device is found by its label before its name, and two of one name are not guessed between', async () => {
  files().write({
    'sys/bus/iio/devices/iio:device0/name': 'adc',
    'sys/bus/iio/devices/iio:device1/name': 'adc',
    'sys/bus/iio/devices/iio:device1/label': 'battery',
  })
  expect((await find('battery')).node).toBe('iio:device1')
  await expect(find('adc')).rejects.toMatchObject({ code: 'out-of-range' })
  await expect(find('dac')).rejects.toMatchObject({
    code: 'not-present',
    message: 'iio dac: no such device; there are: adc, battery',
  })
})

test('a channel that is missing, gone or no number is an error and never a value', async () => {
  files().write({ [`${device}/name`]: 'adc', [`${device}/in_voltage0_raw`]: '' })
  const found = await find('adc')
  await expect(readIio(found, 'voltage1')).rejects.toMatchObject({ code: 'not-present' })
  await expect(readIio(found, 'voltage0')).rejects.toMatchObject({ code: 'malformed' })
  const gone = { ...found, folder: files().path('nowhere') }
  await expect(readIio(gone, 'voltage0')).rejects.toMatchObject({ code: 'not-present' })
})

const element = (channel: string, index: number, type: string) => ({
  channel,
  index,
  ...parseScanType(channel, type),
})

test('elements lie at multiples of their size, in the order of their index', () => {
  const layout = layOut([
    element('timestamp', 3, 'le:s64/64>>0'),
    element('accel_x', 0, 'le:s12/16>>4'),
    element('temp', 2, 'be:u24/32>>8'),
    element('accel_y', 1, 'le:s12/16>>4'),
  ])
  expect(layout.elements.map(({ channel, offset }) => [channel, offset])).toEqual([
    ['accel_x', 0],
    ['accel_y', 2],
    ['temp', 4],
    ['timestamp', 8],
  ])
  expect(layout.bytes).toBe(16)
  expect(layOut([element('a', 0, 'le:u8/8'), element('b', 1, 'le:u16/32')]).bytes).toBe(8)
})

test.each(['', 'le:s12/12', 'me:s12/16', 'le:s12/16X3>>4'])('the scan type "%s" is refused', (type) => {
  expect(() => parseScanType('x', type)).toThrow(expect.objectContaining({ code: 'malformed' }))
})

test('an element gives back every number that its bits hold, in both byte orders', () => {
  const any = fc.record({
    order: fc.constantFrom('le', 'be'),
    sign: fc.constantFrom('s', 'u'),
    storage: fc.constantFrom(8, 16, 32, 64),
    share: fc.double({ min: 0, max: 1, noNaN: true }),
    shiftShare: fc.double({ min: 0, max: 1, noNaN: true }),
    value: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  })
  fc.assert(
    fc.property(any, ({ order, sign, storage, share, shiftShare, value }) => {
      const bits = 1 + Math.floor(share * (storage - 1))
      const shift = Math.floor(shiftShare * (storage - bits))
      const [placed] = layOut([element('x', 0, `${order}:${sign}${bits}/${storage}>>${shift}`)]).elements
      if (!placed) throw new Error('nothing was placed')
      const wanted = sign === 's' ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value)
      const stored = BigInt.asUintN(bits, wanted) << BigInt(shift)
      const bytes = Array.from({ length: storage / 8 }, (_, byte) =>
        Number((stored >> BigInt(8 * byte)) & 255n),
      )
      const scan = Uint8Array.from(order === 'le' ? bytes : bytes.reverse())
      expect(elementValue(new DataView(scan.buffer), placed)).toBe(wanted)
    }),
  )
})

function writeBufferedDevice(): void {
  files().write({
    [`${device}/name`]: 'accelerometer',
    [`${device}/in_accel_scale`]: '0.5',
    [`${device}/in_accel_x_raw`]: '0',
    [`${device}/buffer/enable`]: '0',
    [`${device}/buffer/length`]: '0',
    [`${device}/scan_elements/in_accel_x_en`]: '0',
    [`${device}/scan_elements/in_accel_x_index`]: '0',
    [`${device}/scan_elements/in_accel_x_type`]: 'le:s12/16>>4',
    [`${device}/scan_elements/in_accel_y_en`]: '1',
    [`${device}/scan_elements/in_timestamp_en`]: '0',
    [`${device}/scan_elements/in_timestamp_index`]: '3',
    [`${device}/scan_elements/in_timestamp_type`]: 'le:s64/64>>0',
  })
}

function scanBytes(accel: number, timestamp: bigint): Uint8Array {
  const view = new DataView(new ArrayBuffer(16))
  view.setInt16(0, accel << 4, true)
  view.setBigInt64(8, timestamp, true)
  return new Uint8Array(view.buffer)
}

test('captured scans come scaled and timed; the buffer is on while somebody captures and off afterwards', async () => {
  writeBufferedDevice()
  const node = files().fifo('dev/iio:device0')
  const text = (file: string) => readFileSync(files().path(`${device}/${file}`), 'utf8')
  const stop = new AbortController()
  const capture = captureIio(
    await find('accelerometer'),
    { dev: files().path('dev') },
    ['accel_x'],
    stop.signal,
  )
  const scans: IioScan[] = []
  const reading = (async () => {
    for await (const taken of capture) {
      expect(taken.droppedScans).toBe(0)
      scans.push(...taken.scans)
    }
  })()
  await until('it is on', () => text('buffer/enable') === '1')
  expect(text('scan_elements/in_accel_x_en') + text('scan_elements/in_accel_y_en')).toBe('10')
  expect(text('scan_elements/in_timestamp_en')).toBe('1')
  const writer = await openWriter(node)
  writeSync(writer, scanBytes(-2048, 7n))
  writeSync(writer, scanBytes(2047, 2n ** 60n))
  await until('both have come', () => scans.length === 2)
  stop.abort()
  await reading
  closeSync(writer)
  expect(scans).toEqual([
    { values: { accel_x: -1024 }, timestampNs: 7n },
    { values: { accel_x: 1023.5 }, timestampNs: 2n ** 60n },
  ])
  expect(text('buffer/enable')).toBe('0')
})

test('a device that ends while it is captured is an error, and so is a channel that it has not', async () => {
  writeBufferedDevice()
  const node = files().fifo('dev/iio:device0')
  const found = await find('accelerometer')
  const dev = { dev: files().path('dev') }
  await expect(captureIio(found, dev, ['accel_z'], never).next()).rejects.toMatchObject({
    code: 'not-present',
  })
  const next = captureIio(found, dev, ['accel_x'], never).next()
  next.catch(() => {})
  await until('it is on', () => readFileSync(files().path(`${device}/buffer/enable`), 'utf8') === '1')
  closeSync(await openWriter(node))
  await expect(next).rejects.toMatchObject({ code: 'not-present' })
})
