/**
 * Price of electricity by the hour, made up: the two daily peaks, the cheap nights and the dip at noon that day-ahead prices of
 * central European markets show, on top of what a household pays in charges. No record of any market.
 */
import { hourOf, isWeekend, season } from './calendar.ts'
import { hashed } from './noise.ts'

const hourMs = 3_600_000
const bump = (hour: number, at: number, width: number) => Math.exp(-(((hour - at) / width) ** 2))

/** Of the hour that `atMs` is in, €/kWh. */
export function pricePerKwh(seed: number, atMs: number): number {
  const hour = Math.floor(hourOf(atMs))
  const shape =
    0.08 * bump(hour, 8, 2) +
    0.13 * bump(hour, 19, 2.5) -
    0.07 * bump(hour, 3, 3) -
    0.05 * (1.2 + season(atMs)) * bump(hour, 13, 2.5)
  const chance = 0.06 * (hashed(seed, 10, Math.floor(atMs / hourMs / 24)) - 0.5)
  const small = 0.02 * (hashed(seed, 11, Math.floor(atMs / hourMs)) - 0.5)
  return Math.round((0.29 + shape * (isWeekend(atMs) ? 0.7 : 1) + chance + small) * 1000) / 1000
}
