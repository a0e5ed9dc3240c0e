/**
 * The heat in a simulated home, on the host's clock: looks at valves, heaters and the heat pump, lets rooms warm and cool, and has the
 * sensors report. The weather, the price and the household are functions of the seed and the time, so that a run can be repeated.
 *
 * Invariants: [hal-sim-7] the same seed, clock and commands give the same temperatures and reports; [hal-sim-8] the compressor keeps its
 * times, and stops within a minute when no valve is open; [hal-sim-9] a share of a home that has lost its power heats nothing.
 */
import type { HomeShare } from '../../contract/board.ts'
import type { Json } from '../../contract/component.ts'
import { HalError } from '../../contract/errors.ts'
import type { Cancel, Host } from '../../contract/host.ts'
import type { SimComponent } from '../sim-component.ts'
import { type HeatedRoom, type HeatingFacts, roomIds } from './facts.ts'
import { Compressor, emitterShare, type PumpMode, pumpPower } from './heat-pump.ts'
import { Neighbours, type ShareState } from './neighbours.ts'
import { isOccupied } from './occupancy.ts'
import { pricePerKwh } from './price.ts'
import { type RoomLoad, stepRooms } from './rooms.ts'
import { forecastC, outsideC, sunWPerM2 } from './weather.ts'

const hourMs = 3_600_000
const stepMsMax = 30_000
/** A gap that is longer is not lived through step by step: the rooms are then as the weather of that time leaves them. */
const gapMsMax = 14 * 24 * hourMs
/** Electric heaters against frost, W. */
const heaterW = 750
const forecastHours = 24

type Components = ReadonlyMap<string, Pick<SimComponent, 'truth' | 'setTruth'>>

/** What this share has used since it began. */
interface HeatUsage {
  readonly pumpKwh: number
  readonly heaterKwh: number
  readonly cost: number
}

export class HeatedHome implements AsyncDisposable {
  readonly facts: HeatingFacts
  readonly compressor = new Compressor()
  readonly #components: Components
  readonly #host: Host
  readonly #neighbours: Neighbours | undefined
  readonly #own: readonly HeatedRoom[]
  #temperatures = new Map<string, number>()
  /** What the sensors were last made to show: what they show otherwise, somebody else did. */
  readonly #shown = new Map<string, string>()
  #others: ShareState | undefined
  #heatW: Record<string, number> = {}
  #usage = { pumpKwh: 0, heaterKwh: 0, cost: 0 }
  #powerW = 0
  #hourStartMs = Number.NaN
  #atMs: number
  #cancel: Cancel = () => {}

  constructor(facts: HeatingFacts, components: Components, host: Host, share?: HomeShare) {
    this.facts = facts
    this.#components = components
    this.#host = host
    this.#neighbours = share && new Neighbours(share, facts.tickMs)
    this.#own = facts.rooms.filter(({ area }) => components.has(roomIds(area).temperature))
    this.#atMs = host.clock.nowMs()
  }

  /** Does I/O only for a share. */
  start(): void {
    for (const { area } of this.#own) {
      const tempC = Number(this.#truth(roomIds(area).temperature))
      this.#temperatures.set(area, Number.isFinite(tempC) ? tempC : 18)
    }
    const before = this.#neighbours?.before()
    if (before) {
      for (const { area } of this.#own)
        this.#temperatures.set(area, before.temperatures[area] ?? (this.#temperatures.get(area) as number))
      this.#atMs = Math.min(this.#atMs, Math.max(before.atMs, this.#atMs - gapMsMax))
    }
    this.#tick()
  }

  /** °C, unrounded. */
  temperatureOf(area: string): number | undefined {
    return this.#temperatures.get(area)
  }

  get usage(): HeatUsage {
    return this.#usage
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#cancel()
  }

  #tick(): void {
    const nowMs = this.#host.clock.nowMs()
    this.#adopt()
    this.#others = this.#neighbours?.hear(nowMs)
    while (this.#atMs < nowMs) this.#step(Math.min(stepMsMax, nowMs - this.#atMs))
    // A clock that was set back: from here on.
    this.#atMs = nowMs
    try {
      this.#report(nowMs)
    } catch (error) {
      // The board closes its components before what runs behind them.
      if (error instanceof HalError && error.code === 'closed') return
      throw error
    }
    this.#say(nowMs)
    this.#cancel = this.#host.clock.after(this.facts.tickMs, () => this.#tick())
  }

  /** Somebody set a thermometer: the room is as warm as it says. */
  #adopt(): void {
    for (const { area } of this.#own) {
      const id = roomIds(area).temperature
      const state = this.#truth(id)
      const tempC = Number(state)
      if (this.#shown.has(id) && state !== this.#shown.get(id) && Number.isFinite(tempC))
        this.#temperatures.set(area, tempC)
    }
  }

  #step(stepMs: number): void {
    const { seed, rooms, walls, heatPump } = this.facts
    this.#atMs += stepMs
    const atMs = this.#atMs
    const outside = { tempC: outsideC(seed, atMs), sunWPerM2: sunWPerM2(seed, atMs) }
    const pump = this.#truth(heatPump)
    if (pump !== undefined) this.#runPump(pump, outside.tempC, atMs)
    const loads = new Map<string, RoomLoad>()
    let heaters = 0
    for (const room of this.#own) {
      const heating = this.#truth(roomIds(room.area).heater) === 'on'
      if (heating) heaters += 1
      loads.set(room.area, {
        occupied: isOccupied(seed, rooms.indexOf(room), room.habit, atMs),
        pumpW: this.#isOpen(room.area) ? this.#heatFor(room.area) : 0,
        heaterW: heating ? heaterW : 0,
      })
    }
    const known = new Map([...Object.entries(this.#others?.temperatures ?? {}), ...this.#temperatures])
    const next = stepRooms(this.#own, walls, known, loads, outside, stepMs)
    for (const { area } of this.#own) this.#temperatures.set(area, next.get(area) as number)
    this.#count(heaters * heaterW, stepMs, atMs)
  }

  #runPump(state: string, outside: number, atMs: number): void {
    const mode: PumpMode = state === 'heat' || state === 'cool' ? state : 'off'
    const open = this.facts.rooms.filter(
      ({ area }) => this.#isOpen(area) || this.#others?.openValves.includes(area),
    )
    this.compressor.control(mode, open.length > 0, atMs)
    const { running } = this.compressor
    this.#heatW = {}
    this.#powerW = 0
    if (!running) return
    const takes = open.map(({ area, emitterW }) => {
      const roomC = this.#temperatures.get(area) ?? this.#others?.temperatures[area] ?? 20
      return { area, takesW: emitterW * emitterShare(running, roomC) }
    })
    const emittersW = takes.reduce((sum, { takesW }) => sum + takesW, 0)
    const { heatW, electricW } = pumpPower(running, outside, emittersW)
    this.#powerW = electricW
    if (!this.compressor.gives(atMs) || emittersW === 0) return
    for (const { area, takesW } of takes) this.#heatW[area] = (heatW * takesW) / emittersW
  }

  #heatFor(area: string): number {
    return this.#heatW[area] ?? this.#others?.heatW[area] ?? 0
  }

  #isOpen(area: string): boolean {
    return this.#truth(roomIds(area).valve) === 'open'
  }

  #count(heatersW: number, stepMs: number, atMs: number): void {
    const kwh = (watts: number) => (watts / 1_000) * (stepMs / hourMs)
    const [pumpKwh, heaterKwh] = [kwh(this.#powerW), kwh(heatersW)]
    this.#usage = {
      pumpKwh: this.#usage.pumpKwh + pumpKwh,
      heaterKwh: this.#usage.heaterKwh + heaterKwh,
      cost: this.#usage.cost + (pumpKwh + heaterKwh) * pricePerKwh(this.facts.seed, atMs),
    }
  }

  #report(nowMs: number): void {
    const { seed, rooms, heatPump, price, outside } = this.facts
    const hourStartMs = Math.floor(nowMs / hourMs) * hourMs
    const isNewHour = hourStartMs !== this.#hourStartMs
    for (const room of this.#own) {
      const ids = roomIds(room.area)
      this.#show(ids.temperature, (this.#temperatures.get(room.area) as number).toFixed(1))
      const occupied = isOccupied(seed, rooms.indexOf(room), room.habit, nowMs)
      // Sensors say every so often that they are there.
      this.#show(ids.occupancy, occupied ? 'on' : 'off', {}, isNewHour)
    }
    this.#show(outside, outsideC(seed, nowMs).toFixed(1))
    if (isNewHour) {
      this.#hourStartMs = hourStartMs
      const hours = Array.from({ length: forecastHours }, (_, hour) => hour * hourMs)
      const prices = hours.map((ms) => pricePerKwh(seed, hourStartMs + ms))
      this.#show(price, pricePerKwh(seed, nowMs).toFixed(3), { forecast: prices })
      const temperatures = hours.map((ms) => round(forecastC(seed, hourStartMs, ms), 1))
      this.#show(outside, outsideC(seed, nowMs).toFixed(1), { forecast: temperatures })
    }
    if (this.#truth(heatPump) === undefined) return
    const { running } = this.compressor
    const off = this.#truth(heatPump) === 'off' && running === undefined
    this.#show(heatPump, undefined, {
      hvac_action: running === undefined ? (off ? 'off' : 'idle') : `${running}ing`,
      power_w: Math.round(this.#powerW / 10) * 10,
    })
  }

  /** Has a component report where it would say something new, or is to say it `again`. */
  #show(id: string, state: string | undefined, attributes: Record<string, Json> = {}, again = false): void {
    const component = this.#components.get(id)
    if (!component) return
    const { truth } = component
    const same = Object.entries(attributes).every(
      ([name, value]) => JSON.stringify(truth.attributes[name]) === JSON.stringify(value),
    )
    if (state !== undefined) this.#shown.set(id, state)
    if (!again && same && (state === undefined || state === truth.state)) return
    component.setTruth({ ...(state === undefined ? {} : { state }), attributes })
  }

  #say(atMs: number): void {
    if (!this.#neighbours) return
    const openValves = this.#own.flatMap(({ area }) => (this.#isOpen(area) ? [area] : []))
    const temperatures = Object.fromEntries(this.#temperatures)
    try {
      this.#neighbours.say({ atMs, temperatures, openValves, heatW: this.#heatW })
    } catch (error) {
      this.#host.log.warn('the other shares of the home do not hear how it is here', {
        reason: String(error),
      })
    }
  }

  #truth(id: string): string | undefined {
    return this.#components.get(id)?.truth.state
  }
}

const round = (value: number, digits: number) => Number(value.toFixed(digits))
