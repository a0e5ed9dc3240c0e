/**
 * What a sensor module written for ECMA-419 must be able to count on here: that it loads from disk, measures through the
 * standard's IO, is configured, fails as itself, and is closed and opened again. Give it a module and a part that answers.
 */
import { describe, expect, it } from 'vitest'
import type { ChannelName } from '../../hal/contract/channels.ts'
import type { PartConfig } from '../../hal/contract/hardware-config.ts'
import { attach } from '../fixtures/hardware/attached.ts'

export interface ModuleUnderTest {
  /** Absolute path. */
  readonly module: string
  readonly address: number
  /** Driver whose emulator answers. */
  readonly emulates: string
  /** What the module measures, each with values that the part may be exposed to. */
  readonly channels: Readonly<Partial<Record<ChannelName, readonly number[]>>>
  readonly tolerance: number
}

export function ecma419Suite(name: string, given: ModuleUnderTest): void {
  const names = Object.keys(given.channels)
  const part = (options: PartConfig['options'] = {}): PartConfig => ({
    driver: 'ecma-419',
    id: 'm',
    module: given.module,
    bus: 'i2c-1',
    address: given.address,
    sampleEveryMs: 100,
    options: { emulates: given.emulates, ...options },
  })
  const isNumber = ({ state }: { state: string }) => Number.isFinite(Number(state))

  describe(`${name}, a sensor module on disk`, () => {
    it('shows what it measures without being told', async () => {
      await using test = await attach([part()])
      expect(test.attached.sensors.map(({ info }) => info.id).sort()).toEqual(
        names.map((channel) => `sensor.m_${channel}`).sort(),
      )
    })

    it('measures what its part is exposed to, in the channel’s unit', async () => {
      await using test = await attach([part()])
      for (const [channel, values] of Object.entries(given.channels))
        for (const value of values) {
          await test.attached.emulate('m', { quantity: channel, value })
          await test.until(
            `sensor.m_${channel}`,
            ({ state }) => Math.abs(Number(state) - value) <= given.tolerance,
          )
        }
    })

    it('is unavailable while its part is unplugged, and measures again when it is back', async () => {
      await using test = await attach([part({ channels: names.join(' ') })])
      const [first = ''] = names
      await test.until(`sensor.m_${first}`, isNumber)
      await test.attached.emulate('m', { fault: { kind: 'unplugged' } })
      await test.until(`sensor.m_${first}`, ({ state }) => state === 'unavailable')
      await test.attached.emulate('m', { fault: null })
      await test.until(`sensor.m_${first}`, isNumber)
    })

    it('reaches no other address than its own [ecma-419-1]', async () => {
      const other = given.address + 1
      await using test = await attach([
        { ...part({ channels: names.join(' ') }), address: other },
        { driver: given.emulates, id: 'mine', bus: 'i2c-1', address: given.address },
      ])
      const [first = ''] = names
      await test.until(`sensor.mine_${first}`, isNumber)
      await test.attached.emulate('m', { fault: { kind: 'unplugged' } })
      await test.until(`sensor.m_${first}`, ({ state }) => state === 'unavailable')
      expect(test.component(`sensor.mine_${first}`).current().state).not.toBe('unavailable')
    })
  })
}
