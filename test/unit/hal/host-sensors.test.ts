/** The machine's own sensors, read from a made-up `/proc` and `/sys`. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { boards } from '../../../boards/index.ts'
import type { OpenBoard } from '../../../hal/contract/board.ts'
import type { Sensor } from '../../../hal/contract/sensor.ts'
import { createHal, takeInventory } from '../../../hal/index.ts'
import { testHost } from './host.ts'

const signal = new AbortController().signal
const cleanups: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup()
})

const machine = {
  'proc/loadavg': '0.42 0.30 0.20 1/234 5678\n',
  'proc/meminfo': 'MemTotal:        4000000 kB\nMemFree:          100000 kB\nMemAvailable:    1000000 kB\n',
  'sys/class/thermal/thermal_zone0/type': 'gpu-thermal\n',
  'sys/class/thermal/thermal_zone0/temp': '61000\n',
  'sys/class/thermal/thermal_zone1/type': 'cpu-thermal\n',
  'sys/class/thermal/thermal_zone1/temp': '48312\n',
}

async function roots(files: Readonly<Record<string, string>>) {
  const folder = await mkdtemp(join(tmpdir(), 'hal-host-'))
  cleanups.push(() => rm(folder, { recursive: true, force: true }))
  const write = async (name: string, text: string) => {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), text)
  }
  for (const [name, text] of Object.entries(files)) await write(name, text)
  return {
    proc: join(folder, 'proc'),
    sys: join(folder, 'sys'),
    dev: join(folder, 'dev'),
    write,
    remove: (name: string) => rm(join(folder, name)),
  }
}

async function open(files: Readonly<Record<string, string>>) {
  const fake = await roots(files)
  const { host, clock, lines } = testHost()
  const board = await createHal(boards).openBoard({ hostSensors: true, roots: fake }, host, signal)
  cleanups.push(async () => board[Symbol.asyncDispose]())
  return { fake, clock, lines, board }
}

function sensor(board: OpenBoard, object: string): Sensor {
  const found = board.sensors.find(({ info }) => info.id.endsWith(`_${object}`))
  if (!found) throw new Error(`no ${object} among ${board.sensors.map(({ info }) => info.id).join(', ')}`)
  return found
}

test('temperature, load, memory and disk of this machine are sensors, and real', async () => {
  const { board } = await open(machine)
  expect(board.simulated).toBe(false)
  expect(board.sensors).toHaveLength(4)
  const slug = hostname()
    .split('.')[0]
    ?.toLowerCase()
    .match(/[a-z0-9]+/g)
    ?.join('_')
  expect(sensor(board, 'cpu_temperature').info).toMatchObject({
    id: `sensor.${slug}_cpu_temperature`,
    kind: 'sensor',
    deviceClass: 'temperature',
    unit: '°C',
    simulated: false,
  })
  expect(sensor(board, 'cpu_temperature').current()).toMatchObject({
    state: '48.3',
    attributes: { device_class: 'temperature', unit_of_measurement: '°C' },
  })
  expect(sensor(board, 'load').current()).toMatchObject({ state: '0.42', attributes: {} })
  expect(sensor(board, 'memory_used').current().state).toBe('75')
  const disk = Number(sensor(board, 'disk_used').current().state)
  expect(disk).toBeGreaterThan(0)
  expect(disk).toBeLessThanOrEqual(100)
})

test('they are also sensors of a simulated home, beside its own', async () => {
  const fake = await roots(machine)
  const { host } = testHost()
  const home = { name: 'home.yaml', yaml: 'entities: [{id: sensor.outside, state: "3"}]' }
  await using board = await createHal(boards).openBoard(
    { home, hostSensors: true, roots: fake },
    host,
    signal,
  )
  expect(board.sensors.map(({ info }) => info.simulated)).toEqual([true, false, false, false, false])
})

test('[hal-2] a home keeps its own sensor where a host sensor would have the same id', async () => {
  const fake = await roots(machine)
  const { host } = testHost()
  const [first] = (await open(machine)).board.sensors
  const home = { name: 'home.yaml', yaml: `entities: [{id: ${first?.info.id}, state: "3"}]` }
  await using board = await createHal(boards).openBoard(
    { home, hostSensors: true, roots: fake },
    host,
    signal,
  )
  expect(board.sensors).toHaveLength(4)
  expect(board.sensors[0]?.info).toMatchObject({ id: first?.info.id, simulated: true })
})

test('[hal-linux-1] a source that the machine does not have gives no sensor', async () => {
  const { board } = await open({ 'proc/loadavg': machine['proc/loadavg'] })
  expect(board.sensors.map(({ info }) => info.id.replace(/^.*?_/, ''))).toHaveLength(2)
  expect(sensor(board, 'load').current().state).toBe('0.42')
})

test.each([
  ['proc/loadavg', 'busy', 'does not start with the load of the last minute'],
  ['proc/meminfo', 'MemTotal: 0 kB\n', 'has no MemTotal and MemAvailable'],
  ['sys/class/thermal/thermal_zone1/temp', 'warm', 'is not a temperature in thousandths of °C'],
])('[hal-linux-1] a %s that says "%s" is malformed, and nothing stays open', async (file, text, line) => {
  const fake = await roots({ ...machine, [file]: text })
  const { host, clock } = testHost()
  await expect(
    createHal(boards).openBoard({ hostSensors: true, roots: fake }, host, signal),
  ).rejects.toMatchObject({
    name: 'HalError',
    code: 'malformed',
    message: expect.stringContaining(line),
  })
  clock.advance(120_000)
})

test('a sensor samples itself every 30 s and when asked', async () => {
  const { board, fake, clock } = await open(machine)
  const temperature = sensor(board, 'cpu_temperature')
  const next = () => new Promise<string>((resolve) => temperature.onTelemetry(({ state }) => resolve(state)))
  await fake.write('sys/class/thermal/thermal_zone1/temp', '50000\n')
  const reported = next()
  clock.advance(30_000)
  expect(await reported).toBe('50')
  expect(temperature.current().tsMs).toBe(clock.nowMs())
  await fake.write('sys/class/thermal/thermal_zone1/temp', '-1500\n')
  expect(await temperature.sample(signal)).toMatchObject({ state: '-1.5' })
})

test('a source that goes away is unavailable, said once in the log, until it is back', async () => {
  const { board, fake, clock, lines } = await open(machine)
  const temperature = sensor(board, 'cpu_temperature')
  const reports: string[] = []
  const wake = () => {}
  temperature.onTelemetry(({ state }) => {
    reports.push(state)
    wake()
  })
  const after30s = async () => {
    const count = reports.length
    await expect
      .poll(() => {
        clock.advance(30_000)
        return reports.length
      })
      .toBeGreaterThan(count)
    return reports.at(-1)
  }
  await fake.remove('sys/class/thermal/thermal_zone1/temp')
  expect(await after30s()).toBe('unavailable')
  expect(await after30s()).toBe('unavailable')
  await expect(temperature.sample(signal)).rejects.toMatchObject({ code: 'not-present' })
  await fake.write('sys/class/thermal/thermal_zone1/temp', '40000\n')
  await expect.poll(after30s).toBe('40')
  expect(lines.filter(({ level }) => level === 'warn')).toHaveLength(1)
})

test('a closed sensor samples no more', async () => {
  const { board, clock } = await open(machine)
  const load = sensor(board, 'load')
  const reports: string[] = []
  load.onTelemetry(({ state }) => reports.push(state))
  await board[Symbol.asyncDispose]()
  clock.advance(120_000)
  await expect(load.sample(signal)).rejects.toMatchObject({ code: 'closed' })
  expect(reports).toEqual([])
})

test('the inventory names this machine without anything that identifies a household', async () => {
  const inventory = await takeInventory()
  expect(inventory.memoryBytes).toBeGreaterThan(100 * 1024 * 1024)
  expect(inventory.cpu.cores).toBeGreaterThan(0)
  expect(JSON.stringify(inventory)).not.toMatch(/serial|uuid/i)
})
