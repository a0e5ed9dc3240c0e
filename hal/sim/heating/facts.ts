/** The `heating` section of a home file: what of the home is warm, how warm it stays, and what heats it. */
import type { HomeNode } from '../home-node.ts'
import { type Habit, habits } from './occupancy.ts'
import type { RoomFacts, Wall } from './rooms.ts'

export interface HeatedRoom extends RoomFacts {
  readonly habit: Habit
}

/** Ids of what belongs to a room follow from its area: `sensor.<area>_temperature` and so on. */
export interface HeatingFacts {
  readonly seed: number
  /** How often the world goes on, milliseconds. */
  readonly tickMs: number
  /** Ids of entities; only some devices of a shared home have them. */
  readonly heatPump: string
  readonly price: string
  readonly outside: string
  readonly rooms: readonly HeatedRoom[]
  readonly walls: readonly Wall[]
}

export const roomIds = (area: string) => ({
  temperature: `sensor.${area}_temperature`,
  occupancy: `binary_sensor.${area}_occupancy`,
  valve: `valve.${area}_heating`,
  heater: `switch.${area}_heater`,
})

const roomsMax = 64

/** Undefined where the file has none. Throws HalError `malformed` with one line that names the place. */
export function readHeating(root: HomeNode, areas: ReadonlyMap<string, unknown>): HeatingFacts | undefined {
  const node = root.child('heating')
  if (node.absent) return undefined
  const rooms = node
    .child('rooms')
    .list(roomsMax)
    .map((room) => readRoom(room, areas))
  const known = new Set(rooms.map(({ area }) => area))
  if (known.size < rooms.length) node.child('rooms').refuse('a room is there twice')
  const walls = node
    .child('walls')
    .list(roomsMax * 2)
    .map((wall) => readWall(wall, known))
  const seconds = node.child('tick_s')
  return {
    seed: number(node.child('seed'), 0, 2 ** 31),
    tickMs: (seconds.absent ? 2 : number(seconds, 1, 60)) * 1_000,
    heatPump: node.child('heat_pump').text(),
    price: node.child('price').text(),
    outside: node.child('outside').text(),
    rooms,
    walls,
  }
}

function readRoom(node: HomeNode, areas: ReadonlyMap<string, unknown>): HeatedRoom {
  const area = node.child('area').text()
  if (!areas.has(area)) node.child('area').refuse(`no area ${JSON.stringify(area)}`)
  const said = node.child('habit').text()
  const habit = habits.find((one) => one === said)
  if (!habit) return node.child('habit').refuse(`known are ${habits.join(', ')}`)
  return {
    area,
    habit,
    floorM2: number(node.child('floor_m2'), 1, 1_000),
    lossWPerK: number(node.child('loss_w_per_k'), 0, 1_000),
    windowM2: number(node.child('window_m2'), 0, 200),
    emitterW: number(node.child('emitter_w'), 0, 50_000),
  }
}

function readWall(node: HomeNode, rooms: ReadonlySet<string>): Wall {
  const [one, other, ...more] = node
    .child('between')
    .list(2)
    .map((room) => room.text())
  if (one === undefined || other === undefined || more.length > 0 || one === other)
    return node.child('between').refuse('must name two rooms')
  for (const room of [one, other])
    if (!rooms.has(room)) node.child('between').refuse(`no heated room ${JSON.stringify(room)}`)
  return { between: [one, other], wPerK: number(node.child('w_per_k'), 0, 1_000) }
}

function number(node: HomeNode, min: number, max: number): number {
  const { value } = node
  if (typeof value !== 'number' || !(value >= min && value <= max))
    return node.refuse(`must be a number from ${min} to ${max}`)
  return value
}
