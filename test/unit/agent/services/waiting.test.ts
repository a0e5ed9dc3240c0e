/** Services that wait: what counts as time, what a restart changes, what is told and what is not. */
import { describe, expect, it } from 'vitest'
import { cronService } from '../../../../runtime/agent/services/cron.service.ts'
import { sleepService } from '../../../../runtime/agent/services/sleep.service.ts'
import type { Clock } from '../../../../runtime/base/clock.ts'
import { VirtualClock } from '../../../../runtime/base/clock.ts'
import { openServices } from './home-services.ts'
import { perform } from './performed.ts'

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour
const settled = () => new Promise((resolve) => setImmediate(resolve))

/** A clock whose wall can be set. */
class SetClock implements Clock {
  readonly virtual = new VirtualClock({ startMs: Date.UTC(2026, 0, 1, 12) })
  setByMs = 0
  nowMs = () => this.virtual.nowMs() + this.setByMs
  monotonicMs = () => this.virtual.monotonicMs()
  after: Clock['after'] = (ms, fn) => this.virtual.after(ms, fn)
  random = () => this.virtual.random()
  newId = () => this.virtual.newId()

  /** Time goes by, in steps, so that what waits in many steps comes along. */
  async pass(ms: number, stepMs = 30_000): Promise<void> {
    for (let left = ms; left > 0; left -= stepMs) {
      this.virtual.advance(Math.min(left, stepMs))
      await settled()
    }
  }
}

async function ended(outcome: Promise<unknown>): Promise<boolean> {
  let done = false
  void outcome.then(() => {
    done = true
  })
  await settled()
  return done
}

describe('sleep [services-6]', () => {
  const asleep = (clock: SetClock, ms: number, askedMs = clock.nowMs(), resumed = false) =>
    perform([sleepService({ clock })], 'sleep', { args: { atMs: askedMs + ms }, askedMs, resumed }).outcome

  it('lasts as long as was asked', async () => {
    const clock = new SetClock()
    const outcome = asleep(clock, 5 * minute)
    await clock.pass(5 * minute - 1)
    expect(await ended(outcome)).toBe(false)
    await clock.pass(1)
    expect(await outcome).toEqual({ ok: true })
  })

  it('is over at once where its instant is past', async () => {
    const clock = new SetClock()
    expect(await asleep(clock, -day)).toEqual({ ok: true })
  })

  it('is not ended by a wall clock that is set forward, nor lengthened by one set back a day', async () => {
    for (const setByMs of [day, -day]) {
      const clock = new SetClock()
      const outcome = asleep(clock, 5 * minute)
      await settled()
      clock.setByMs = setByMs
      await clock.pass(5 * minute - 1)
      expect(await ended(outcome)).toBe(false)
      await clock.pass(1)
      expect(await outcome).toEqual({ ok: true })
    }
  })

  it('has what is left to go after a restart', async () => {
    const clock = new SetClock()
    const outcome = asleep(clock, 5 * minute, clock.nowMs() - 3 * minute, true)
    await clock.pass(2 * minute - 1)
    expect(await ended(outcome)).toBe(false)
    await clock.pass(1)
    expect(await outcome).toEqual({ ok: true })
  })

  it('lasts no longer than was asked after a restart with the clock set back a day', async () => {
    const clock = new SetClock()
    const outcome = asleep(clock, 5 * minute, clock.nowMs() + day, true)
    await clock.pass(5 * minute)
    expect(await outcome).toEqual({ ok: true })
  })

  it('lasts two months', async () => {
    const clock = new SetClock()
    const outcome = asleep(clock, 60 * day)
    await clock.pass(60 * day - 1, day)
    expect(await ended(outcome)).toBe(false)
    await clock.pass(1)
    expect(await outcome).toEqual({ ok: true })
  })
})

describe('cron [services-7]', () => {
  function every(clock: SetClock, cron: string, askedMs = clock.nowMs(), resumed = false) {
    const services = [cronService({ clock, timeZone: 'UTC' })]
    const asked = perform(services, 'cron', { args: { cron }, askedMs, resumed })
    const times = () =>
      asked.items.map((item) => new Date((item as { atMs: number }).atMs).toISOString().slice(5, 16))
    return { ...asked, times }
  }

  it('tells each instant once, none before its time', async () => {
    const clock = new SetClock()
    const { times, cancel, outcome } = every(clock, '*/10 * * * *')
    await clock.pass(10 * minute - 1)
    expect(times()).toEqual([])
    await clock.pass(21 * minute)
    expect(times()).toEqual(['01-01T12:10', '01-01T12:20', '01-01T12:30'])
    cancel()
    expect(await outcome).toMatchObject({ ok: false, error: { code: 'cancelled' } })
  })

  it('tells the last of those missed while the device was off, once', async () => {
    const clock = new SetClock()
    const { times, cancel } = every(clock, '0 7 * * *', clock.nowMs() - 3 * day, true)
    await clock.pass(minute)
    expect(times()).toEqual(['01-01T07:00'])
    await clock.pass(day)
    expect(times()).toEqual(['01-01T07:00', '01-02T07:00'])
    cancel()
  })

  it('tells what a clock set forward has jumped over once', async () => {
    const clock = new SetClock()
    const { times, cancel } = every(clock, '0 * * * *')
    await clock.pass(minute)
    clock.setByMs = 5 * hour
    await clock.pass(minute)
    expect(times()).toEqual(['01-01T17:00'])
    cancel()
  })

  it('tells nothing twice when the clock is set back two hours', async () => {
    const clock = new SetClock()
    const { times, cancel } = every(clock, '0 * * * *')
    await clock.pass(hour)
    clock.setByMs = -2 * hour
    await clock.pass(2 * hour + minute)
    expect(times()).toEqual(['01-01T13:00'])
    await clock.pass(hour)
    expect(times()).toEqual(['01-01T13:00', '01-01T14:00'])
    cancel()
  })

  it('begun by an agent whose clock is ahead goes by the wall clock', async () => {
    const clock = new SetClock()
    const { times, cancel } = every(clock, '0 * * * *', clock.nowMs() + 2 * hour)
    await clock.pass(hour)
    expect(times()).toEqual(['01-01T13:00'])
    cancel()
  })

  it('takes the new time at once when the clock is set back a day', async () => {
    const clock = new SetClock()
    const { times, cancel } = every(clock, '0 * * * *')
    await clock.pass(hour)
    clock.setByMs = -day
    await clock.pass(hour + minute)
    expect(times()).toEqual(['01-01T13:00', '12-31T14:00'])
    cancel()
  })
})

describe('on [services-8]', () => {
  it('gives one item a change, with its area and the state before', async () => {
    const { ask, sim } = await openServices()
    const { items, cancel } = ask('on', { args: { pattern: 'light.*', filter: {} } })
    sim.set('light.hall', { state: 'on' })
    sim.set('light.hall', { state: 'on' })
    sim.set('light.hall', { attributes: { brightness: 7 } })
    sim.set('switch.pump', { state: 'on' })
    expect(items).toMatchObject([
      { entity: 'light.hall', state: 'on', from: 'off', area: 'hall' },
      { entity: 'light.hall', state: 'on', from: 'on', attributes: { brightness: 7 } },
    ])
    cancel()
    sim.set('light.hall', { state: 'off' })
    expect(items).toHaveLength(2)
  })

  it.each([
    [{ to: 'on' }, ['on']],
    [{ to: ['on', 'unavailable'] }, ['on']],
    [{ from: 'on' }, ['off']],
    [{ from: 'off', to: 'off' }, []],
    [{ area: 'hall' }, ['on', 'on', 'off']],
    [{ area: 'garage' }, []],
  ])('lets through what fits %j', async (filter, states) => {
    const { ask, sim } = await openServices()
    const { items } = ask('on', { args: { pattern: '*.hall', filter } })
    sim.set('light.hall', { state: 'on' })
    sim.set('light.hall', { attributes: { brightness: 7 } })
    sim.set('light.hall', { state: 'off' })
    expect(items.map((item) => (item as { state: string }).state)).toEqual(states)
  })

  it('a star stands for any characters but a dot', async () => {
    const { ask, clock } = await openServices()
    const ids = async (pattern: string) => clock.run(() => ask('entities', { args: { pattern } }).outcome)
    expect(await ids('c*.*')).toEqual({ ok: true, value: ['climate.hall', 'cover.blind', 'cover.garage'] })
    expect(await ids('*l*.h*a*l*')).toEqual({ ok: true, value: ['climate.hall', 'light.hall'] })
    expect(await ids('*')).toEqual({ ok: true, value: [] })
    expect(await ids('.*')).toEqual({ ok: true, value: [] })
  })

  it('a pattern of many stars is answered as quickly as any', async () => {
    const { ask, clock } = await openServices()
    const pattern = `light.${'*a'.repeat(120)}`
    expect(await clock.run(() => ask('entities', { args: { pattern } }).outcome)).toEqual({
      ok: true,
      value: [],
    })
  })
})

describe('until', () => {
  const args = (nowMs: number) => ({ entity: 'light.hall', filter: { to: 'on' }, deadlineMs: nowMs + minute })

  it('resolves with the first report that fits', async () => {
    const { ask, sim, clock } = await openServices()
    const { outcome } = ask('until', { args: args(clock.nowMs()) })
    sim.set('light.hall', { attributes: { brightness: 3 } })
    sim.set('light.hall', { state: 'on' })
    expect(await outcome).toMatchObject({
      ok: true,
      value: { entity: 'light.hall', state: 'on', from: 'off' },
    })
  })

  it('throws `timeout` when none comes', async () => {
    const { ask, clock } = await openServices()
    const beganMs = clock.nowMs()
    const { outcome } = ask('until', { args: args(beganMs) })
    expect(await clock.run(() => outcome)).toMatchObject({ ok: false, error: { code: 'timeout' } })
    expect(clock.nowMs() - beganMs).toBe(minute)
  })

  it('is content after a restart with what is so by then', async () => {
    const { ask, sim, clock } = await openServices()
    sim.set('light.hall', { state: 'on' })
    const { outcome } = ask('until', { args: args(clock.nowMs()), resumed: true })
    expect(await outcome).toMatchObject({ ok: true, value: { state: 'on' } })
  })

  it('and `read` know what there is', async () => {
    const { ask, clock } = await openServices()
    const missing = { entity: 'light.attic' }
    const read = await clock.run(() => ask('read', { args: missing }).outcome)
    const until = await clock.run(() => ask('until', { args: { ...missing, filter: {} } }).outcome)
    for (const outcome of [read, until])
      expect(outcome).toMatchObject({ ok: false, error: { code: 'not-found' } })
    expect(await ask('read', { args: { entity: 'light.hall' } }).outcome).toMatchObject({
      ok: true,
      value: { entity: 'light.hall', state: 'off', area: 'hall', attributes: { brightness: 100 } },
    })
  })
})
