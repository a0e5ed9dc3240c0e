/**
 * Nights of walking in a simulated home: the night watch, and the plain automation that most homes have, light on at a move and off when it
 * has been still for five minutes. Such a wait is gone when the power goes, or the hub is started anew, as that of Home Assistant's
 * triggers (`for:`, "will not survive a restart") and of motion sensors' own scripts: the light burns until somebody walks there again.
 */
import { readFileSync } from 'node:fs'
import { firstHomeUrl } from '../../hal/index.ts'
import { VirtualClock } from '../../runtime/base/clock.ts'
import { AgentHouse } from '../fixtures/agent/agent-house.ts'

const second = 1_000
const minute = 60 * second
const hour = 60 * minute
/** What is counted of a day: from half past eight in the evening. */
const nightMs = 12 * hour
const stillMs = 5 * minute
const walksPerNight = 10

const yaml = `${readFileSync(firstHomeUrl, 'utf8')}
  - { id: binary_sensor.bedroom_motion, name: Bedroom Motion, area: bedroom, state: 'off', attributes: { device_class: motion } }
`
const lightsOf: Readonly<Record<string, readonly string[]>> = {
  hallway: ['light.hallway'],
  bedroom: ['light.bedroom_ceiling', 'light.bedside_lamp'],
}
const motionIn = (room: string) => `binary_sensor.${room}_motion`
/** Somebody reads by it from ten to eleven. */
const readingLamp = 'light.bedside_lamp'

interface Event {
  readonly atMs: number
  readonly what: 'walk' | 'still' | 'look' | 'cut' | 'back' | 'read' | 'sleep'
  readonly room: string
}
type Span = readonly [fromMs: number, toMs: number]

export interface Nights {
  /** Minutes of light that nobody walked by, a night. */
  readonly wastedMinutes: number
  /** Minutes that somebody read by a lamp that was off, a night. */
  readonly missingMinutes: number
  readonly walks: number
  /** Walks, with the power on, that no light was on for two seconds later. */
  readonly missed: number
  /** Times that the lamp of somebody who read by it was turned off. */
  readonly takenAway: number
}

export interface Asked {
  readonly nights: number
  readonly seed: number
  /** Power cuts while a light waits for stillness. */
  readonly cutsPerNight: number
}

export async function nightsOf(who: 'agent' | 'automation', asked: Asked): Promise<Nights> {
  const { nights } = asked
  const startMs = Date.UTC(2026, 0, 10, 20, 30)
  await using house = await AgentHouse.open({ yaml, startMs })
  if (who === 'agent') await house.begin('night-watch')
  const automation = who === 'automation' ? new Automation(house) : undefined
  const events = eventsOf(startMs, asked)
  const lit = litSpans(house)
  const needed = new Map<string, Span[]>()
  const walking = new Map<string, number>()
  const counts = { walks: 0, missed: 0, takenAway: 0 }
  let isDark = false
  const readingFrom: number[] = []
  const reading: Span[] = []
  for (const { atMs, what, room } of events) {
    await house.passTo(atMs)
    if (what === 'walk') {
      walking.set(room, atMs)
      house.home.sim.set(motionIn(room), { state: 'on' })
    } else if (what === 'still') {
      house.home.sim.set(motionIn(room), { state: 'off' })
      needed.set(room, [...(needed.get(room) ?? []), [walking.get(room) ?? atMs, atMs + stillMs + second]])
    } else if (what === 'look' && !isDark) {
      counts.walks += 1
      if (!lightsOf[room]?.some((id) => house.state(id) === 'on')) counts.missed += 1
    } else if (what === 'cut') {
      isDark = true
      automation?.cut()
      if (who === 'agent') await house.cutPower()
    } else if (what === 'back') {
      isDark = false
      automation?.back()
      if (who === 'agent') await house.powerBack()
    } else if (what === 'read') {
      readingFrom.push(atMs)
      house.home.sim.set(readingLamp, { state: 'on' })
    } else if (what === 'sleep') {
      if (house.state(readingLamp) !== 'on') counts.takenAway += 1
      reading.push([readingFrom.pop() ?? atMs, atMs])
      house.home.sim.set(readingLamp, { state: 'off' })
    }
  }
  let [wastedMs, readMs] = [0, 0]
  for (const [room, lights] of Object.entries(lightsOf))
    for (const light of lights) {
      const wanted = [...(needed.get(room) ?? []), ...(light === readingLamp ? reading : [])]
      for (const span of lit(light)) {
        if (light === readingLamp) readMs += overlap(span, reading)
        for (let night = 0; night < nights; night += 1) {
          const [from, to] = [startMs + night * 24 * hour, startMs + night * 24 * hour + nightMs]
          const burned: Span = [Math.max(span[0], from), Math.min(span[1], to)]
          if (burned[1] > burned[0]) wastedMs += burned[1] - burned[0] - overlap(burned, wanted)
        }
      }
    }
  const missingMs = reading.reduce((sum, [from, to]) => sum + to - from, 0) - readMs
  return { ...counts, wastedMinutes: wastedMs / minute / nights, missingMinutes: missingMs / minute / nights }
}

function eventsOf(startMs: number, { nights, seed, cutsPerNight }: Asked): Event[] {
  const random = new VirtualClock({ seed })
  const events: Event[] = []
  for (let night = 0; night < nights; night += 1) {
    const eveningMs = startMs + night * 24 * hour
    const event = (atMs: number, what: Event['what'], room = '') => events.push({ atMs, what, room })
    event(eveningMs + 1.5 * hour, 'read')
    event(eveningMs + 2.5 * hour, 'sleep')
    const walks = Array.from({ length: walksPerNight }, (_, at) => {
      // One in each part of the night, so that none begins in another.
      const part = (9.5 * hour) / walksPerNight
      return eveningMs + hour + at * part + random.random() * (part - 10 * minute)
    })
    for (const atMs of walks) {
      const room = random.random() < 0.5 ? 'hallway' : 'bedroom'
      const walkMs = (5 + Math.floor(random.random() * 85)) * second
      event(atMs, 'walk', room)
      event(atMs + 2 * second, 'look', room)
      event(atMs + walkMs, 'still', room)
    }
    // Some minutes after somebody walked, when a light burns.
    for (let cut = 0; cut < cutsPerNight; cut += 1) {
      const each = Math.floor(walksPerNight / cutsPerNight)
      const walkMs = walks[cut * each + Math.floor(random.random() * each)] ?? eveningMs
      const atMs = walkMs + 2 * minute + random.random() * 3 * minute
      event(atMs, 'cut')
      event(atMs + (1 + random.random() * 2) * minute, 'back')
    }
  }
  return events.sort((left, right) => left.atMs - right.atMs)
}

/** Light on at a move, off five minutes after the last; timers that the power takes are gone. */
class Automation {
  readonly #house: AgentHouse
  readonly #timers = new Map<string, () => void>()
  #on = true

  constructor(house: AgentHouse) {
    this.#house = house
    const last = new Map<string, string>()
    house.home.registry.onReport(({ info, telemetry }) => {
      const changed = last.get(info.id) !== telemetry.state
      last.set(info.id, telemetry.state)
      const room = Object.keys(lightsOf).find((one) => motionIn(one) === info.id)
      if (!room || !changed || !this.#on) return
      this.#timers.get(room)?.()
      if (telemetry.state === 'on') this.#set(room, 'on')
      else
        this.#timers.set(
          room,
          house.clock.after(stillMs, () => this.#set(room, 'off')),
        )
    })
  }

  cut(): void {
    this.#on = false
    for (const cancel of this.#timers.values()) cancel()
    this.#timers.clear()
  }

  back(): void {
    this.#on = true
  }

  #set(room: string, state: 'on' | 'off'): void {
    const { actuation, signal } = this.#house.home
    for (const entity of lightsOf[room] ?? [])
      void actuation.run({ entity, command: { state }, principal: 'automation' }, signal)
  }
}

/** When each light burned. */
function litSpans(house: AgentHouse): (light: string) => readonly Span[] {
  const since = new Map<string, number>()
  const spans = new Map<string, Span[]>()
  house.home.registry.onReport(({ info: { id }, telemetry: { state } }) => {
    const nowMs = house.clock.nowMs()
    const fromMs = since.get(id)
    if (state === 'on' && fromMs === undefined) since.set(id, nowMs)
    if (state === 'on' || fromMs === undefined) return
    since.delete(id)
    spans.set(id, [...(spans.get(id) ?? []), [fromMs, nowMs]])
  })
  return (light) => {
    const fromMs = since.get(light)
    return [
      ...(spans.get(light) ?? []),
      ...(fromMs === undefined ? [] : [[fromMs, house.clock.nowMs()] as const]),
    ]
  }
}

/** How much of a span lies in any of the others. */
function overlap([from, to]: Span, others: readonly Span[]): number {
  let covered = 0
  let reached = from
  for (const [start, end] of [...others].sort(([left], [right]) => left - right)) {
    const begin = Math.max(start, reached)
    const finish = Math.min(end, to)
    if (finish <= begin) continue
    covered += finish - begin
    reached = finish
  }
  return covered
}
