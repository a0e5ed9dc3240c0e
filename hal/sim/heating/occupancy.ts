/**
 * Who is in which room, made up: a household with weekly habits, whose days begin and end at slightly other times and are now and then
 * quite different.
 */
import { dayMs, dayOf, hourOf, isWeekend } from './calendar.ts'
import { hashed } from './noise.ts'

export const habits = ['living', 'sleeping', 'working'] as const
export type Habit = (typeof habits)[number]

/** Hours of a day, beginning with the hour that ends the night before. */
const stays: Readonly<Record<Habit, (weekend: boolean) => readonly (readonly [number, number])[]>> = {
  living: (weekend) =>
    weekend
      ? [[8.5, 23]]
      : [
          [6.5, 8],
          [17, 22.5],
        ],
  sleeping: (weekend) =>
    weekend
      ? [
          [0, 8],
          [23, 24],
        ]
      : [
          [0, 6.5],
          [22.5, 24],
        ],
  working: (weekend) => (weekend ? [] : [[8.5, 17]]),
}
/** Share of days on which nobody comes: on three in ten somebody works elsewhere. */
const awayShare: Readonly<Record<Habit, number>> = { living: 0.07, sleeping: 0.04, working: 0.3 }
const jitterHours = 0.7

export function isOccupied(seed: number, room: number, habit: Habit, atMs: number): boolean {
  const day = dayOf(atMs)
  const chance = (what: number) => hashed(seed, 20, room, day, what)
  if (chance(0) < awayShare[habit]) return false
  const hour = hourOf(atMs)
  return stays[habit](isWeekend(day * dayMs)).some(([from, to], at) => {
    const moved = (edge: number, what: number) =>
      edge === 0 || edge === 24 ? edge : edge + (2 * chance(what) - 1) * jitterHours
    return hour >= moved(from, 2 * at + 1) && hour < moved(to, 2 * at + 2)
  })
}
