/**
 * What narrows a capability: values, times of day, rates. Times are those that a clock on the wall shows: an interval that a change to
 * summer time skips does not come that day, one that is shown twice comes twice.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Json, Limits } from '../contract.ts'

export const rateMostMax = 1_000
const unitMs = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const unitWords = { s: 'second', m: 'minute', h: 'hour', d: 'day' } as const
type RateUnit = keyof typeof unitMs

export interface Rate {
  readonly most: number
  readonly perMs: number
  readonly unit: RateUnit
}

/** `'10/h'`; undefined where it is none. */
export function parseRate(text: string): Rate | undefined {
  const [, most, unit] = /^([1-9]\d{0,3})\/([smhd])$/.exec(text) ?? []
  if (most === undefined || Number(most) > rateMostMax) return undefined
  return { most: Number(most), perMs: unitMs[unit as RateUnit], unit: unit as RateUnit }
}

/** Minutes of a local day, `from` included, `to` not; `to` before `from` goes across midnight. */
export interface TimeRange {
  readonly from: number
  readonly to: number
}

/** `'22:00-06:00'`; undefined where it is none, or is empty. */
export function parseTimes(text: string): TimeRange | undefined {
  const [, h1, m1, h2, m2] = /^(\d\d):(\d\d)-(\d\d):(\d\d)$/.exec(text) ?? []
  const from = Number(h1) * 60 + Number(m1)
  const to = Number(h2) * 60 + Number(m2)
  const valid = Number(m1) < 60 && Number(m2) < 60 && from < 1_440 && to <= 1_440
  return valid && from !== to ? { from, to } : undefined
}

export function isWithin({ from, to }: TimeRange, minute: number): boolean {
  return from < to ? minute >= from && minute < to : minute >= from || minute < to
}

const formats = new Map<string, Intl.DateTimeFormat>()
const formatsMax = 16

/** Minute of the day that a clock shows there. Throws RangeError for a time zone that nobody knows. */
export function minuteOfDay(nowMs: number, timezone: string): number {
  let format = formats.get(timezone)
  if (!format) {
    if (formats.size >= formatsMax) formats.clear()
    format = new Intl.DateTimeFormat('en-GB', {
      timeZone: timezone,
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23',
    })
    formats.set(timezone, format)
  }
  const [hour = '0', minute = '0'] = format.format(nowMs).split(':')
  return Number(hour) * 60 + Number(minute)
}

type ValueLimit = NonNullable<Limits['values']>[string]

const isList = (limit: ValueLimit): limit is readonly Json[] => Array.isArray(limit)

/** Why a value is not allowed, or undefined. */
export function valueRefused(field: string, limit: ValueLimit, value: Json): string | undefined {
  const shown = JSON.stringify(value).slice(0, 60)
  if (isList(limit)) {
    if (limit.some((one) => isDeepStrictEqual(one, value))) return undefined
    return `${field} ${shown} is not one of ${limit.map((one) => JSON.stringify(one)).join(', ')}`
  }
  const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = limit
  if (typeof value !== 'number') return `${field} ${shown} is no number`
  if (value < min) return `${field} ${shown} is below ${min}`
  return value > max ? `${field} ${shown} is above ${max}` : undefined
}

/** Whether all that `narrow` allows is allowed by `wide`. */
export function limitsNarrow(narrow: Limits, wide: Limits): boolean {
  if (wide.ask && !narrow.ask) return false
  if (wide.rate !== undefined && !rateNarrows(narrow.rate, wide.rate)) return false
  if (wide.times !== undefined && !timesNarrow(narrow.times, wide.times)) return false
  return wide.values === undefined || fieldsNarrow(narrow, wide.values, wide.others === true)
}

function fieldsNarrow(
  { values, others = false }: Limits,
  wide: NonNullable<Limits['values']>,
  widely: boolean,
): boolean {
  // What names no field leaves all free; what a field is not named in is refused there.
  if (values === undefined || (others && !widely)) return false
  if (!widely && !Object.keys(values).every((field) => Object.hasOwn(wide, field))) return false
  return Object.entries(wide).every(([field, limit]) => {
    const own = Object.hasOwn(values, field) ? values[field] : undefined
    return own === undefined ? !others : valuesNarrow(own, limit)
  })
}

function rateNarrows(narrow: string | undefined, wide: string): boolean {
  const own = narrow === undefined ? undefined : parseRate(narrow)
  const limit = parseRate(wide)
  // As many or fewer in as long or longer: then no window of the wide one can hold more.
  return own !== undefined && limit !== undefined && own.most <= limit.most && own.perMs >= limit.perMs
}

function timesNarrow(narrow: readonly string[] | undefined, wide: readonly string[]): boolean {
  if (narrow === undefined) return false
  const ranges = (texts: readonly string[]) => texts.flatMap((text) => parseTimes(text) ?? [])
  const [own, limit] = [ranges(narrow), ranges(wide)]
  for (let minute = 0; minute < 1_440; minute += 1) {
    const inside = (range: TimeRange) => isWithin(range, minute)
    if (own.some(inside) && !limit.some(inside)) return false
  }
  return true
}

function valuesNarrow(narrow: ValueLimit, wide: ValueLimit): boolean {
  if (isList(narrow)) return narrow.every((value) => valueRefused('', wide, value) === undefined)
  if (isList(wide)) return false
  const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = narrow
  return min >= (wide.min ?? Number.NEGATIVE_INFINITY) && max <= (wide.max ?? Number.POSITIVE_INFINITY)
}

/** Limits in plain words: `brightness at most 128; only 22:00-06:00; at most 10 times an hour`. */
export function describeLimits({ values, others, times, rate, ask }: Limits): string {
  const parts = Object.entries(values ?? {}).map(([field, limit]) => `${field} ${valueInWords(limit)}`)
  if (values) parts.push(others ? 'whatever it says besides' : 'nothing else')
  if (times) parts.push(`only ${times.join(' or ')}`)
  const parsed = rate === undefined ? undefined : parseRate(rate)
  if (parsed)
    parts.push(`at most ${parsed.most} times a${parsed.unit === 'h' ? 'n' : ''} ${unitWords[parsed.unit]}`)
  if (ask) parts.push('only after a person’s yes, each time')
  return parts.join('; ')
}

function valueInWords(limit: ValueLimit): string {
  if (isList(limit))
    return `only ${limit.map((one) => (typeof one === 'string' ? one : JSON.stringify(one))).join(' or ')}`
  const { min, max } = limit
  if (min === undefined) return `at most ${max}`
  return max === undefined ? `at least ${min}` : `${min} to ${max}`
}
