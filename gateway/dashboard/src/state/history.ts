/** What numeric sensors reported while this page was open: a bounded ring a sensor, oldest dropped. */
import { type Signal, signal } from '@preact/signals'
import { type EntityView, keyOf, reading } from '../entity.ts'

/** Enough for a sparkline 240 pixels wide; 500 sensors of it are about 2 MB. */
const pointsMax = 240

/** Times in seconds (as uPlot wants them) and values, oldest first. */
export interface Series {
  readonly times: readonly number[]
  readonly values: readonly number[]
}

const empty: Series = { times: [], values: [] }
const series = new Map<string, Signal<Series>>()

export function historyOf(key: string): Signal<Series> {
  const known = series.get(key)
  if (known) return known
  const created = signal(empty)
  series.set(key, created)
  return created
}

/** Keeps a numeric report; the same measurement told twice counts once. */
export function remember(entity: EntityView): void {
  const value = reading(entity)
  if (value === undefined || !entity.available || entity.ts === undefined) return
  const history = historyOf(keyOf(entity))
  const { times, values } = history.peek()
  const time = entity.ts / 1000
  if (time <= (times.at(-1) ?? 0)) return
  history.value = {
    times: [...times.slice(-(pointsMax - 1)), time],
    values: [...values.slice(-(pointsMax - 1)), value],
  }
}
