/** Entities by floor and room. Pure. Floors from the ground up, rooms as the home lists them; what is nowhere comes last. */
import type { EntityView } from '../entity.ts'

export interface Room {
  readonly key: string
  readonly name: string
  readonly entities: readonly EntityView[]
}
export interface Floor {
  /** Absent for rooms whose floor nobody named. */
  readonly name: string | undefined
  readonly rooms: readonly Room[]
}

const byName = (a: { readonly name: string }, b: { readonly name: string }) => a.name.localeCompare(b.name)

export function byFloorAndRoom(entities: readonly EntityView[]): readonly Floor[] {
  const floors = new Map<string, Map<string, EntityView[]>>()
  for (const entity of entities) {
    const rooms = grown(floors, entity.floor ?? '', () => new Map<string, EntityView[]>())
    grown(rooms, entity.areaName ?? entity.area ?? '', () => []).push(entity)
  }
  return [...floors]
    .sort(([a], [b]) => rank(a) - rank(b) || a.localeCompare(b))
    .map(([floor, rooms]) => ({ name: floor === '' ? undefined : floor, rooms: roomsOf(floor, rooms) }))
}

function roomsOf(floor: string, rooms: ReadonlyMap<string, EntityView[]>): readonly Room[] {
  return [...rooms].sort(namelessLast).map(([name, members]) => ({
    key: `${floor}/${name}`,
    name: name === '' ? 'Elsewhere' : name,
    entities: members.sort(byName),
  }))
}

const ranks = ['basement', 'ground', 'first', 'second', 'third', 'attic']

/** Floors come as numbers or as words in any spelling (`ground_floor`); unknown words stand after the known. */
function rank(floor: string): number {
  if (floor === '') return 1000
  if (/^-?\d+$/.test(floor)) return Number(floor)
  const known = ranks.findIndex((word) => floor.toLowerCase().includes(word))
  return known === -1 ? 100 : known - 1
}

function namelessLast([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return Number(a === '') - Number(b === '')
}

function grown<V>(map: Map<string, V>, key: string, make: () => V): V {
  const known = map.get(key)
  if (known !== undefined) return known
  const made = make()
  map.set(key, made)
  return made
}
