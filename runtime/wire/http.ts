/** What the gateway's HTTP API answers: one definition for the gateway, the page and the command line. */
import type { HomeMessage, Json } from './messages.ts'

/** `unknown`: the gateway has no connection to its broker. */
export type Availability = 'online' | 'offline' | 'unknown'

export interface DeviceView {
  readonly id: string
  readonly availability: Availability
  readonly home?: HomeMessage
}

export interface EntityView {
  readonly device: string
  readonly id: string
  readonly kind: string
  readonly name: string
  readonly area?: string
  readonly areaName?: string
  readonly floor?: string
  readonly deviceClass?: string
  readonly unit?: string
  readonly features?: readonly string[]
  readonly range?: { readonly min: number; readonly max: number; readonly step: number }
  readonly choices?: readonly string[]
  readonly simulated: boolean
  readonly state: string
  readonly attributes: Readonly<Record<string, Json>>
  /** Of the measurement, milliseconds since the Unix epoch; absent before the first report. */
  readonly ts?: number
  /** False while the device is offline, the broker is away, or the entity says so itself. */
  readonly available: boolean
}

/** `GET /api/entities` */
export interface EntitiesAnswer {
  readonly devices: readonly DeviceView[]
  readonly entities: readonly EntityView[]
}
