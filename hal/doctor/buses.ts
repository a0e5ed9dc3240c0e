/**
 * Which buses of the board are on, who answers on them, and which drivers know such an address. I2C buses are asked one by
 * one and only those that the board or the configuration names: on other machines nobody knows what a question does.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Board, BoardBus } from '../contract/board.ts'
import type { Driver } from '../contract/driver.ts'
import { HalError } from '../contract/errors.ts'
import type { BusAnswer, BusReport } from '../contract/examination.ts'
import type { Roots } from '../linux/board-detect.ts'
import { busPath } from '../linux/bus-path.ts'
import { hex } from '../linux/i2c.ts'
import type { I2cAnswer } from '../linux/i2c-probe.ts'
import { listOneWire } from '../linux/one-wire.ts'
import { permissionAdvice } from '../linux/permissions.ts'
import { lookAtNode, type NodeLook } from './nodes.ts'
import type { PlacedPart } from './uses.ts'

/** Throws HalError in one line. */
export type AskI2c = (board: Board, roots: Roots, bus: string) => readonly I2cAnswer[]

export interface BusLook {
  readonly board: Board
  readonly look: NodeLook
  readonly drivers: readonly Driver[]
  readonly parts: readonly PlacedPart[]
  /** Absent: no bus is asked. */
  readonly ask?: AskI2c
}

export async function lookAtBuses(bus: BusLook): Promise<BusReport[]> {
  const slaves = await listOneWire(bus.look.roots.sys)
  return [...bus.board.buses, ...unlisted(bus)].map((one) => {
    if (one.kind === 'one-wire') return oneWire(one, slaves, bus)
    return one.kind === 'can' ? can(one, bus.look.roots) : node(one, bus)
  })
}

/** Buses that only the configuration names: a USB adapter, or a board that nobody described. */
function unlisted({ board, parts }: BusLook): BoardBus[] {
  const ids = new Set(parts.flatMap(({ bus }) => (bus === undefined ? [] : [bus])))
  return [...ids].flatMap((id): BoardBus[] => {
    if (!/^i2c-\d+$/.test(id) || board.buses.some((bus) => bus.id === id)) return []
    return [{ id, kind: 'i2c', pins: [], enable: 'plug its adapter in, then: sudo modprobe i2c-dev' }]
  })
}

function node(bus: BoardBus, at: BusLook): BusReport {
  const { id, kind, pins } = bus
  if (kind === 'one-wire' || kind === 'can') throw new Error(`${id} has no device node`)
  let path: string
  try {
    path = busPath(at.board, at.look.roots, kind, id)
  } catch (error) {
    return { id, kind, state: 'off', pins, note: bus.enable ?? messageOf(error) }
  }
  const usable = lookAtNode(path, at.look)?.usable ?? false
  if (!usable) return { id, kind, state: 'denied', path, pins, note: permissionAdvice(path) }
  return { id, kind, state: 'on', path, pins, ...(kind === 'i2c' ? askI2c(id, at) : {}) }
}

function askI2c(id: string, at: BusLook): Pick<BusReport, 'answers' | 'note'> {
  if (!at.ask) return { note: 'not asked' }
  try {
    return { answers: at.ask(at.board, at.look.roots, id).map((answer) => i2cAnswer(id, answer, at)) }
  } catch (error) {
    return { note: messageOf(error) }
  }
}

function i2cAnswer(bus: string, { address, kernelDriver }: I2cAnswer, at: BusLook): BusAnswer {
  const couldBe = at.drivers.flatMap(({ id, connection }) =>
    connection.bus === 'i2c' && connection.addresses.includes(address) ? [id] : [],
  )
  return {
    address: hex(address),
    ...(kernelDriver === undefined ? {} : { kernelDriver }),
    configured: at.parts
      .filter((part) => part.bus === bus && Number(part.address) === address)
      .map(({ id }) => id),
    couldBe: kernelDriver === undefined ? couldBe : [],
  }
}

/** The kernel looks for slaves by itself and lists them; all masters share one list. */
function oneWire({ id, pins, enable }: BoardBus, slaves: readonly string[], at: BusLook): BusReport {
  const on = existsSync(join(at.look.roots.sys, 'bus', 'w1', 'devices', 'w1_bus_master1'))
  if (!on)
    return { id, kind: 'one-wire', state: 'off', pins, ...(enable === undefined ? {} : { note: enable }) }
  return {
    id,
    kind: 'one-wire',
    state: 'on',
    pins,
    answers: slaves.map((address) => ({
      address,
      configured: at.parts.filter((part) => part.address === address).map((part) => part.id),
      couldBe: at.drivers.flatMap(({ id: driver, connection }) =>
        connection.bus === 'one-wire' &&
        connection.families.includes(Number.parseInt(address.slice(0, 2), 16))
          ? [driver]
          : [],
      ),
    })),
  }
}

/** A network interface, whose name the kernel counts up: `can-0` is `can0`. */
function can({ id, pins, enable }: BoardBus, roots: Roots): BusReport {
  const name = id.replace('-', '')
  if (existsSync(join(roots.sys, 'class', 'net', name)))
    return { id, kind: 'can', state: 'on', path: name, pins }
  return { id, kind: 'can', state: 'off', pins, ...(enable === undefined ? {} : { note: enable }) }
}

const messageOf = (error: unknown) =>
  error instanceof HalError || error instanceof Error ? error.message : String(error)
