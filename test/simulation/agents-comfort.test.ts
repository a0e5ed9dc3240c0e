/** The shipped agent `comfort` on three devices of one simulated home, in virtual time: the heat pump is one room's at a time. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { askService } from '../../runtime/agent/permissions/ask.service.ts'
import { ComfortHome, ComfortSite, type RoomName, rooms } from '../fixtures/agent/comfort-site.ts'

const [minuteMs, hourMs] = [60_000, 3_600_000]
let site: ComfortSite
beforeEach(async () => {
  site = await ComfortSite.open({ startMs: Date.UTC(2026, 0, 12, 5), seed: 1 })
})
afterEach(() => site[Symbol.dispose]())

const warm = (room: RoomName) => site.heated.temperatureOf(room) ?? Number.NaN
const isOn = (id: string) => !['off', 'closed'].includes(site.state(id))

/** Lets time pass, and looks every few seconds how many rooms the pump serves. */
function pass(ms: number, look: () => void = () => {}): void {
  for (let passedMs = 0; passedMs < ms; passedMs += 5_000) {
    site.clock.advance(5_000)
    expect(site.openValves.length).toBeLessThanOrEqual(1)
    look()
  }
}

test('rooms get warm one after the other, and no two ever command the pump under one lease [comfort-1]', () => {
  const served = new Set<RoomName>()
  pass(4 * hourMs, () => {
    for (const room of site.openValves) served.add(room)
  })
  expect([...served].toSorted()).toEqual(rooms.toSorted())
  for (const room of rooms) expect(warm(room)).toBeGreaterThan(18.5)
  const holderOf = new Map<number, RoomName>()
  let last = 0
  for (const { from, token = Number.NaN } of site.pumpCommands) {
    expect(token).toBeGreaterThanOrEqual(last)
    expect(holderOf.get(token) ?? from).toBe(from)
    holderOf.set(token, from)
    last = token
  }
  expect(holderOf.size).toBeGreaterThan(2)
})

test('a power cut in the middle leaves nothing running, the others go on, and who comes back joins them [comfort-2]', async () => {
  // The pump is the first device's: it serves another, which dies.
  const others = rooms.slice(1)
  for (let at = 0; at < 100 && !site.openValves.some((room) => others.includes(room)); at += 1) pass(minuteMs)
  const [victim] = site.openValves as [RoomName]
  site.cutPower(victim)
  const before = { commands: site.pumpCommands.length, atMs: site.clock.nowMs(), tempC: warm(victim) }
  expect(site.openValves).toEqual([])
  pass(2 * hourMs, () => expect(site.openValves).not.toContain(victim))
  const since = site.pumpCommands.slice(before.commands)
  expect(since.length).toBeGreaterThan(0)
  expect(since.map(({ from }) => from)).not.toContain(victim)
  const decided = site.decisions.filter(({ atMs, decided }) => atMs > before.atMs && decided)
  expect(decided.length).toBeGreaterThan(20)
  expect(warm(victim)).toBeLessThan(before.tempC)

  const cold = warm(victim)
  await site.powerBack(victim)
  pass(3 * hourMs)
  expect(site.decisions.at(-1)?.bidders.toSorted()).toEqual(rooms.toSorted())
  expect(site.pumpCommands.slice(before.commands).map(({ from }) => from)).toContain(victim)
  expect(warm(victim)).toBeGreaterThan(cold)
})

test('without more than half of the home nothing runs, nothing freezes, and it says why [comfort-3]', () => {
  pass(30 * minuteMs)
  for (const room of rooms) site.part(room)
  // What was held ends with its round.
  pass(7 * minuteMs)
  const after = site.pumpCommands.length
  site.home.control.set('sensor.office_temperature', { state: '5.5' })
  pass(2 * hourMs, () => {
    expect(site.openValves).toEqual([])
    expect(site.heated.compressor.running).toBeUndefined()
  })
  expect(
    site.pumpCommands.slice(after).filter(({ command }) => JSON.stringify(command) !== '{"hvac_mode":"off"}'),
  ).toEqual([])
  expect(site.logOf('office').join('\n')).toMatch(
    /no one may run the heat pump: no quorum: 1 of 3 devices took part, 2 are needed\. Until then: valves closed, 7 °C at least/,
  )
  expect(warm('office')).toBeGreaterThan(6)
  expect(site.heated.usage.heaterKwh).toBeGreaterThan(0.1)
  expect(isOn('switch.bedroom_heater')).toBe(false)

  for (const room of rooms) site.join(room)
  pass(hourMs)
  expect(site.openValves).toHaveLength(1)
})

test('a heater that is not there, or fails, keeps no room from the heat pump [comfort-8]', () => {
  pass(30 * minuteMs)
  site.revoke('office', 'command', 'switch.office_heater')
  site.home.control.set('sensor.office_temperature', { state: '5.5' })
  pass(3 * hourMs)
  expect(warm('office')).toBeGreaterThan(8)
  const said = site.logOf('office').filter((line) => line.includes('keeps office from freezing'))
  expect(said).toHaveLength(1)
})

test('a valve that cannot be closed ends no round, and is told of once [comfort-8]', () => {
  site.home.control.set('sensor.office_temperature', { state: '22' })
  for (let at = 0; at < 20 || site.openValves.includes('office'); at += 1) pass(minuteMs)
  site.revoke('office', 'read', 'valve.office_heating')
  const before = site.logOf('office').length
  pass(hourMs / 2)
  const said = site.logOf('office').slice(before)
  expect(said.filter((line) => line.includes('the valve of office may be open'))).toHaveLength(1)
  expect(said.filter((line) => line.includes('nothing could be decided'))).toEqual([])
})

test('a holder that is cut off is followed by one with a higher token, which the pump goes by [comfort-1]', () => {
  for (let at = 0; at < 200 && site.openValves.every((room) => room === 'living_room'); at += 1)
    pass(minuteMs)
  const [holder] = site.openValves as [RoomName]
  site.part(holder)
  pass(30 * minuteMs)
  const tokens = new Map(site.pumpCommands.map(({ from, token = 0 }) => [from, token]))
  const later = Math.max(...rooms.filter((room) => room !== holder).map((room) => tokens.get(room) ?? 0))
  expect(later).toBeGreaterThan(tokens.get(holder) ?? Number.POSITIVE_INFINITY)
})

/** Until the pump serves a room of one of these. */
function untilServed(among: readonly RoomName[]): RoomName {
  for (let at = 0; at < 100 && !site.openValves.some((room) => among.includes(room)); at += 1) pass(minuteMs)
  const [room] = site.openValves as [RoomName]
  return room
}

test('what an agent turned on that was stopped while the pump ran goes back, and the others go on [comfort-4]', () => {
  const victim = untilServed(rooms.slice(1))
  site.stop(victim)
  // The valve is open for as long as was said; two may be for a moment.
  for (let passedMs = 0; passedMs < 7 * minuteMs; passedMs += 5_000) site.clock.advance(5_000)
  expect(site.openValves).not.toContain(victim)
  const others = new Set<RoomName>()
  pass(2 * hourMs, () => {
    for (const room of site.openValves) others.add(room)
  })
  expect([...others].toSorted()).toEqual(rooms.filter((room) => room !== victim).toSorted())
})

test('nothing runs on when all agents are stopped: the valve is shut, the pump off, the heater cold [comfort-4]', () => {
  site.home.control.set('sensor.office_temperature', { state: '5.0' })
  untilServed(rooms)
  expect(isOn('climate.heat_pump')).toBe(true)
  expect(isOn('switch.office_heater')).toBe(true)
  for (const room of rooms) site.stop(room)
  for (let passedMs = 0; passedMs < 7 * minuteMs; passedMs += 5_000) site.clock.advance(5_000)
  expect(site.openValves).toEqual([])
  expect(isOn('climate.heat_pump')).toBe(false)
  expect(isOn('switch.office_heater')).toBe(false)
  // The compressor has its least time to run.
  for (let passedMs = 0; passedMs < 10 * minuteMs; passedMs += 5_000) site.clock.advance(5_000)
  expect(site.heated.compressor.running).toBeUndefined()
})

test('who may command no more says so, and what it had opened is shut [comfort-4]', () => {
  const victim = untilServed(rooms.slice(1))
  site.revoke(victim, 'command')
  for (let passedMs = 0; passedMs < 7 * minuteMs; passedMs += 5_000) site.clock.advance(5_000)
  expect(site.openValves).not.toContain(victim)
  expect(site.logOf(victim).join('\n')).toContain('nobody has allowed it to command')
})

test('who may look no more says so, and goes by no guess: what it had opened is shut [comfort-4]', () => {
  const victim = untilServed(rooms.slice(1))
  site.revoke(victim, 'read', `sensor.${victim}_temperature`)
  for (let passedMs = 0; passedMs < 12 * minuteMs; passedMs += 5_000) site.clock.advance(5_000)
  expect(site.openValves).not.toContain(victim)
  expect(site.logOf(victim).join('\n')).toContain('nobody has allowed it to read')
})

test('on a hot day rooms where somebody is are cooled, and nothing heats [comfort-1] [comfort-5]', async () => {
  site[Symbol.dispose]()
  const afternoon = { startMs: Date.UTC(2026, 6, 16, 16), seed: 6, insideC: 27.5 }
  site = await ComfortSite.open(afternoon)
  const unheeded = new ComfortHome(afternoon)
  const modes = new Set<string>()
  pass(5 * hourMs, () => modes.add(site.heated.compressor.running ?? 'off'))
  expect([...modes].toSorted()).toEqual(['cool', 'off'])
  expect(site.state('binary_sensor.living_room_occupancy')).toBe('on')
  expect(warm('living_room')).toBeLessThan(26.2)
  unheeded.clock.advance(5 * hourMs)
  expect(unheeded.heated.temperatureOf('living_room')).toBeGreaterThan(26.5)
  await unheeded.heated[Symbol.asyncDispose]()
})

/** What it came to in rooms meanwhile, °C. */
function extremes(ms: number, ...of: readonly RoomName[]) {
  let [coldest, warmest] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (let passedMs = 0; passedMs < ms; passedMs += 10 * minuteMs) {
    site.clock.advance(10 * minuteMs)
    coldest = Math.min(coldest, ...of.map(warm))
    warmest = Math.max(warmest, ...of.map(warm))
  }
  return { coldest, warmest }
}
const dayMs = 24 * hourMs

test.each([
  [
    'stuck at a warm room',
    { kind: 'lying', telemetry: { state: '21.9' } },
    /office shows 21\.9 °C, which cannot be/,
  ],
  [
    'stuck at a cold one',
    { kind: 'lying', telemetry: { state: '12.0' } },
    /office shows 12 °C, which cannot be/,
  ],
  ['silent', { kind: 'offline' }, /office says nothing/],
] as const)(
  'a room whose thermometer is %s is neither left cold nor overheated, and people are told [comfort-6]',
  async (_, fault, told) => {
    extremes(dayMs)
    expect(site.logOf('office').join('\n')).not.toContain('thermometer')
    const thermometer = 'sensor.office_temperature'
    site.home.control.fault(thermometer, fault)
    const { coldest, warmest } = extremes(2 * dayMs, 'office')
    expect(coldest).toBeGreaterThan(15)
    expect(warmest).toBeLessThan(25)
    expect(site.asked.map(({ words }) => words)).toEqual([expect.stringMatching(told)])
    // As a device takes it.
    const asking = askService({ clock: site.clock, approvals: { ask: async () => ({ state: 'expired' }) } })
    for (const { args } of site.asked)
      expect(await asking.refuses?.({ op: 'ask', args }, AbortSignal.abort())).toBeUndefined()

    site.home.control.fault(thermometer, undefined)
    pass(15 * minuteMs)
    expect(site.logOf('office').join('\n')).toContain('the thermometer of office is believed again')
  },
)

test('a room that got cold while the power was away is no broken thermometer [comfort-2] [comfort-6]', async () => {
  extremes(6 * hourMs)
  const before = warm('office')
  site.cutPower('office')
  extremes(12 * hourMs)
  expect(warm('office')).toBeLessThan(before - 3.5)
  await site.powerBack('office')
  extremes(hourMs)
  expect(site.logOf('office').join('\n')).not.toContain('thermometer')
  expect(site.asked).toEqual([])
})

test('of a thermometer that jumps to and fro people are told once, not each time [comfort-6]', () => {
  extremes(6 * hourMs)
  for (let jump = 0; jump < 12; jump += 1) {
    const state = jump % 2 ? '21.0' : '60.0'
    site.home.control.fault('sensor.office_temperature', { kind: 'lying', telemetry: { state } })
    extremes(10 * minuteMs)
  }
  expect(site.asked.map(({ from }) => from)).toEqual(['office'])
})

test('without a quorum nothing freezes behind a thermometer that is stuck or silent [comfort-3] [comfort-6]', () => {
  site.home.control.fault('sensor.office_temperature', { kind: 'lying', telemetry: { state: '18.0' } })
  site.home.control.fault('sensor.bedroom_temperature', { kind: 'offline' })
  for (const room of rooms) site.part(room)
  const { coldest, warmest } = extremes(3 * dayMs, 'office', 'bedroom')
  expect(coldest).toBeGreaterThan(4)
  expect(warmest).toBeLessThan(20)
})

test('a room whose occupancy sensor is silent is kept as at its usual hours, which its log says once [comfort-7]', () => {
  const unknown = /nothing tells whether somebody is there: (\w+) is kept as at its usual hours/
  const told = (room: RoomName) => site.logOf(room).filter((line) => unknown.test(line)).length
  extremes(11 * hourMs)
  // It is afternoon, and nobody is in either.
  site.home.control.fault('binary_sensor.living_room_occupancy', { kind: 'offline' })
  site.fallsSilent('binary_sensor.bedroom_occupancy')
  expect(site.shown('binary_sensor.bedroom_occupancy').state).toBe('off')
  extremes(24 * hourMs)
  expect([told('living_room'), told('bedroom'), told('office')]).toEqual([1, 0, 0])
  // What was said last was a day ago.
  extremes(5 * hourMs)
  expect([told('living_room'), told('bedroom')]).toEqual([1, 1])
  expect(warm('living_room')).toBeGreaterThan(20)
  site.home.control.fault('binary_sensor.living_room_occupancy', undefined)
  pass(10 * minuteMs)
  expect(site.logOf('living_room').join('\n')).toContain('somebody is there is known again: living_room')
})
