/** The night watch in the simulated home: nights of walking, people with lamps of their own, and power cuts. */
import { readFileSync } from 'node:fs'
import { afterEach, describe, expect, it } from 'vitest'
import { firstHomeUrl } from '../../hal/index.ts'
import { AgentHouse } from '../fixtures/agent/agent-house.ts'

const minute = 60_000
const hour = 60 * minute
const evening = Date.UTC(2026, 0, 10, 22)
const motion = 'binary_sensor.hallway_motion'
const bedroomMotion = 'binary_sensor.bedroom_motion'
const lostMotion = 'binary_sensor.lost_motion'
const lamp = 'light.hallway'

/** The shipped home, with a motion sensor more: no light of the bedroom is called after it. */
const yaml = `${readFileSync(firstHomeUrl, 'utf8')}
  - { id: ${bedroomMotion}, name: Bedroom Motion, area: bedroom, state: 'off', attributes: { device_class: motion } }
  - { id: ${lostMotion}, name: Lost Motion, state: 'off', attributes: { device_class: motion } }
  - { id: light.lost, name: Lost Light, state: 'off' }
`

const opened: AgentHouse[] = []
afterEach(async () => {
  for (const house of opened.splice(0)) await house[Symbol.asyncDispose]()
})

async function watched(startMs = evening): Promise<AgentHouse> {
  const house = await AgentHouse.open({ yaml, startMs })
  opened.push(house)
  await house.begin('night-watch')
  return house
}

/** Somebody moves for so long. */
async function walk(house: AgentHouse, ms: number, sensor = motion): Promise<void> {
  house.home.sim.set(sensor, { state: 'on' })
  await house.passes(ms)
  house.home.sim.set(sensor, { state: 'off' })
}

describe('the night watch', () => {
  it('lights the room while somebody moves and for five minutes after [night-watch-1]', async () => {
    const house = await watched()
    await walk(house, 20_000)
    expect(house.state(lamp)).toBe('on')
    await house.passes(4 * minute)
    await walk(house, 2 * minute)
    await house.passes(4 * minute + 59_000)
    expect(house.state(lamp)).toBe('on')
    await house.passes(2_000)
    expect(house.state(lamp)).toBe('off')
    expect(house.commands.map(({ command }) => command)).toEqual([{ state: 'on' }, { state: 'off' }])
  })

  it('keeps the light on for as long as a sensor sees somebody', async () => {
    const house = await watched()
    await walk(house, 40 * minute)
    expect(house.state(lamp)).toBe('on')
    await house.passes(5 * minute + 1_000)
    expect(house.state(lamp)).toBe('off')
  })

  it('believes no sensor that says for an hour that somebody moves', async () => {
    const house = await watched()
    house.home.sim.set(motion, { state: 'on' })
    await house.passes(hour + 6 * minute)
    expect(house.state(lamp)).toBe('off')
  })

  it('finds the lights of a room by where they are, whatever they are called [night-watch-1]', async () => {
    const house = await watched()
    await walk(house, 10_000, bedroomMotion)
    expect(['light.bedroom_ceiling', 'light.bedside_lamp'].map((id) => house.state(id))).toEqual(['on', 'on'])
    expect(house.state(lamp)).toBe('off')
    await house.passes(6 * minute)
    expect(['light.bedroom_ceiling', 'light.bedside_lamp'].map((id) => house.state(id))).toEqual([
      'off',
      'off',
    ])
  })

  it('lights nothing for a sensor that is in no room, which it says once [night-watch-1]', async () => {
    const house = await watched()
    await walk(house, 20_000, lostMotion)
    await walk(house, 20_000, lostMotion)
    await house.passes(minute)
    expect(house.commands).toEqual([])
    expect(house.log('night-watch')).toEqual([`${lostMotion} is in no room: it lights nothing`])
  })

  it('turns nothing on by day, and still off what it lit when the night ends [night-watch-1]', async () => {
    const house = await watched(Date.UTC(2026, 0, 10, 6, 58))
    await walk(house, 10_000)
    expect(house.state(lamp)).toBe('on')
    await house.passes(6 * minute)
    expect(house.state(lamp)).toBe('off')
    await walk(house, 10_000)
    await house.passes(minute)
    expect(house.state(lamp)).toBe('off')
    expect(house.log('night-watch')).toEqual([])
  })

  it('leaves alone a light that was on before, and one that a person turned off and on again [night-watch-2]', async () => {
    const house = await watched()
    house.home.sim.set('light.bedside_lamp', { state: 'on' })
    await walk(house, 10_000, bedroomMotion)
    await walk(house, 10_000)
    house.home.sim.set(lamp, { state: 'off' })
    await house.passes(minute)
    house.home.sim.set(lamp, { state: 'on' })
    await house.passes(10 * minute)
    expect(house.state('light.bedside_lamp')).toBe('on')
    expect(house.state('light.bedroom_ceiling')).toBe('off')
    expect(house.state(lamp)).toBe('on')
  })

  it('turns a light off after a power cut in the middle of its wait, at its time or at once if that is over [night-watch-1]', async () => {
    const house = await watched()
    for (const awayMs of [minute, hour]) {
      await walk(house, 10_000)
      await house.passes(2 * minute)
      await house.cutPower()
      await house.passes(awayMs)
      expect(house.state(lamp)).toBe('on')
      await house.powerBack()
      await house.passes(Math.max(1_000, 3 * minute + 1_000 - awayMs))
      expect(house.state(lamp)).toBe('off')
    }
    expect(house.commands.map(({ command }) => command)).toEqual(
      [1, 2].flatMap(() => [{ state: 'on' }, { state: 'off' }]),
    )
  })

  it('does not make it dark around somebody who came while the power was away', async () => {
    const house = await watched()
    await walk(house, 10_000)
    await house.cutPower()
    house.home.sim.set(motion, { state: 'on' })
    await house.passes(10 * minute)
    await house.powerBack()
    await house.passes(minute)
    expect(house.state(lamp)).toBe('on')
    house.home.sim.set(motion, { state: 'off' })
    await house.passes(5 * minute + 1_000)
    expect(house.state(lamp)).toBe('off')
  })

  it('says which light did not do it, and goes on', async () => {
    const house = await watched()
    house.home.sim.fault('light.bedside_lamp', { kind: 'stuck' })
    await walk(house, 10_000, bedroomMotion)
    await house.passes(10 * minute)
    expect(house.log('night-watch')).toEqual([expect.stringMatching(/^light\.bedside_lamp is not on: /)])
    await walk(house, 10_000)
    expect(house.state(lamp)).toBe('on')
  })
})
