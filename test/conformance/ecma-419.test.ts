/** Two sensor modules of our own writing against the suite: SMBus, and I2C with `timer` and `crc`. */
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { attach } from '../fixtures/hardware/attached.ts'
import { ecma419Suite } from './ecma-419.suite.ts'

const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/ecma-419/${name}`, import.meta.url))

ecma419Suite('TMP102 over SMBus', {
  module: fixture('tmp102.js'),
  address: 0x48,
  emulates: 'tmp102',
  channels: { temperature: [-40, 0, 21.25, 125] },
  tolerance: 0.07,
})

ecma419Suite('SHT4x over I2C, compound, with timer and crc', {
  module: fixture('sht4x.js'),
  address: 0x44,
  emulates: 'sht4x',
  channels: { temperature: [-20, 35.5], humidity: [5, 90] },
  tolerance: 0.05,
})

it('options of its own reach `configure`; what it reports by `onError` is its error [ecma-419-3]', async () => {
  await using test = await attach([
    {
      driver: 'ecma-419',
      id: 'm',
      module: fixture('tmp102.js'),
      bus: 'i2c-1',
      address: 0x48,
      sampleEveryMs: 100,
      options: { emulates: 'tmp102', channels: 'temperature', fail: true },
    },
  ])
  const failed = await test.until('sensor.m_temperature', ({ state }) => state === 'unavailable')
  expect(failed.attributes['problem']).toMatch(/tmp102\.js says that it failed: asked to/)
})

it('a byte that was corrupted on its way is an error of the module, never a value', async () => {
  await using test = await attach([
    {
      driver: 'ecma-419',
      id: 'm',
      module: fixture('sht4x.js'),
      bus: 'i2c-1',
      address: 0x44,
      sampleEveryMs: 100,
      options: { emulates: 'sht4x', channels: 'temperature humidity' },
    },
  ])
  await test.until('sensor.m_temperature', ({ state }) => Number.isFinite(Number(state)))
  await test.attached.emulate('m', { fault: { kind: 'corrupt' } })
  const wrong = await test.until('sensor.m_temperature', ({ attributes }) => 'problem' in attributes)
  expect(wrong.attributes['problem']).toMatch(/wrong checksum/)
})
