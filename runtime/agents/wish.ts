/**
 * What a room needs of the heat pump, and how much that is worth: how far it is from what is wanted, weighed by whether somebody is there
 * and by the price of heat now and in the coming hours.
 */
import type { Telemetry } from '../agent/contract.ts'
import { numberOf } from './believe.ts'
import type { Habits } from './habits.ts'
import type { Thermometer } from './thermometer.ts'

const rules = {
  /** °C while somebody is there or comes; while nobody is; above which it is cooled, and down to which. */
  wantedC: 21,
  emptyC: 17.5,
  hotC: 25.7,
  cooledC: 25.2,
  /** Once a room is heated, so far above. */
  bandC: 0.5,
  /** It is asked for so early: another room may have the pump first. */
  earlyC: 0.2,
  /** A room gets warm so much slower than while it has the pump: there are others. */
  slower: 2,
  /** Who is there goes before who comes, so many times. */
  there: 8,
  /** So much more when heat is cheap and somebody comes within hours; so much less when it is dear and nobody is there yet. */
  storeC: 1,
  spareC: 0.2,
  storeHours: 5,
  /** A room whose thermometer is not believed is kept so much cooler, as nobody sees how warm it gets. */
  carefulK: 1.5,
} as const

export interface Served {
  readonly warmth: Thermometer
  readonly habits: Habits
  /** It has the pump now. */
  served: 'heat' | 'cool' | undefined
}
/** Of the coming hours, this one first. */
export interface Outlook {
  readonly outsideC: readonly number[]
  /** Of heat, not of electricity. */
  readonly price: readonly number[]
}
export interface Wish<R extends Served> {
  readonly room: R
  readonly mode: 'heat' | 'cool'
  readonly bid: number
}

/** The room that needs it most; undefined: none does. */
export function foremost<R extends Served>(rooms: readonly R[], outlook: Outlook): Wish<R> | undefined {
  const wishes = rooms.map((room) => wishOf(room, outlook)).filter((wish) => wish !== undefined)
  return wishes.sort((left, right) => right.bid - left.bid)[0]
}

function wishOf<R extends Served>(room: R, outlook: Outlook): Wish<R> | undefined {
  const { warmth, habits, served } = room
  const { tempC, doubted } = warmth
  const { occupied } = habits
  const price = outlook.price[0] ?? 1
  const later = outlook.price.slice(1, 1 + rules.storeHours)
  const needed = (kelvin: number) =>
    occupied || habits.comes(0.5 + (rules.slower * Math.max(0, kelvin)) / warmth.warmsKPerH)
  const weight = (occupied ? rules.there : 1) * Math.sqrt(average(outlook.price) / price)
  if (tempC > (served === 'cool' ? rules.cooledC : rules.hotC) && needed(tempC - rules.cooledC))
    return { room, mode: 'cool', bid: (tempC - rules.cooledC) * weight }
  const soon = needed(rules.wantedC - tempC)
  const store = price < 0.9 * average(later) && habits.comes(rules.storeHours)
  const dear = price > 1.15 * Math.min(...later.slice(0, 3), price)
  const spare = dear && !occupied ? rules.spareC : -rules.earlyC
  const targetC = store ? rules.wantedC + rules.storeC : soon ? rules.wantedC - spare : rules.emptyC
  const missingC = targetC + (served === 'heat' ? rules.bandC : 0) - (doubted ? rules.carefulK : 0) - tempC
  return missingC > 0 ? { room, mode: 'heat', bid: (0.1 + missingC) * weight } : undefined
}

/** Of what is not told: nothing dear, nothing mild. */
export function outlookOf(electricity: Telemetry | undefined, outside: Telemetry | undefined): Outlook {
  const outsideC = forecastOf(outside, 5)
  // The milder it is, the more heat the pump makes of electricity.
  const heatOf = (hour: number) => Math.max(1.5, 3.5 + 0.15 * (outsideC[hour] ?? 5))
  return { outsideC, price: forecastOf(electricity, 1).map((perKwh, hour) => perKwh / heatOf(hour)) }
}

/** Of one that knows no forecast: as now, all day. */
function forecastOf(seen: Telemetry | undefined, unknown: number): number[] {
  const forecast = seen?.attributes['forecast']
  const numbers = Array.isArray(forecast) ? forecast.map(Number).filter(Number.isFinite) : []
  return numbers.length > 0 ? numbers : Array.from({ length: 24 }, () => numberOf(seen) ?? unknown)
}

const average = (numbers: readonly number[]) =>
  numbers.reduce((sum, number) => sum + number, 0) / Math.max(1, numbers.length)
