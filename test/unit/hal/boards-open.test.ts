/** Opening boards: the simulated one with a home, and every fixture home. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { boards } from '../../../boards/index.ts'
import { createHal, firstHomeUrl, parseHome } from '../../../hal/index.ts'
import { testHost } from './host.ts'

const fixtures = new URL('../../fixtures/home/', import.meta.url).pathname
const homeFiles = [
  join(fixtures, 'intents/_fixtures.yaml'),
  ...readdirSync(join(fixtures, 'homes')).map((home) => join(fixtures, 'homes', home, '_fixtures.yaml')),
]
const signal = new AbortController().signal

test('there are 14 fixture homes', () => {
  expect(homeFiles).toHaveLength(14)
})

test.each(homeFiles)('the fixture home %s loads and opens', async (file) => {
  const yaml = readFileSync(file, 'utf8')
  const { host } = testHost()
  await using board = await createHal(boards).openBoard(
    { home: { name: 'home.yaml', yaml }, hostSensors: false },
    host,
    signal,
  )
  const ids = board.components.map(({ info }) => info.id)
  expect(new Set(ids).size).toBe(ids.length)
  expect(ids.length).toBe(yaml.match(/^ {2,4}id: "?[a-z_]+\.|^ {4}id: .*\./gm)?.length)
})

test('[hal-1] the demonstration home opens as the simulated board and says so', async () => {
  const { host, clock } = testHost()
  const yaml = readFileSync(firstHomeUrl, 'utf8')
  await using board = await createHal(boards).openBoard(
    { home: { name: 'first-home.yaml', yaml }, hostSensors: false },
    host,
    signal,
  )
  expect(board.board.id).toBe('sim-raspberrypi-5')
  expect(board.simulated).toBe(true)
  expect(board.recognisedBy).toBe('simulated, because the home first-home.yaml was given')
  expect(
    board.components.every(({ info }) => info.simulated && info.device?.manufacturer === 'Simulated'),
  ).toBe(true)
  expect(board.layout.areas.map(({ floor }) => floor)).toContain('First Floor')
  const lamp = board.actuators.find(({ info }) => info.id === 'light.living_room_lamp')
  expect(lamp?.current().state).toBe('off')
  await lamp?.command({ state: 'on' }, { id: 'c1', principal: 'user', ttlMs: 5000 }, signal)
  expect(lamp?.current().state).toBe('off')
  clock.advance(80)
  expect(lamp?.current()).toMatchObject({ state: 'on', attributes: { brightness: 180 }, tsMs: clock.nowMs() })
})

test('parseHome works without opening a board', () => {
  const home = parseHome(readFileSync(firstHomeUrl, 'utf8'), 'first-home.yaml')
  expect(home.entities.length).toBeGreaterThanOrEqual(35)
})
