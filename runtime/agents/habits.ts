/**
 * When people are in a room: by the half hour of the week and of the day, learned from its sensor. It lives by UTC: the hour that clocks
 * are moved by twice a year it learns anew. While the sensor is silent nothing is learned, and somebody is taken to be there when
 * somebody usually is: at first that is always.
 */
import type { Json } from '../agent/contract.ts'

const slotMs = 30 * 60_000
/** Where somebody was so often at that time, 0 to 1, somebody comes. Late in one of four is worse than in vain in one of three. */
const likely = 0.3

/** What is kept of them. */
interface Learned {
  readonly week: readonly number[]
  readonly day: readonly number[]
}

export class Habits {
  occupied = false
  /** The sensor says whether somebody is there. */
  known = true
  /** Somebody is there, 0 to 1. */
  readonly #week: number[]
  readonly #day: number[]

  constructor(kept?: Json) {
    const learned = kept as unknown as Learned | undefined
    this.#week = learned?.week.slice() ?? Array.from({ length: 336 }, () => 0.5)
    this.#day = learned?.day.slice() ?? Array.from({ length: 48 }, () => 0.5)
  }

  /** What its sensor says, every so often; undefined: nothing. */
  look(state: string | undefined, everyMs: number): void {
    this.known = state === 'on' || state === 'off'
    this.occupied = this.known ? state === 'on' : this.comes(0)
    if (!this.known) return
    const slot = Math.floor(Date.now() / slotMs)
    const share = everyMs / slotMs / 2
    for (const [habit, at] of [
      [this.#week, slot % 336],
      [this.#day, slot % 48],
    ] as const)
      habit[at] = (habit[at] ?? 0.5) * (1 - share) + (this.occupied ? share : 0)
  }

  /** Whether somebody usually comes within so many hours. */
  comes(hours: number): boolean {
    const nowMs = Date.now()
    for (let atMs = nowMs; atMs <= nowMs + hours * 2 * slotMs; atMs += slotMs) {
      const slot = Math.floor(atMs / slotMs)
      if (((this.#week[slot % 336] ?? 0) + (this.#day[slot % 48] ?? 0)) / 2 >= likely) return true
    }
    return false
  }

  get learned(): Json {
    const short = (numbers: readonly number[]) => numbers.map((number) => Math.round(number * 100) / 100)
    return { week: short(this.#week), day: short(this.#day) }
  }
}
