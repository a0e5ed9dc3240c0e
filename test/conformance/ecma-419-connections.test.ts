/**
 * The ways in which a module on disk may name where its part is: `data` and `clock`, `port`, `pin`, `signal` [ecma-419-1]. Each
 * module of our own writing uses one of them alone, in its own thread, against an emulated part.
 */
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import type { PartConfig } from '../../hal/contract/hardware-config.ts'
import { attach } from '../fixtures/hardware/attached.ts'

const part = (file: string, more: Partial<PartConfig>): PartConfig => ({
  driver: 'ecma-419',
  id: 'm',
  module: fileURLToPath(new URL(`../fixtures/ecma-419/${file}`, import.meta.url)),
  sampleEveryMs: 100,
  ...more,
})

it('data and clock: the bus as `sensor` names it, and by its header pins', async () => {
  await using test = await attach([
    part('lm75.js', { bus: 'i2c-1', address: 0x48, options: { emulates: 'tmp102' } }),
  ])
  await test.attached.emulate('m', { quantity: 'temperature', value: 31.25 })
  await test.until('sensor.m_temperature', ({ state }) => Number(state) === 31.25)
})

it('data and clock: pins of another bus are refused with what was given', async () => {
  await using test = await attach([
    part('elsewhere.js', { bus: 'i2c-1', address: 0x48, options: { channels: 'temperature' } }),
  ])
  const refused = await test.until('sensor.m_temperature', ({ state }) => state === 'unavailable')
  expect(refused.attributes['problem']).toMatch(/it asked for data on pin 27, and was given i2c-1, 3, 5/)
})

it.each(['uart-0', '/dev/ttyUSB0'])('port: a stream on %s is read as it arrives', async (bus) => {
  await using test = await attach([
    part('particles.js', {
      bus,
      sampleEveryMs: 1_500,
      options: { emulates: 'pms5003', channels: 'pm25' },
    }),
  ])
  await test.attached.emulate('m', { quantity: 'pm25', value: 41 })
  await test.until('sensor.m_pm25', ({ state }) => Number(state) === 41)
})

it('pin: an input’s edges arrive with the instance as `this`', async () => {
  await using test = await attach([
    part('motion.js', { pin: 11, options: { io: 'Digital', emulates: 'pir', channels: 'level' } }),
  ])
  for (const [value, state] of [
    [1, 'on'],
    [0, 'off'],
  ] as const) {
    await test.attached.emulate('m', { quantity: 'motion', value })
    await test.until('binary_sensor.m_level', (now) => now.state === state)
  }
})

it('signal: pulses are counted on from where `configure` put them', async () => {
  await using test = await attach([
    part('measuring-wheel.js', {
      pin: 11,
      options: { io: 'PulseCount', emulates: 'pir', channels: 'distance', startAtCm: 200 },
    }),
  ])
  const isM = (metres: number) => (now: { state: string }) => Math.abs(Number(now.state) - metres) < 0.001
  await test.until('sensor.m_distance', isM(2))
  for (const value of [1, 0, 1, 0]) await test.attached.emulate('m', { quantity: 'motion', value })
  await test.until('sensor.m_distance', isM(2.4))
})
