/**
 * The world's side of the safety inputs on an emulated machine: loops of emergency stop and conflict monitor are closed
 * until somebody opens them, other inputs are 0.
 */
import type { SafetyConfig } from '../contract/hardware-config.ts'
import type { PinRef } from '../contract/io.ts'
import type { EmulatedWorld } from '../sim/bus/index.ts'

interface Loop {
  readonly pin: PinRef
  readonly activeLow?: boolean
}

export class EmulatedLoops {
  readonly #world: EmulatedWorld
  readonly #loops: ReadonlyMap<string, Loop>
  readonly #levels = new Map<string, 0 | 1>()

  constructor(world: EmulatedWorld, { emergencyStop, conflictMonitor, inputs = [] }: SafetyConfig) {
    this.#world = world
    const named = new Map<string, Loop>(inputs.map((input) => [input.name, input]))
    if (emergencyStop) named.set('emergency_stop', emergencyStop)
    if (conflictMonitor) named.set('conflict_monitor', conflictMonitor)
    this.#loops = named
    for (const name of named.keys())
      this.set(name, name === 'emergency_stop' || name === 'conflict_monitor' ? 1 : 0)
  }

  has(name: string): boolean {
    return this.#loops.has(name)
  }

  /** 1: closed, or active. */
  set(name: string, value: number): void {
    const loop = this.#loops.get(name)
    if (!loop) return
    const level = value === 0 ? 0 : 1
    this.#levels.set(name, level)
    this.#world.drive(loop.pin, (level === 1) === (loop.activeLow === true) ? 0 : 1)
  }

  world(name: string): Readonly<Record<string, number>> {
    return { level: this.#levels.get(name) ?? 0 }
  }
}
