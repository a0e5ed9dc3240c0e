/** Sensors in their real threads, on emulated parts: values, hot unplug, faults, and parts that stop their thread. */
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import type { PartConfig } from '../../hal/contract/hardware-config.ts'
import { attach } from '../fixtures/hardware/attached.ts'

const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/ecma-419/${name}`, import.meta.url))

const cellar: PartConfig = { driver: 'tmp102', id: 'cellar', bus: 'i2c-1', address: 0x48, sampleEveryMs: 100 }
const attic: PartConfig = { driver: 'bme280', id: 'attic', bus: 'i2c-1', address: 0x76, sampleEveryMs: 200 }
const isNumber = ({ state }: { state: string }) => Number.isFinite(Number(state))

describe('sensors in their thread', () => {
  it('a change in the world is seen, by each of its channels', async () => {
    await using test = await attach([cellar, attic])
    expect(test.attached.sensors.map(({ info }) => info.id).sort()).toEqual([
      'sensor.attic_humidity',
      'sensor.attic_pressure',
      'sensor.attic_temperature',
      'sensor.cellar_temperature',
    ])
    await test.until('sensor.cellar_temperature', isNumber)
    await test.attached.emulate('cellar', { quantity: 'temperature', value: 30.5 })
    await test.until('sensor.cellar_temperature', ({ state }) => Number(state) === 30.5)
    await test.attached.emulate('attic', { quantity: 'pressure', value: 98_000 })
    await test.until('sensor.attic_pressure', ({ state }) => Math.abs(Number(state) - 98_000) < 20)
  })

  it('hot unplug is unavailable and says why; plugged in again it returns; the other never noticed [attached-4]', async () => {
    await using test = await attach([cellar, attic])
    await test.until('sensor.cellar_temperature', isNumber)
    await test.until('sensor.attic_temperature', isNumber)
    await test.attached.emulate('cellar', { fault: { kind: 'unplugged' } })
    const away = await test.until('sensor.cellar_temperature', ({ state }) => state === 'unavailable')
    expect(away.attributes['problem']).toMatch(/0x48.*no acknowledge/)
    expect(test.component('sensor.attic_temperature').current().state).not.toBe('unavailable')
    await test.attached.emulate('cellar', { fault: null })
    await test.until('sensor.cellar_temperature', isNumber)
    const messages = test.lines.map(({ message }) => message)
    expect(messages).toContain('a sensor does not answer')
    expect(messages).toContain('a sensor is back')
  })

  it('a bus that is stuck makes its sensors stale, then unavailable', async () => {
    await using test = await attach([cellar])
    await test.until('sensor.cellar_temperature', isNumber)
    await test.attached.emulate('cellar', { fault: { kind: 'stuck' } })
    const stale = await test.until('sensor.cellar_temperature', ({ attributes }) => 'problem' in attributes)
    expect(stale.attributes['problem']).toMatch(/stuck/)
    await test.until('sensor.cellar_temperature', ({ state }) => state === 'unavailable')
  })

  it('nothing but 0xFF is an error or implausible, never a temperature', async () => {
    await using test = await attach([attic])
    await test.until('sensor.attic_temperature', isNumber)
    await test.attached.emulate('attic', { fault: { kind: 'all-ones' } })
    await test.until(
      'sensor.attic_temperature',
      ({ state, attributes }) => state === 'unavailable' || attributes['quality'] !== undefined,
    )
  })

  it('a sample on demand is a fresh one', async () => {
    await using test = await attach([{ ...cellar, sampleEveryMs: 60_000 }])
    await test.until('sensor.cellar_temperature', isNumber)
    await test.attached.emulate('cellar', { quantity: 'temperature', value: -10 })
    const [sensor] = test.attached.sensors
    expect((await sensor?.sample(AbortSignal.timeout(5_000)))?.state).toBe('-10')
  })

  it('a part that is not there is unavailable, and the others work', async () => {
    await using test = await attach([
      cellar,
      {
        driver: 'ecma-419',
        id: 'ghost',
        bus: 'i2c-1',
        address: 0x60,
        module: fixture('tmp102.js'),
        options: { channels: 'temperature' },
      },
    ])
    await test.until('sensor.cellar_temperature', isNumber)
    const ghost = await test.until('sensor.ghost_temperature', ({ state }) => state === 'unavailable')
    expect(ghost.attributes['problem']).toMatch(/no acknowledge/)
  })
})

describe('a module from disk cannot stop the others', () => {
  const module = (id: string, file: string, more: Partial<PartConfig> = {}): PartConfig => ({
    driver: 'ecma-419',
    id,
    module: fixture(file),
    sampleEveryMs: 100,
    ...more,
  })

  it('one that stands still is ended, named and started again; the built-in drivers go on [attached-6] [attached-7]', async () => {
    await using test = await attach([
      cellar,
      module('stuck', 'hangs.js', { options: { channels: 'temperature' } }),
    ])
    await test.until('sensor.stuck_temperature', isNumber)
    const stopped = await test.until('sensor.stuck_temperature', ({ state }) => state === 'unavailable')
    expect(stopped.attributes['problem']).toMatch(
      /^stuck: the driver ecma-419 stopped the worker of stuck: it stood still/,
    )
    const before = test.component('sensor.cellar_temperature').current().tsMs
    await test.until('sensor.stuck_temperature', isNumber)
    expect(test.component('sensor.cellar_temperature').current().tsMs).toBeGreaterThan(before - 1)
    expect(test.lines).toContainEqual(
      expect.objectContaining({ level: 'error', message: 'the worker of stuck was restarted' }),
    )
  })

  it('one that throws from a timer is lost and comes back', async () => {
    await using test = await attach([module('wild', 'throws.js', { options: { channels: 'temperature' } })])
    await test.until('sensor.wild_temperature', isNumber)
    const lost = await test.until('sensor.wild_temperature', ({ state }) => state === 'unavailable')
    expect(lost.attributes['problem']).toMatch(/from a timer/)
    await test.until('sensor.wild_temperature', isNumber)
  })

  it('one that asks for an output is refused [ecma-419-2]', async () => {
    await using test = await attach([
      module('greedy', 'outputs.js', { pin: 11, options: { channels: 'temperature' } }),
    ])
    const refused = await test.until('sensor.greedy_temperature', ({ state }) => state === 'unavailable')
    expect(refused.attributes['problem']).toMatch(/it asked for an output; a sensor module has inputs/)
  })

  it.each([
    ['posts.js', /it sent what is no message of a thread of sensors$/],
    ['hoards.js', /its buffers hold \d+ MB$/],
    ['not-a-number.js', /^bad: its sample has NaN as temperature, which is no number$/],
  ])('%s is named in one line, and the built-in drivers go on', async (file, problem) => {
    await using test = await attach([cellar, module('bad', file, { options: { channels: 'temperature' } })])
    await test.until('sensor.cellar_temperature', isNumber)
    const stopped = await test.until('sensor.bad_temperature', ({ state }) => state === 'unavailable')
    expect(stopped.attributes['problem']).toMatch(problem)
    const before = test.component('sensor.cellar_temperature').current().tsMs
    await test.attached.emulate('cellar', { quantity: 'temperature', value: 31 })
    const after = await test.until('sensor.cellar_temperature', ({ state }) => state === '31')
    expect(after.tsMs).toBeGreaterThanOrEqual(before)
  })

  it('one that cannot be loaded says why', async () => {
    await using test = await attach([module('none', 'absent.js', { options: { channels: 'temperature' } })])
    const absent = await test.until('sensor.none_temperature', ({ state }) => state === 'unavailable')
    expect(absent.attributes['problem']).toMatch(/absent\.js cannot be loaded: /)
  })
})
