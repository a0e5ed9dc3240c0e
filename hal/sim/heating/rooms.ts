/**
 * Heat in the rooms of a simulated home: each one a single store of heat that loses to the outside and to its neighbours (a resistance and
 * a capacity each, "RC"). Capacity is 165 kJ/K per m² of floor, "medium" in EN ISO 13790:2008 table 12; a person gives 100 W.
 * Losses are those of a house of the 1990s, an assumption. Air that moves through open doors is left out.
 */
export interface RoomFacts {
  readonly area: string
  readonly floorM2: number
  /** To the outside, W/K. */
  readonly lossWPerK: number
  readonly windowM2: number
  /** Most that its radiators or floor take, W. */
  readonly emitterW: number
}
export interface Wall {
  readonly between: readonly [string, string]
  readonly wPerK: number
}
/** What acts on a room for a while. */
export interface RoomLoad {
  readonly occupied: boolean
  /** From the heat pump; negative: cooling. */
  readonly pumpW: number
  readonly heaterW: number
}

const capacityJPerKM2 = 165_000
const personW = 100
/** Share of the sun on a window that becomes heat inside: glass, frame, shade. */
const sunShare = 0.4

/** Temperatures after `stepMs`, which must be short against the rooms' hours: a minute at most. °C. */
export function stepRooms(
  rooms: readonly RoomFacts[],
  walls: readonly Wall[],
  temperatures: ReadonlyMap<string, number>,
  loads: ReadonlyMap<string, RoomLoad>,
  outside: { readonly tempC: number; readonly sunWPerM2: number },
  stepMs: number,
): Map<string, number> {
  const next = new Map(temperatures)
  for (const { area, floorM2, lossWPerK, windowM2 } of rooms) {
    const tempC = temperatures.get(area)
    const load = loads.get(area)
    if (tempC === undefined || !load) continue
    let watts = lossWPerK * (outside.tempC - tempC) + sunShare * windowM2 * outside.sunWPerM2
    watts += load.pumpW + load.heaterW + (load.occupied ? personW : 0)
    for (const { between, wPerK } of walls) {
      if (!between.includes(area)) continue
      const other = temperatures.get(between[0] === area ? between[1] : between[0])
      if (other !== undefined) watts += wPerK * (other - tempC)
    }
    next.set(area, tempC + (watts * stepMs) / 1_000 / (capacityJPerKM2 * floorM2))
  }
  return next
}
