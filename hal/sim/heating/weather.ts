/**
 * Weather outside the simulated home, made up: a year, a day and passing fronts. Its year has the shape of the climate normals of
 * lowland central Europe (mean 10 °C, coldest and warmest month some 0 and 19 °C; DWD, reference period 1991 to 2020); it is no
 * record of any place.
 */
import { hourOf, season, warmthLagMs } from './calendar.ts'
import { smooth } from './noise.ts'

const hourMs = 3_600_000
const [frontMs, changeMs] = [4 * 24 * hourMs, 14 * hourMs]

/** °C. */
export function outsideC(seed: number, atMs: number): number {
  const summer = season(atMs)
  const clear = sunshine(seed, atMs)
  const day = (2 + 1.5 * summer + 2 * clear) * -Math.cos(((hourOf(atMs) - 3) / 24) * 2 * Math.PI)
  return 10 + 9.5 * summer + day + 6 * smooth(seed, 1, atMs, frontMs) + 2 * smooth(seed, 2, atMs, changeMs)
}

/** Sun on a vertical window, W/m²: nothing at night, which is 16 hours in the middle of winter and 8 in that of summer; up to 550. */
export function sunWPerM2(seed: number, atMs: number): number {
  const halfDay = 6 + 2 * season(atMs + warmthLagMs)
  const fromNoon = Math.abs(hourOf(atMs) - 12)
  if (fromNoon >= halfDay) return 0
  const height = Math.cos((fromNoon / halfDay) * (Math.PI / 2))
  return height * (350 + 100 * season(atMs)) * (0.15 + 1.1 * sunshine(seed, atMs))
}

/** What a forecast of `aheadMs` says: off by a quarter of a degree for each hour ahead, two at most. °C. */
export function forecastC(seed: number, atMs: number, aheadMs: number): number {
  const error = Math.min(2, (0.25 * aheadMs) / hourMs) * smooth(seed, 3, atMs + aheadMs, 6 * hourMs)
  return outsideC(seed, atMs + aheadMs) + error
}

/** 0 overcast to 1 clear. */
const sunshine = (seed: number, atMs: number) => (1 + smooth(seed, 4, atMs, 18 * hourMs)) / 2
