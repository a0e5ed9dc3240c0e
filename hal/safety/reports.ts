/**
 * Turns what is on the wire and what was read back into the telemetry of each actuator, and tells it when it changed.
 * A part whose sink failed is `unavailable`: nobody knows what it does.
 */
import type { Telemetry } from '../contract/component.ts'
import type { HostClock } from '../contract/host.ts'
import type { OutputValues } from '../contract/safety.ts'
import type { DrivenActuator } from './driven.ts'
import type { Outputs } from './outputs.ts'

export type TelemetryListener = (component: string, telemetry: Telemetry) => void

const unavailable = { state: 'unavailable', attributes: {} } as const

export class Reports {
  readonly #actuators: readonly DrivenActuator[]
  readonly #clock: HostClock
  readonly #listener: TelemetryListener
  readonly #last = new Map<string, { readonly shown: string; readonly telemetry: Telemetry }>()

  constructor(actuators: readonly DrivenActuator[], clock: HostClock, listener: TelemetryListener) {
    this.#actuators = actuators
    this.#clock = clock
    this.#listener = listener
  }

  all(): ReadonlyMap<string, Telemetry> {
    return new Map([...this.#last].map(([component, { telemetry }]) => [component, telemetry]))
  }

  update(outputs: Outputs, readBack: OutputValues): void {
    for (const actuator of this.#actuators) {
      const { component } = actuator.planned
      const report = reportOf(actuator, outputs, readBack)
      const shown = JSON.stringify(report)
      if (this.#last.get(component)?.shown === shown) continue
      const telemetry = { ...report, tsMs: this.#clock.nowMs() }
      this.#last.set(component, { shown, telemetry })
      this.#listener(component, telemetry)
    }
  }
}

function reportOf(
  { planned, driver, outputs: specs }: DrivenActuator,
  outputs: Outputs,
  readBack: OutputValues,
): Pick<Telemetry, 'state' | 'attributes'> {
  const values: Record<string, number> = {}
  for (const { name } of specs) {
    const value = outputs.wire(`${planned.id}.${name}`)
    if (value === undefined || outputs.isBroken(`${planned.id}.${name}`)) return unavailable
    values[name] = value
  }
  try {
    return driver.telemetry(values, planned.options, localValues(planned.id, readBack))
  } catch {
    // A driver's mistake about words must not cost the others their safety.
    return unavailable
  }
}

/** Those of one part, by local name. */
export function localValues(part: string, values: OutputValues): OutputValues {
  const prefix = `${part}.`
  return Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) =>
      name.startsWith(prefix) ? [[name.slice(prefix.length), value] as const] : [],
    ),
  )
}
