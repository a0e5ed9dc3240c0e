/** The water of a simulated home: a valve, a meter, taps, pipes that break, floors that get wet and dry again. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { parseHome } from '../../../hal/index.ts'
import { openSimHome } from '../../fixtures/sim-home.ts'

const yaml = readFileSync(new URL('../../../hal/sim/homes/wet-home.yaml', import.meta.url), 'utf8')
const minute = 60_000

async function wetHome() {
  const { clock, sim, registry, board } = await openSimHome(yaml)
  const state = (id: string) => registry.get(id)?.telemetry.state
  return { clock, sim, state, board }
}

test('the meter shows what taps and broken pipes take together, and nothing behind a closed valve [hal-sim-10]', async () => {
  const { clock, sim, state } = await wetHome()
  sim.set('number.taps', { state: '6' })
  sim.set('number.cellar_pipe', { state: '2.5' })
  expect(state('sensor.water_flow')).toBe('8.5')
  sim.set('valve.water_main', { state: 'closed' })
  expect(state('sensor.water_flow')).toBe('0')
  clock.advance(minute)
  sim.set('valve.water_main', { state: 'open' })
  expect(state('sensor.water_flow')).toBe('8.5')
})

test('a valve that only says closed stops no water [hal-sim-10]', async () => {
  const { sim, state } = await wetHome()
  sim.set('number.taps', { state: '6' })
  sim.fault('valve.water_main', { kind: 'lying', telemetry: { state: 'closed' } })
  expect(state('valve.water_main')).toBe('closed')
  expect(state('sensor.water_flow')).toBe('6')
})

test('sensors get wet, the nearest first, by what ran out, and are dry half an hour after it ended [hal-sim-11]', async () => {
  const { clock, sim, state } = await wetHome()
  sim.set('number.kitchen_pipe', { state: '6' })
  clock.advance(minute / 2 + 5_000)
  expect([state('binary_sensor.kitchen_leak'), state('binary_sensor.bathroom_leak')]).toEqual(['on', 'off'])
  clock.advance(29.5 * minute - 5_000)
  expect(state('binary_sensor.bathroom_leak')).toBe('on')
  sim.set('number.kitchen_pipe', { state: '0' })
  expect(sim.truth('number.kitchen_pipe').attributes['spilled_litres']).toBe(180)
  clock.advance(29 * minute)
  expect(state('binary_sensor.kitchen_leak')).toBe('on')
  clock.advance(2 * minute)
  expect([state('binary_sensor.kitchen_leak'), state('binary_sensor.bathroom_leak')]).toEqual(['off', 'off'])
})

test('a sensor that lies is no drier for it, and nothing goes on after the home is closed', async () => {
  const { clock, sim, state, board } = await wetHome()
  sim.fault('binary_sensor.kitchen_leak', { kind: 'lying', telemetry: { state: 'off' } })
  sim.set('number.kitchen_pipe', { state: '20' })
  clock.advance(minute)
  expect(state('binary_sensor.kitchen_leak')).toBe('off')
  expect(sim.truth('binary_sensor.kitchen_leak').state).toBe('on')
  await board[Symbol.asyncDispose]()
  clock.advance(minute)
})

test.each([
  ['valve: valve.water_main', 'valve: valve.nowhere', 'water.valve: no valve "valve.nowhere" in this home'],
  [
    'taps: [number.taps]',
    'taps: [sensor.water_flow]',
    'water.taps[0]: no number "sensor.water_flow" in this home',
  ],
  ['{ leak: number.cellar_pipe }', '{ wets: [] }', 'water.pipes[3].leak: is missing'],
])('a mistake is one line: %s', (right, wrong, line) => {
  expect(() => parseHome(yaml.replace(right, wrong), 'home.yaml')).toThrow(`home.yaml: ${line}`)
})
