/** What the comfort agent learns of when people are in a room, weeks in a moment: the clock is faked. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Habits } from '../../../runtime/agents/habits.ts'

const [minuteMs, hourMs] = [60_000, 3_600_000]
const dayMs = 24 * hourMs
const monday = Date.UTC(2026, 0, 12)
const everyMs = 5 * minuteMs
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: monday })
})
afterEach(() => vi.useRealTimers())

/** Somebody is there from six to nine in the evening, as far as the sensor says. */
function live(
  habits: Habits,
  days: number,
  says = (atHour: number): string => (atHour >= 18 && atHour < 21 ? 'on' : 'off'),
) {
  const fromMs = Date.now()
  for (let atMs = fromMs; atMs < fromMs + days * dayMs; atMs += everyMs) {
    vi.setSystemTime(atMs)
    habits.look(says((atMs % dayMs) / hourMs), everyMs)
  }
  vi.setSystemTime(fromMs + days * dayMs)
}
const hours = () => {
  const midnightMs = Date.now()
  return (habits: Habits) =>
    Array.from({ length: 24 }, (_, hour) => hour).filter((hour) => {
      vi.setSystemTime(midnightMs + hour * hourMs)
      return habits.comes(0)
    })
}

test('the hours at which somebody is there are learned in two weeks', () => {
  const habits = new Habits()
  expect(habits.comes(0)).toBe(true)
  live(habits, 14)
  expect(hours()(habits)).toEqual([18, 19, 20])
})

test('of a sensor that is silent nothing is learned, and somebody is there when somebody usually is [comfort-7]', () => {
  const habits = new Habits()
  live(habits, 14)
  const occupied: number[] = []
  live(habits, 14, (atHour) => {
    if (habits.occupied) occupied.push(atHour)
    return 'unavailable'
  })
  expect(habits.known).toBe(false)
  expect(Math.min(...occupied)).toBeGreaterThanOrEqual(18)
  expect(Math.max(...occupied)).toBeLessThanOrEqual(21)
  expect(occupied.length).toBe((14 * 3 * hourMs) / everyMs)
  expect(hours()(habits)).toEqual([18, 19, 20])
})

test('what was learned is kept, and is what another begins with', () => {
  const habits = new Habits()
  live(habits, 14)
  const next = new Habits(JSON.parse(JSON.stringify(habits.learned)))
  expect(hours()(next)).toEqual([18, 19, 20])
})
