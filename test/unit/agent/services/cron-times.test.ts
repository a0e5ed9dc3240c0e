/** Instants of cron expressions: time zones, clocks that change, expressions that are none. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseCron } from '../../../../runtime/agent/services/cron-times.ts'

const berlin = 'Europe/Berlin'

function timesOf(expression: string, timeZone = 'UTC') {
  const parsed = parseCron(expression, timeZone)
  if (!parsed.ok) throw new Error(parsed.reason)
  return parsed.times
}

/** The next instants after `from`, as UTC. */
function following(expression: string, timeZone: string, from: string, count: number): string[] {
  const times = timesOf(expression, timeZone)
  const found: string[] = []
  for (let ms = Date.parse(from); found.length < count; ) {
    const next = times.next(ms)
    if (next === undefined) break
    found.push(new Date(next).toISOString().slice(0, 16))
    ms = next
  }
  return found
}

describe('the instants of an expression', () => {
  it.each([
    ['0 7 * * 1-5', berlin, '2026-01-02T07:00:00Z', ['2026-01-05T06:00', '2026-01-06T06:00']],
    ['*/20 * * * *', 'UTC', '2026-01-01T23:41:00Z', ['2026-01-02T00:00', '2026-01-02T00:20']],
    ['0 0 L * *', 'UTC', '2026-02-01T00:00:00Z', ['2026-02-28T00:00', '2026-03-31T00:00']],
    ['0 9 * * 1#2', 'UTC', '2026-01-01T00:00:00Z', ['2026-01-12T09:00', '2026-02-09T09:00']],
    ['0 0 29 2 *', 'UTC', '2026-01-01T00:00:00Z', ['2028-02-29T00:00', '2032-02-29T00:00']],
    ['@daily', 'Asia/Kathmandu', '2026-01-01T00:00:00Z', ['2026-01-01T18:15', '2026-01-02T18:15']],
    ['0 22-2 * * *', 'UTC', '2026-01-01T22:30:00Z', ['2026-01-01T23:00', '2026-01-02T00:00']],
  ])('%s in %s', (expression, timeZone, from, expected) => {
    expect(following(expression, timeZone, from, 2)).toEqual(expected)
  })

  it('goes by seconds where there are six fields', () => {
    expect(timesOf('*/15 * * * * *').next(Date.UTC(2026, 0, 1, 0, 0, 16))).toBe(
      Date.UTC(2026, 0, 1, 0, 0, 30),
    )
  })
})

describe('where clocks are put forward', () => {
  const before = '2026-03-28T23:30:00Z'
  it('a time that is skipped comes an hour later by the clock, once', () => {
    const found = following('30 2 * * *', berlin, before, 2)
    expect(found).toEqual(['2026-03-29T01:30', '2026-03-30T00:30'])
  })
  it('every time of the skipped hour comes', () => {
    const found = following('15,45 2 * * *', berlin, before, 3)
    expect(found).toEqual(['2026-03-29T01:15', '2026-03-29T01:45', '2026-03-30T00:15'])
  })
  it('what comes every hour goes by elapsed time', () => {
    const found = following('0 * * * *', berlin, '2026-03-29T00:00:00Z', 3)
    expect(found).toEqual(['2026-03-29T01:00', '2026-03-29T02:00', '2026-03-29T03:00'])
  })
})

describe('where clocks are put back', () => {
  it('a time that comes twice counts the first time', () => {
    const found = following('30 2 * * *', berlin, '2026-10-24T23:00:00Z', 2)
    expect(found).toEqual(['2026-10-25T00:30', '2026-10-26T01:30'])
  })
  it('what comes every hour comes in both', () => {
    const found = following('*/30 * * * *', berlin, '2026-10-24T23:59:00Z', 5)
    expect(found).toEqual([
      '2026-10-25T00:00',
      '2026-10-25T00:30',
      '2026-10-25T01:00',
      '2026-10-25T01:30',
      '2026-10-25T02:00',
    ])
  })
  it('holds where clocks change by half an hour', () => {
    const found = following('0 * * * *', 'Australia/Lord_Howe', '2026-04-04T14:00:00Z', 2)
    expect(found).toEqual(['2026-04-04T15:30', '2026-04-04T16:30'])
  })
})

describe('the last instant missed', () => {
  it('is the last one not after now', () => {
    const times = timesOf('0 7 * * *')
    expect(times.latest(Date.UTC(2026, 0, 1), Date.UTC(2026, 0, 9, 6))).toBe(Date.UTC(2026, 0, 8, 7))
    expect(times.latest(Date.UTC(2026, 0, 1), Date.UTC(2026, 0, 1, 7))).toBe(Date.UTC(2026, 0, 1, 7))
  })
  it('is none where none was missed', () => {
    expect(timesOf('0 7 * * *').latest(Date.UTC(2026, 0, 1, 7), Date.UTC(2026, 0, 2, 6))).toBeUndefined()
  })
  it('is followed by none before now, whatever the expression and the time', () => {
    const expressions = fc.constantFrom(
      '*/7 * * * *',
      '30 2 * * *',
      '0 0 1 * *',
      '* * * * * *',
      '15 8-9 * * 1',
    )
    const minutes = fc.integer({ min: 0, max: 500_000 })
    fc.assert(
      fc.property(expressions, minutes, minutes, (expression, a, b) => {
        const times = timesOf(expression, berlin)
        const fromMs = Date.UTC(2026, 0, 1) + Math.min(a, b) * 60_000
        const nowMs = Date.UTC(2026, 0, 1) + Math.max(a, b) * 60_000
        const last = times.latest(fromMs, nowMs)
        const next = times.next(last ?? fromMs)
        expect(next).toBeGreaterThan(nowMs)
        if (last !== undefined) expect(last > fromMs && last <= nowMs).toBe(true)
      }),
      { numRuns: 60 },
    )
  })
})

describe('what is no expression is refused in one line', () => {
  it.each([
    ['61 * * * *', 'UTC'],
    ['* * *', 'UTC'],
    ['', 'UTC'],
    ['@reboot', 'UTC'],
    ['0-99999999 * * * *', 'UTC'],
    ['*/0 * * * *', 'UTC'],
    [`0 ${'1,'.repeat(200)}1 * * *`, 'UTC'],
    ['0 7 * * *', 'Europe/Atlantis'],
    ['0 0 31 2 *', 'UTC'],
  ])('%s in %s', (expression, timeZone) => {
    const parsed = parseCron(expression, timeZone)
    expect(parsed).toMatchObject({ ok: false, reason: expect.stringMatching(/^.{5,200}$/) })
  })
})
