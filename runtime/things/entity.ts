/** An entity: what agents and people see and command. What it is never changes while it is registered; its telemetry does. */
import type { ComponentInfo, Telemetry } from '../../hal/contract/component.ts'

export interface Entity {
  readonly info: ComponentInfo
  readonly telemetry: Telemetry
}

export interface Area {
  readonly id: string
  readonly name: string
  readonly floor?: string
  readonly aliases?: readonly string[]
}

/** A home at one instant, as understanding sees it. */
export interface HomeView {
  readonly areas: readonly Area[]
  readonly entities: readonly Entity[]
}
