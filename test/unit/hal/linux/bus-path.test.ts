/** From a bus of the board to its device node, in made-up trees. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Board, BoardBus } from '../../../../hal/contract/board.ts'
import type { Roots } from '../../../../hal/linux/board-detect.ts'
import { busPath } from '../../../../hal/linux/bus-path.ts'

let folder: string
let roots: Roots
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'ganglion-bus-'))
  roots = { dev: `${folder}/dev`, sys: `${folder}/sys`, proc: `${folder}/proc` }
  mkdirSync(roots.dev)
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const boardWith = (...buses: BoardBus[]): Board => ({
  id: 'acme-one',
  name: 'Acme One',
  arch: 'arm64',
  compatible: [],
  memoryBudgetMb: { runtime: 1, engine: 1 },
  headers: [],
  buses,
  pwm: [],
  thermal: [],
  power: [],
  accelerators: [],
  sources: [],
})

const node = (name: string) => writeFileSync(`${roots.dev}/${name}`, '')
const inSys = (below: string) => mkdirSync(`${roots.sys}/bus/platform/devices/${below}`, { recursive: true })

test('the controller address comes first: the fixed path may be another bus today', () => {
  inSys('3f804000.i2c/i2c-11')
  for (const name of ['i2c-1', 'i2c-11']) node(name)
  const bus: BoardBus = { id: 'i2c-1', kind: 'i2c', device: '3f804000.i2c', path: '/dev/i2c-1', pins: [] }
  expect(busPath(boardWith(bus), roots, 'i2c', 'i2c-1')).toBe(`${roots.dev}/i2c-11`)
})

test('the fixed path is used where the controller is not in sysfs', () => {
  node('i2c-1')
  const bus: BoardBus = { id: 'i2c-1', kind: 'i2c', device: '3f804000.i2c', path: '/dev/i2c-1', pins: [] }
  expect(busPath(boardWith(bus), roots, 'i2c', 'i2c-1')).toBe(`${roots.dev}/i2c-1`)
})

test('an SPI bus takes its chip select from its id', () => {
  inSys('1f00050000.spi/spi_master/spi10')
  node('spidev10.1')
  const bus: BoardBus = { id: 'spi-0.1', kind: 'spi', device: '1f00050000.spi', pins: [] }
  expect(busPath(boardWith(bus), roots, 'spi', 'spi-0.1')).toBe(`${roots.dev}/spidev10.1`)
})

test.for([
  ['of older kernels', '1f00030000.serial/tty/ttyAMA0'],
  [
    'behind the ports of newer kernels',
    '1f00030000.serial/1f00030000.serial:0/1f00030000.serial:0.0/tty/ttyAMA0',
  ],
])('a UART is found in the tree %s', ([, below = '']) => {
  inSys(below)
  node('ttyAMA0')
  const bus: BoardBus = { id: 'uart-0', kind: 'serial', device: '1f00030000.serial', pins: [] }
  expect(busPath(boardWith(bus), roots, 'serial', 'uart-0')).toBe(`${roots.dev}/ttyAMA0`)
})

test('links out of a controller are not followed to the devices of others', () => {
  inSys('other.serial/tty/ttyS7')
  inSys('1f00030000.serial')
  symlinkSync('../other.serial', `${roots.sys}/bus/platform/devices/1f00030000.serial/supplier`)
  node('ttyS7')
  const bus: BoardBus = { id: 'uart-0', kind: 'serial', device: '1f00030000.serial', pins: [] }
  expect(() => busPath(boardWith(bus), roots, 'serial', 'uart-0')).toThrow('uart-0 is off on Acme One')
})

test('a bus that is off says how to turn it on', () => {
  const enable = 'add dtparam=i2c_arm=on to /boot/firmware/config.txt and restart'
  const bus: BoardBus = { id: 'i2c-1', kind: 'i2c', path: '/dev/i2c-1', pins: [], enable }
  expect(() => busPath(boardWith(bus), roots, 'i2c', 'i2c-1')).toThrow(`i2c-1 is off on Acme One: ${enable}`)
})

test('a bus that the board does not know is taken by its number where the kernel has it', () => {
  node('i2c-22')
  node('spidev3.0')
  expect(busPath(boardWith(), roots, 'i2c', 'i2c-22')).toBe(`${roots.dev}/i2c-22`)
  expect(busPath(boardWith(), roots, 'spi', 'spi-3.0')).toBe(`${roots.dev}/spidev3.0`)
})

test.for(['i2c-23', 'i2c-../i2c-22', 'uart-0'])('%s is refused where the kernel has no such bus', (id) => {
  node('i2c-22')
  const bus: BoardBus = { id: 'i2c-1', kind: 'i2c', path: '/dev/i2c-1', pins: [] }
  expect(() => busPath(boardWith(bus), roots, 'i2c', id)).toThrow(
    `${id} is no i2c bus of Acme One, i2c buses are i2c-1`,
  )
})
