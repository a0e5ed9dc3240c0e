/** What the gateway's HTTP API answers: one definition for the gateway, the page and the command line. */
import type { AgentsNow } from './agents-now.ts'
import type { approvalStates } from './approvals.ts'
import type { DecisionEvent } from './decide.ts'
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

/** What a device last told of its agents; it may be gone since. */
export interface AgentsOfDevice extends Omit<AgentsNow, 'v'> {
  readonly device: string
}

/** How something that waited for a person ended. */
export interface ApprovalOver {
  readonly device: string
  readonly approval: string
  readonly agent: string
  readonly words: string
  readonly state: Exclude<(typeof approvalStates)[number], 'asked'>
  /** Who answered, and how that is known. */
  readonly by?: string | undefined
  readonly atMs: number
}

/** `GET /api/agents` */
export interface AgentsAnswer {
  readonly devices: readonly AgentsOfDevice[]
  /** Newest first. */
  readonly over: readonly ApprovalOver[]
}

/** A joint decision as its opener tells it, or who was heard first. */
export interface DecisionView extends DecisionEvent {
  /** Devices that told of it. */
  readonly toldBy: readonly string[]
  /** Of those, who tell another outcome. */
  readonly differing: readonly {
    readonly device: string
    readonly decided: boolean
    readonly winner?: string
    readonly reason: string
  }[]
}

/** `GET /api/session`: who asks. */
export interface SessionAnswer {
  /** Absent: nobody in particular. */
  readonly person?: string
  /** Whether this visitor may answer what agents ask; and if not, what to do. */
  readonly answers: boolean
  readonly why?: string
}
