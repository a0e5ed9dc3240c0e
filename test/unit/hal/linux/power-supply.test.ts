/** Mains, battery and throttling, against made-up files of the kernel. */
import { expect, test } from 'vitest'
import { boards } from '../../../../boards/index.ts'
import { createHal } from '../../../../hal/index.ts'
import { readThrottled } from '../../../../hal/linux/hwmon.ts'
import { readPowerSource } from '../../../../hal/linux/power-supply.ts'
import { testHost } from '../host.ts'
import { never, useFiles } from './files.ts'

const files = useFiles()
const supplies = (all: Readonly<Record<string, Readonly<Record<string, string>>>>) => {
  for (const [name, attributes] of Object.entries(all))
    for (const [attribute, value] of Object.entries(attributes))
      files().write({ [`sys/class/power_supply/${name}/${attribute}`]: `${value}\n` })
}
const read = () => readPowerSource(files().path('sys'))
const battery = { type: 'Battery', capacity: '73' }

test('a machine without power supplies says nothing of its power', async () => {
  expect(await read()).toEqual({})
})

test('a laptop is on mains while its adapter is online, and on battery when it is pulled', async () => {
  supplies({ AC: { type: 'Mains', online: '1' }, BAT0: { ...battery, status: 'Discharging' } })
  expect(await read()).toEqual({ mains: true, batteryPercent: 73 })
  supplies({ AC: { online: '0' } })
  expect(await read()).toEqual({ mains: false, batteryPercent: 73 })
})

test('a battery board without an adapter of its own goes by what the battery says; two count by their mean', async () => {
  supplies({ bat: { ...battery, status: 'Charging' } })
  expect(await read()).toEqual({ mains: true, batteryPercent: 73 })
  supplies({ bat: { status: 'Discharging' }, second: { type: 'Battery', capacity: '27' } })
  expect(await read()).toEqual({ mains: false, batteryPercent: 50 })
})

test('a gauge that gives no status leaves the source unknown, and what is no number is no charge', async () => {
  supplies({ gauge: battery })
  expect(await read()).toEqual({ batteryPercent: 73 })
  supplies({ gauge: { capacity: 'lots', status: 'Unknown' } })
  expect(await read()).toEqual({})
})

test('the battery of a mouse is not that of the machine', async () => {
  supplies({ mouse: { ...battery, scope: 'Device', status: 'Discharging' } })
  expect(await read()).toEqual({})
})

const firmware = [{ kind: 'throttle', name: 'firmware', path: 'devices/get_throttled' }] as const
const throttled = () => readThrottled(files().path('sys'), firmware)

test('throttled is what the firmware says of now, not of some time since the start', async () => {
  expect(await throttled()).toBeUndefined()
  for (const [bits, expected] of [
    ['0', false],
    ['e0000', false],
    ['50005', true],
    ['0x8', true],
  ] as const) {
    files().write({ 'sys/devices/get_throttled': `${bits}\n` })
    expect(await throttled()).toBe(expected)
  }
})

test('throttled is also a processor whose frequency the kernel lowers against heat; a fan is not', async () => {
  const cooling = 'sys/class/thermal/cooling_device'
  files().write({ [`${cooling}0/type`]: 'pwm-fan\n', [`${cooling}0/cur_state`]: '4\n' })
  expect(await throttled()).toBeUndefined()
  files().write({ [`${cooling}1/type`]: 'cpufreq-cpu0\n', [`${cooling}1/cur_state`]: '0\n' })
  expect(await throttled()).toBe(false)
  files().write({ [`${cooling}1/cur_state`]: '2\n' })
  expect(await throttled()).toBe(true)
})

const openBoard = (home?: string) => {
  const [proc = '', sys = '', dev = ''] = ['proc', 'sys', 'dev'].map((name) => files().path(name))
  return createHal(boards).openBoard(
    { hostSensors: true, roots: { proc, sys, dev }, ...(home && { home: { name: 'test', yaml: home } }) },
    testHost().host,
    never,
  )
}

test('an open board names the sensors that tell its conditions, and only those that there are', async () => {
  supplies({ BAT0: { ...battery, status: 'Discharging' } })
  await using board = await openBoard()
  const { conditions, sensors } = board
  expect(Object.keys(conditions).sort()).toEqual(['battery', 'mains'])
  const stateOf = (id: string | undefined) => sensors.find(({ info }) => info.id === id)?.current().state
  expect([stateOf(conditions.battery), stateOf(conditions.mains)]).toEqual(['73', 'off'])
})

test('a simulated home can have its own, to try what an empty battery does; those of a phone are not the board’s', async () => {
  supplies({ BAT0: { ...battery, status: 'Discharging' } })
  const home = `
areas: []
entities:
  - { id: sensor.phone_battery, name: Phone, state: '5', attributes: { unit_of_measurement: '%' } }
  - { id: binary_sensor.board_throttled, name: Board slowed down, state: 'on' }
  - { id: sensor.board_battery, name: Board battery, state: '12', attributes: { unit_of_measurement: '%' } }
`
  await using board = await openBoard(home)
  expect(board.conditions).toMatchObject({
    throttled: 'binary_sensor.board_throttled',
    battery: 'sensor.board_battery',
    mains: expect.stringMatching(/^binary_sensor\..+_mains$/),
  })
})
