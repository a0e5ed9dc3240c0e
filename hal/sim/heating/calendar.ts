/** Where in the day, the week and the year an instant is. The simulated home lives by UTC. */
const hourMs = 3_600_000
export const dayMs = 24 * hourMs

/** Hours since midnight. */
export const hourOf = (atMs: number): number => (((atMs % dayMs) + dayMs) % dayMs) / hourMs
/** Days since 1970-01-01. */
export const dayOf = (atMs: number): number => Math.floor(atMs / dayMs)
/** Saturday or Sunday; 1970-01-01 was a Thursday. */
export const isWeekend = (atMs: number): boolean => [2, 3].includes(((dayOf(atMs) % 7) + 7) % 7)
/** So far the warmth of the year is behind the sun. */
export const warmthLagMs = 31 * dayMs
/** 1 when summer is at its warmest, -1 when winter is at its coldest, a month after the solstices. */
export const season = (atMs: number): number =>
  -Math.cos(((dayOf(atMs) % 365.25) - 20) * ((2 * Math.PI) / 365.25))
