/**
 * A sensor that perception makes: a component like those of the HAL, so that it is registered and published like them. What it
 * reports has an attribute `privacy`: the strictest label of what it was made from, for whoever makes more of it.
 */
import type { Component, ComponentInfo, Json, Telemetry } from '../../hal/contract/component.ts'
import type { Cancel, Clock } from '../base/clock.ts'
import { type Privacy, privacies } from '../wire/infer.ts'

export class MadeSensor implements Component {
  readonly info: ComponentInfo
  readonly #clock: Clock
  readonly #listeners = new Set<(telemetry: Telemetry) => void>()
  #telemetry: Telemetry

  constructor(clock: Clock, info: ComponentInfo) {
    this.#clock = clock
    this.info = info
    this.#telemetry = { state: 'unknown', attributes: {}, tsMs: clock.nowMs() }
  }

  current(): Telemetry {
    return this.#telemetry
  }

  onTelemetry(listener: (telemetry: Telemetry) => void): Cancel {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Reports, if it differs from what was last reported. */
  report(state: string, attributes: Readonly<Record<string, Json>> = {}): void {
    const { state: was, attributes: had } = this.#telemetry
    if (was === state && JSON.stringify(had) === JSON.stringify(attributes)) return
    this.#telemetry = { state, attributes, tsMs: this.#clock.nowMs() }
    for (const listener of this.#listeners) listener(this.#telemetry)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listeners.clear()
  }
}

/** The label of a value that was made; undefined for one that was measured. */
export function labelOf({ attributes }: Pick<Telemetry, 'attributes'>): Privacy | undefined {
  return privacies.find((privacy) => privacy === attributes['privacy'])
}
