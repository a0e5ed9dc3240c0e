/** A sensor reports. One that must be asked implements `sample`; its report also reaches `onTelemetry`. */
import type { Component, SensorKind, Telemetry } from './component.ts'

export interface Sensor extends Component {
  readonly info: Component['info'] & { readonly kind: SensorKind }
  /** Measures now. Throws HalError (`timeout`, `not-present`, `checksum`, `closed`). */
  sample(signal: AbortSignal): Promise<Telemetry>
}
