/** The heat in a simulated home: weeks of it on a virtual clock. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { HomeShare } from '../../../hal/contract/board.ts'
import { sharedHomeUrl } from '../../../hal/index.ts'
import { Compressor, pumpPower, pumpTimes } from '../../../hal/sim/heating/heat-pump.ts'
import { sunWPerM2 } from '../../../hal/sim/heating/weather.ts'
import { parseHome } from '../../../hal/sim/home.ts'
import { shareOf } from '../../../hal/sim/home-share.ts'
import { type SimulatedHome, simulateHome } from '../../../hal/sim/sim-board.ts'
import { VirtualClock } from '../../../runtime/base/clock.ts'
import { silentLog } from '../../../runtime/base/log.ts'

/** A step every half minute: days of it take a second. */
const yaml = readFileSync(sharedHomeUrl, 'utf8').replace('\nheating:', '\nheating:\n  tick_s: 30')
const winter = Date.UTC(2026, 0, 12)
const [minuteMs, hourMs] = [60_000, 3_600_000]
const never = new AbortController().signal

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'heating-'))
})
afterEach(() => rmSync(dir, { recursive: true }))

class House {
  readonly clock = new VirtualClock({ startMs: winter })
  readonly home: SimulatedHome
  constructor(share?: HomeShare, clock?: VirtualClock, text = yaml) {
    if (clock) this.clock = clock
    const home = parseHome(text, 'rooms.yaml')
    const host = { clock: this.clock, log: silentLog, random: () => 0 }
    this.home = simulateHome(share ? shareOf(home, share) : home, host, share)
  }
  state(id: string): string {
    return this.home.control.truth(id).state
  }
  attribute(id: string, name: string): unknown {
    return this.home.control.truth(id).attributes[name]
  }
  warm(area: string): number {
    return Number(this.state(`sensor.${area}_temperature`))
  }
  async command(id: string, command: Record<string, string>): Promise<void> {
    const actuator = this.home.actuators.find(({ info }) => info.id === id)
    await actuator?.command(command, { id: `${this.clock.nowMs()}` } as never, never)
    this.clock.advance(5_000)
  }
  async close(): Promise<void> {
    for (const part of [...this.home.actuators, ...this.home.sensors, ...this.home.behind])
      await part[Symbol.asyncDispose]()
  }
}

describe('rooms', () => {
  test('cool towards the weather outside when nothing heats', () => {
    const house = new House()
    house.clock.advance(48 * hourMs)
    for (const room of ['living_room', 'bedroom', 'office']) expect(house.warm(room)).toBeLessThan(12)
  })

  test('warm where the valve is open and the pump heats, and nowhere else', async () => {
    const house = new House()
    await house.command('valve.office_heating', { state: 'open' })
    await house.command('climate.heat_pump', { hvac_mode: 'heat' })
    house.clock.advance(hourMs)
    expect(house.attribute('climate.heat_pump', 'hvac_action')).toBe('heating')
    expect(house.attribute('climate.heat_pump', 'power_w')).toBeGreaterThan(300)
    expect(house.warm('office')).toBeGreaterThan(19)
    expect(house.warm('bedroom')).toBeLessThan(18)
  })

  test('get no warmer than the water that heats them', async () => {
    const house = new House()
    await house.command('valve.office_heating', { state: 'open' })
    await house.command('climate.heat_pump', { hvac_mode: 'heat' })
    house.clock.advance(5 * 24 * hourMs)
    expect(house.warm('office')).toBeGreaterThan(25)
    expect(house.warm('office')).toBeLessThan(35)
  })

  test('are as warm as somebody sets their thermometer', () => {
    const house = new House()
    house.home.control.set('sensor.office_temperature', { state: '6.0' })
    house.clock.advance(minuteMs)
    expect(house.warm('office')).toBeCloseTo(6, 0)
  })

  test('go the same way again with the same seed, and another with another [hal-sim-7]', async () => {
    const run = async (text: string) => {
      const house = new House(undefined, undefined, text)
      await house.command('valve.bedroom_heating', { state: 'open' })
      await house.command('climate.heat_pump', { hvac_mode: 'heat' })
      house.clock.advance(30 * hourMs)
      return house.home.sensors.map((sensor) => ({ id: sensor.info.id, ...sensor.current() }))
    }
    expect(await run(yaml)).toEqual(await run(yaml))
    expect(await run(yaml)).not.toEqual(await run(yaml.replace('seed: 1', 'seed: 2')))
  })

  test('have a price and a weather that know the next hours', () => {
    const house = new House()
    const prices = house.attribute('sensor.electricity_price', 'forecast') as number[]
    expect(prices).toHaveLength(24)
    expect(Number(house.state('sensor.electricity_price'))).toBe(prices[0])
    house.clock.advance(hourMs)
    expect(Number(house.state('sensor.electricity_price'))).toBe(prices[1])
    expect(house.attribute('sensor.outside_temperature', 'forecast')).toHaveLength(24)
  })
})

describe('the compressor [hal-sim-8]', () => {
  test('runs for its least time, rests for its least time', () => {
    const compressor = new Compressor()
    compressor.control('heat', true, 0)
    compressor.control('off', true, pumpTimes.minRunMs - 1)
    expect(compressor.running).toBe('heat')
    compressor.control('off', true, pumpTimes.minRunMs)
    expect(compressor.running).toBeUndefined()
    compressor.control('cool', true, pumpTimes.minRunMs + pumpTimes.minRestMs - 1)
    expect(compressor.running).toBeUndefined()
    compressor.control('cool', true, pumpTimes.minRunMs + pumpTimes.minRestMs)
    expect(compressor).toMatchObject({ running: 'cool', starts: 2, hardStops: 0 })
  })

  test('stops within a minute without flow, and counts it', () => {
    const compressor = new Compressor()
    compressor.control('heat', true, 0)
    compressor.control('heat', false, pumpTimes.dryMs - 1)
    expect(compressor.running).toBe('heat')
    compressor.control('heat', false, pumpTimes.dryMs)
    expect(compressor).toMatchObject({ running: undefined, hardStops: 1 })
  })

  test('gives more for its electricity the milder it is outside', () => {
    const at = (outsideC: number) => {
      const { heatW, electricW } = pumpPower('heat', outsideC, 4_000)
      return heatW / electricW
    }
    expect(at(-15)).toBeLessThan(at(-7))
    expect(at(-7)).toBeLessThan(at(2))
    expect(at(2)).toBeLessThan(at(12))
  })

  test('takes half of what it gives: water to cool with is less far from the room', () => {
    expect(pumpPower('heat', 2, 2_000).heatW).toBe(2_000)
    expect(pumpPower('cool', 30, 2_000).heatW).toBe(-1_000)
  })
})

test('the sun shines for half a day in spring, for a third of one in winter, at noon', () => {
  const hours = (month: number) =>
    Array.from({ length: 24 }, (_, hour) => Date.UTC(2026, month, 21, hour, 30)).filter(
      (atMs) => sunWPerM2(1, atMs) > 0,
    ).length
  expect([hours(11), hours(2), hours(5)]).toEqual([8, 12, 16])
})

describe('a home that several devices share', () => {
  const parts = [1, 2, 3] as const
  const shareFor = (part: number): HomeShare => ({ part, of: 3, directory: dir })

  test('is dealt out whole: everything is in one share, but what is everywhere [hal-sim-10]', () => {
    const home = parseHome(yaml, 'rooms.yaml')
    const ids = parts.flatMap((part) => shareOf(home, shareFor(part)).entities.map(({ info }) => info.id))
    const everywhere = home.entities.flatMap(({ info, everywhere }) => (everywhere ? [info.id] : []))
    expect(everywhere).toEqual(['sensor.electricity_price', 'sensor.outside_temperature'])
    expect(ids.toSorted()).toEqual(
      [...home.entities.map(({ info }) => info.id), ...everywhere, ...everywhere].toSorted(),
    )
    expect(() => shareOf(home, shareFor(4))).toThrow('there is no part 4 of 3')
  })

  test('is one home: the pump of one device heats the room of another, until that loses its power [hal-sim-9]', async () => {
    const clock = new VirtualClock({ startMs: winter })
    const [first, second] = parts.map((part) => new House(shareFor(part), clock)) as [House, House]
    await second.command('valve.bedroom_heating', { state: 'open' })
    await first.command('climate.heat_pump', { hvac_mode: 'heat' })
    clock.advance(hourMs)
    expect(second.warm('bedroom')).toBeGreaterThan(19)
    expect(first.attribute('climate.heat_pump', 'hvac_action')).toBe('heating')

    const before = second.warm('bedroom')
    await second.close()
    clock.advance(5 * minuteMs)
    expect(first.attribute('climate.heat_pump', 'hvac_action')).toBe('idle')
    clock.advance(5 * hourMs)
    const again = new House(shareFor(2), clock)
    expect(again.warm('bedroom')).toBeLessThan(before - 1)
    expect(again.warm('bedroom')).toBeGreaterThan(10)
    expect(again.state('valve.bedroom_heating')).toBe('closed')
  })
})

test.each([
  ['habit: living', 'habit: dancing', /heating\.rooms\[0\]\.habit: known are living, sleeping, working/],
  ['area: bedroom, habit', 'area: attic, habit', /heating\.rooms\[1\]\.area: no area "attic"/],
  ['seed: 1', 'seed: x', /heating\.seed: must be a number from 0/],
  ['[living_room, office]', '[living_room, attic]', /walls\[1\]\.between: no heated room "attic"/],
])('a heating section with %s changed to %s is refused in one line', (from, to, line) => {
  expect(() => parseHome(yaml.replace(from, to), 'rooms.yaml')).toThrow(line)
})
