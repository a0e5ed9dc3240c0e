/**
 * A component is what the HAL offers on this device: one sensor or one actuator, with its telemetry. Vocabulary of
 * kinds, states and attributes is Home Assistant's (https://www.home-assistant.io/docs/configuration/entities_domains/).
 */
import type { Cancel } from './host.ts'

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json }

/** Kinds that accept commands. */
export const actuatorKinds = [
  'light',
  'switch',
  'fan',
  'cover',
  'valve',
  'lock',
  'climate',
  'media_player',
  'vacuum',
  'todo',
  'number',
  'select',
] as const
/** Kinds that only report. */
export const sensorKinds = ['sensor', 'binary_sensor', 'weather'] as const

export type ActuatorKind = (typeof actuatorKinds)[number]
export type SensorKind = (typeof sensorKinds)[number]
export type ComponentKind = ActuatorKind | SensorKind

/** What a component is; fixed while it is open. */
export interface ComponentInfo {
  /** `<kind>.<object>`, unique on the device, for example `light.kitchen_ceiling`. */
  readonly id: string
  readonly kind: ComponentKind
  /** Name a person uses. */
  readonly name: string
  /** Area id of the layout, if it is in one. */
  readonly area?: string
  /** Physical device it belongs to, where several components share one. */
  readonly device?: {
    readonly id: string
    readonly name: string
    readonly manufacturer?: string
    readonly model?: string
  }
  /** Home Assistant device class, lower case, for example `curtain`, `garage`, `temperature`. */
  readonly deviceClass?: string
  /** Unit of the state, for sensors, for example `°C`. */
  readonly unit?: string
  /**
   * What it can do, lower case, without the enum's prefix, for example `set_position`, `brightness`, `rgb`, `pause`.
   * Absent: not declared, everything the kind can do may be tried.
   */
  readonly features?: readonly string[]
  /** `number`: its range. */
  readonly range?: { readonly min: number; readonly max: number; readonly step: number }
  /** `select`: what may be chosen. */
  readonly choices?: readonly string[]
  /** True when no hardware is behind it. Shown wherever a person sees the component. */
  readonly simulated: boolean
}

/** One complete report: the state and every attribute, never a difference. */
export interface Telemetry {
  /** `on`, `off`, `open`, `locked`, `21.5`, …; `unknown` before the first report, `unavailable` while offline. */
  readonly state: string
  readonly attributes: Readonly<Record<string, Json>>
  /** Time of the measurement, milliseconds since the Unix epoch. */
  readonly tsMs: number
}

export interface Component extends AsyncDisposable {
  readonly info: ComponentInfo
  /** The last report. */
  current(): Telemetry
  /** Every later report, in order. The listener must not throw. */
  onTelemetry(listener: (telemetry: Telemetry) => void): Cancel
}
