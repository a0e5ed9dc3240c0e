/**
 * What is known of the water: which leak sensors are wet, whether any runs, and what of that is to be believed. A sensor that goes to and
 * fro tells nothing, nor does a meter that is silent or has stood still for half a day: where no water runs for so long nobody is at
 * home, or it is stuck.
 */
import type { Telemetry } from '../agent/contract.ts'
import { isSilent, numberOf } from './believe.ts'

const minuteMs = 60_000

const rules = {
  /** Litres a minute: less is what a meter shows of nothing. */
  flowMin: 0.1,
  stillMs: 12 * 60 * minuteMs,
  /** A sensor that has been wet for so long is broken, or known. */
  wetMsMax: 24 * 60 * minuteMs,
  /** A sensor that changes so often in this time tells nothing. */
  flaps: 6,
  flapMs: 10 * minuteMs,
} as const

export interface Sensor {
  readonly id: string
  readonly heard: Telemetry
  readonly wetMs: number | undefined
  /** Water ran when it got wet. */
  readonly ran: boolean
  readonly changes: readonly number[]
  /** Wet for a reason that people know, until it is dry again. */
  known: boolean
  /** Wet while the meter told that no water runs that should not, until it is dry again. */
  metered: boolean
}

export class Water {
  /** Litres a minute; undefined where no meter tells. */
  flow: number | undefined
  /** There is a meter, whatever it says. */
  hasMeter = false
  /** Since when water runs without a break, as far as the meter told. */
  runsSinceMs: number | undefined
  /** Some runs although the valve says closed: it lies, or the meter does. */
  doubted = false
  /** Valves of water that is meant to run, by what they say. */
  readonly #gardens = new Map<string, string>()
  readonly #sensors = new Map<string, Sensor>()
  #shown: number | undefined
  #changedMs = Date.now()

  get sensors(): readonly Sensor[] {
    return [...this.#sensors.values()]
  }

  get wet(): readonly Sensor[] {
    const { wetMsMax } = rules
    return this.sensors.filter(
      (one) => one.wetMs !== undefined && !one.known && Date.now() - one.wetMs < wetMsMax && !flaps(one),
    )
  }

  get isAnySilent(): boolean {
    return this.sensors.some((one) => isSilent(one.heard) || flaps(one))
  }

  get isMeant(): boolean {
    return [...this.#gardens.values()].some((state) => state !== 'closed')
  }

  get runs(): boolean {
    return (this.flow ?? 0) >= rules.flowMin
  }

  note(seen: Telemetry): void {
    const { entity, state, attributes } = seen
    if (entity.startsWith('valve.') && !isMain(entity)) this.#gardens.set(entity, state)
    if (attributes['device_class'] === 'volume_flow_rate') this.#noteFlow(seen)
    if (!entity.startsWith('binary_sensor.')) return
    const before = this.#sensors.get(entity)
    const isNew = before !== undefined && before.heard.state !== state
    const changes = before?.changes.filter((atMs) => atMs > Date.now() - rules.flapMs) ?? []
    const wetMs = state === 'on' ? (before?.wetMs ?? Date.now()) : undefined
    this.#sensors.set(entity, {
      ...{ id: entity, heard: seen, wetMs, changes: isNew ? [...changes, Date.now()] : changes },
      ran: before?.wetMs === undefined ? this.runsSinceMs !== undefined : before.ran,
      known: wetMs !== undefined && (before?.known ?? false),
      metered: wetMs !== undefined && (before?.metered ?? false),
    })
  }

  #noteFlow(seen: Telemetry): void {
    this.hasMeter = true
    const number = numberOf(seen)
    const flow =
      number !== undefined && seen.attributes['unit_of_measurement'] === 'm³/h'
        ? (number * 1_000) / 60
        : number
    if (flow !== undefined && flow !== this.#shown) {
      this.#shown = flow
      this.#changedMs = Date.now()
    }
    this.flow = Date.now() - this.#changedMs > rules.stillMs ? undefined : flow
    // One that falls silent while water runs does not say that it stopped.
    if (this.flow !== undefined) this.runsSinceMs = this.runs ? (this.runsSinceMs ?? Date.now()) : undefined
  }

  /** A person who opens the water knows what is wet. A meter that showed water all the same tells nothing until it shows something else. */
  watchAnew(): void {
    for (const sensor of this.sensors) sensor.known = sensor.wetMs !== undefined
    this.runsSinceMs = undefined
    if (this.doubted) {
      this.flow = undefined
      this.#changedMs = 0
    }
    this.doubted = false
  }
}

export const isMain = (valve: string) => valve.includes('main')

const flaps = ({ changes }: Sensor) =>
  changes.filter((atMs) => atMs > Date.now() - rules.flapMs).length >= rules.flaps
