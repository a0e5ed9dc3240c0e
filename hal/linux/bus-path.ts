/**
 * From a bus of the board to its device node. The controller's address in the device tree comes first (numbers of buses
 * change with the kernel); the fixed path of the board's data is what remains.
 */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Board, BoardBus } from '../contract/board.ts'
import { HalError } from '../contract/errors.ts'
import type { Roots } from './board-detect.ts'

/** A node may be named so without the board knowing the bus: USB adapters, boards that nobody described. */
const directNodes: Readonly<Record<'i2c' | 'spi', { pattern: RegExp; node: (id: string) => string }>> = {
  i2c: { pattern: /^i2c-\d+$/, node: (id) => id },
  spi: { pattern: /^spi-\d+\.\d+$/, node: (id) => `spidev${id.slice('spi-'.length)}` },
}

/** Where sysfs shows what a controller gave, below its device: a name there is the node's name. */
const children: Readonly<Record<'i2c' | 'spi' | 'serial', RegExp>> = {
  i2c: /^i2c-\d+$/,
  spi: /^spi\d+$/,
  serial: /^tty[A-Za-z]+\d+$/,
}

/** UART drivers put up to three ports and a class folder between a controller and its tty. */
const depthMax = 5

/** Throws HalError `not-present` saying what buses there are, or what turns the bus on. */
export function busPath(board: Board, roots: Roots, kind: 'i2c' | 'spi' | 'serial', id: string): string {
  const bus = board.buses.find((candidate) => candidate.id === id && candidate.kind === kind)
  if (!bus) return directPath(board, roots, kind, id)
  const path = pathByDevice(bus, roots, kind) ?? (bus.path && underRoot(bus.path, roots))
  if (path && existsSync(path)) return path
  const cure = bus.enable ?? 'turn it on in the device tree or firmware'
  throw new HalError('not-present', `${id} is off on ${board.name}: ${cure}`)
}

function directPath(board: Board, roots: Roots, kind: 'i2c' | 'spi' | 'serial', id: string): string {
  const direct = kind === 'serial' ? undefined : directNodes[kind]
  if (direct?.pattern.test(id) && existsSync(join(roots.dev, direct.node(id))))
    return join(roots.dev, direct.node(id))
  const known = board.buses.filter((bus) => bus.kind === kind).map((bus) => bus.id)
  const there = known.length > 0 ? `, ${kind} buses are ${known.join(', ')}` : ''
  throw new HalError('not-present', `${id} is no ${kind} bus of ${board.name}${there}`)
}

function pathByDevice(bus: BoardBus, roots: Roots, kind: 'i2c' | 'spi' | 'serial'): string | undefined {
  if (bus.device === undefined) return undefined
  for (const family of list(join(roots.sys, 'bus'))) {
    const found = findChild(join(roots.sys, 'bus', family, 'devices', bus.device), children[kind], depthMax)
    if (found === undefined) continue
    const node = kind === 'spi' ? `spidev${found.slice('spi'.length)}.${chipSelect(bus.id)}` : found
    return join(roots.dev, node)
  }
  return undefined
}

const chipSelect = (id: string) => id.slice(id.lastIndexOf('.') + 1)

function findChild(folder: string, pattern: RegExp, depth: number): string | undefined {
  const names = list(folder)
  const found = names.find((name) => pattern.test(name))
  if (found !== undefined || depth === 0) return found
  for (const name of names) {
    const below = goesDown.test(name) ? findChild(join(folder, name), pattern, depth - 1) : undefined
    if (below !== undefined) return below
  }
  return undefined
}

/** Only class folders and ports of the controller; other entries link to anywhere. */
const goesDown = /^(spi_master|tty|.+:\d+(\.\d+)?)$/

function list(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

/** The board's paths begin with /dev; tests put it elsewhere. */
function underRoot(path: string, roots: Roots): string {
  return path.startsWith('/dev/') ? join(roots.dev, path.slice('/dev/'.length)) : path
}
