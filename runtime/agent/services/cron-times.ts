/**
 * The instants of a cron expression in a time zone. `node-cron` reads the expression and says which days fit; the instants of a
 * day are found here, because its own timers cannot be asked what comes after a given instant.
 *
 * Where clocks change: an expression for every hour goes by elapsed time, so it also comes in the hour that is repeated; any other
 * means times of day, each once a day. A time that the clocks skip comes as long after midnight as it would have without the
 * change (02:30 becomes 03:30), one that they repeat comes the first time (RFC 5545 section 3.3.5).
 */
import cron, { type ParsedFields } from 'node-cron'
import { messageOf } from '../../base/errors.ts'

/** No expression is longer in earnest. */
const charsMax = 200
/** A number of three digits is in no field, and makes a range that fills the memory. */
const outOfEveryField = /\d{3}/
/** The 29th of February comes every four years, but for 2100. */
const daysAheadMax = 8 * 366
/** Longest change of clocks that is looked for around an instant. */
const changeMsMax = 3 * 3_600_000
const daySeconds = 86_400

export type CronParsed =
  | { readonly ok: true; readonly times: CronTimes }
  | { readonly ok: false; readonly reason: string }

/** Reads an expression of five or six fields (seconds first), or a nickname such as `@daily`. */
export function parseCron(expression: string, timeZone: string): CronParsed {
  const refused = (reason: string) => ({ ok: false, reason }) as const
  if (expression.length > charsMax) return refused(`a cron expression has at most ${charsMax} characters`)
  if (outOfEveryField.test(expression))
    return refused('no field of a cron expression takes a number above 59')
  try {
    Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(timeZone)
  } catch {
    return refused(`there is no time zone ${timeZone}`)
  }
  try {
    return { ok: true, times: new CronTimes(cron.parse(expression), timeZone) }
  } catch (error) {
    return refused(messageOf(error))
  }
}

interface TimeOfDay {
  readonly hour: number
  readonly minute: number
  readonly second: number
}

export class CronTimes {
  readonly #timeZone: string
  readonly #hours: readonly number[]
  readonly #minutes: readonly number[]
  readonly #seconds: readonly number[]
  readonly #months: ReadonlySet<number>
  readonly #dayFits: (date: Date) => boolean

  constructor(fields: ParsedFields, timeZone: string) {
    const inOrder = (values: readonly number[]) => [...new Set(values)].sort((a, b) => a - b)
    this.#timeZone = timeZone
    this.#hours = inOrder(fields.hour)
    this.#minutes = inOrder(fields.minute)
    this.#seconds = inOrder(fields.second)
    this.#months = new Set(fields.month)
    const days = [fields.dayOfMonth, fields.month, fields.dayOfWeek].map((values) => values.join(','))
    const task = cron.createTask(`0 0 12 ${days.join(' ')}`, () => {}, { timezone: 'UTC' })
    // It never runs; left in its library's list it would stay for ever.
    void task.destroy()
    this.#dayFits = (date) => task.match(date)
  }

  /** The first instant after `afterMs`; undefined where none comes for eight years. */
  next(afterMs: number): number | undefined {
    return this.#hours.length === 24 ? this.#nextElapsed(afterMs) : this.#nextOfDay(afterMs)
  }

  /** The last instant after `afterMs` and not after `nowMs`; undefined where there is none. */
  latest(afterMs: number, nowMs: number): number | undefined {
    let found = this.next(afterMs)
    if (found === undefined || found > nowMs) return undefined
    // Whether another comes before `nowMs` is true up to the last but one and false from there: halved until nothing is left.
    for (let tooLate = nowMs; tooLate - found > 1_000; ) {
      const middle = found + Math.floor((tooLate - found) / 2)
      const after = this.next(middle)
      if (after === undefined || after > nowMs) tooLate = middle
      else found = after
    }
    const last = this.next(found)
    return last !== undefined && last <= nowMs ? last : found
  }

  /** Every hour: goes through instants, so an hour that comes twice is gone through twice. */
  #nextElapsed(afterMs: number): number | undefined {
    let at = this.#zoned((Math.floor(afterMs / 1_000) + 1) * 1_000)
    const last = at.add({ days: daysAheadMax })
    while (Temporal.ZonedDateTime.compare(at, last) < 0) {
      if (!this.#fits(at.toPlainDate())) {
        at = at.toPlainDate().add({ days: 1 }).toZonedDateTime(this.#timeZone)
        continue
      }
      const wanted = this.#inHour(at.minute, at.second)
      const reached = wanted
        ? at.add({ seconds: (wanted.minute - at.minute) * 60 + wanted.second - at.second })
        : at.add({ seconds: 3_600 - at.minute * 60 - at.second })
      // Clocks may change within the hour: then what was reached is another time, to go on from.
      if (wanted && reached.minute === wanted.minute && reached.second === wanted.second)
        return reached.epochMilliseconds
      at = reached
    }
    return undefined
  }

  #inHour(minute: number, second: number): { minute: number; second: number } | undefined {
    const here = this.#minutes.includes(minute) ? this.#seconds.find((value) => value >= second) : undefined
    if (here !== undefined) return { minute, second: here }
    const later = this.#minutes.find((value) => value > minute)
    return later === undefined ? undefined : { minute: later, second: this.#seconds[0] ?? 0 }
  }

  /** Times of day: goes through days and their times. */
  #nextOfDay(afterMs: number): number | undefined {
    const after = this.#zoned(afterMs)
    // What the clocks skipped comes later than its own time says.
    const changes = this.#offset(afterMs - changeMsMax) !== this.#offset(afterMs + changeMsMax)
    let from = changes ? 0 : after.hour * 3_600 + after.minute * 60 + after.second
    let date = after.toPlainDate()
    for (let day = 0; day <= daysAheadMax; day += 1) {
      if (this.#fits(date)) {
        for (let time = this.#ofDay(from); time; time = this.#ofDay(secondOf(time) + 1)) {
          const at = date.toZonedDateTime({
            timeZone: this.#timeZone,
            plainTime: Temporal.PlainTime.from(time),
          })
          if (at.epochMilliseconds > afterMs) return at.epochMilliseconds
        }
      }
      date = date.add({ days: 1 })
      from = 0
    }
    return undefined
  }

  /** The first time of day not before second `from`. */
  #ofDay(from: number): TimeOfDay | undefined {
    if (from >= daySeconds) return undefined
    const hour = Math.floor(from / 3_600)
    const within = this.#hours.includes(hour)
      ? this.#inHour(Math.floor((from % 3_600) / 60), from % 60)
      : undefined
    if (within) return { hour, ...within }
    const later = this.#hours.find((value) => value > hour)
    if (later === undefined) return undefined
    return { hour: later, minute: this.#minutes[0] ?? 0, second: this.#seconds[0] ?? 0 }
  }

  #fits({ year, month, day }: Temporal.PlainDate): boolean {
    return this.#months.has(month) && this.#dayFits(new Date(Date.UTC(year, month - 1, day, 12)))
  }

  #zoned(ms: number): Temporal.ZonedDateTime {
    return Temporal.Instant.fromEpochMilliseconds(Math.floor(ms)).toZonedDateTimeISO(this.#timeZone)
  }

  #offset(ms: number): number {
    return this.#zoned(ms).offsetNanoseconds
  }
}

const secondOf = ({ hour, minute, second }: TimeOfDay) => hour * 3_600 + minute * 60 + second
