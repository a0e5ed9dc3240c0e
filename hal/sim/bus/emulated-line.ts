/**
 * One line between the computer and what hangs on it. Levels are physical: `activeLow` is the handle's business.
 * A pin held by the world (a short circuit) beats the computer's output, which beats what a part drives, which beats a pull.
 */
import type { DigitalMode } from '../../contract/io.ts'

export type Level = 0 | 1

/** How the computer uses a line now. */
export type LineUse = 'free' | DigitalMode | 'pwm' | 'pulse-count'

/** What the part at the other end of the line hears. */
export interface LineEnd {
  written(level: Level): void
  dutyWritten(duty: number, hz: number): void
}

export class EmulatedLine {
  readonly name: string
  use: LineUse = 'free'
  end: LineEnd | undefined
  duty = 0
  hz = 0
  #output: Level | undefined
  #driven: Level | undefined
  #held: Level | undefined
  #level: Level = 0
  /** The computer drives the line, or did last: the part hears its levels, those after it was given back too. */
  #computers = false
  readonly #listeners = new Set<(level: Level, atMs: number) => void>()
  readonly #nowMs: () => number

  constructor(name: string, nowMs: () => number) {
    this.name = name
    this.#nowMs = nowMs
  }

  get level(): Level {
    return this.#level
  }

  /** Level that the computer drives; `undefined`: it only listens. */
  output(level: Level | undefined): void {
    const begins = this.#output === undefined && level === this.#level
    this.#output = level
    this.#settle(this.#nowMs())
    // A line that floated at this level is driven now: that is news to the part, though not to a listener.
    if (begins) this.end?.written(this.#level)
  }

  /** Level that a part or a test drives; `undefined`: nothing does. */
  drive(level: Level | undefined, atMs = this.#nowMs()): void {
    this.#driven = level
    this.#settle(atMs)
  }

  /** Shorts the line to a level, whatever drives it. */
  hold(level: Level | undefined): void {
    this.#held = level
    this.#settle(this.#nowMs())
  }

  setUse(use: LineUse): void {
    this.use = use
    if (use !== 'free') this.#computers = use === 'output' || use === 'output-open-drain'
    this.#settle(this.#nowMs())
  }

  setDuty(duty: number, hz: number): void {
    this.duty = duty
    this.hz = hz
    this.end?.dutyWritten(duty, hz)
  }

  /** Tells the part at the end how the line is, after it was connected. */
  tellEnd(): void {
    if (this.use === 'pwm') this.end?.dutyWritten(this.duty, this.hz)
    else if (this.#computers) this.end?.written(this.#level)
  }

  onLevel(listener: (level: Level, atMs: number) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #settle(atMs: number): void {
    const level = this.#held ?? this.#output ?? this.#driven ?? (this.#pulledUp() ? 1 : 0)
    if (level === this.#level) return
    this.#level = level
    if (this.#computers) this.end?.written(level)
    for (const listener of [...this.#listeners]) listener(level, atMs)
  }

  #pulledUp(): boolean {
    return this.use === 'input-pull-up' || this.use === 'output-open-drain'
  }
}
