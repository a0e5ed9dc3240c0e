/** What a board is, as pure data (`boards/*.board.ts`), and what an opened board offers. */
import type { Actuator } from './actuator.ts'
import type { Component, Json } from './component.ts'
import type { Host } from './host.ts'
import type { Microphone } from './microphone.ts'
import type { Sensor } from './sensor.ts'

/** A hardware model. Matched by device-tree `compatible` or DMI, never by the `model` string. */
export interface Board {
  /** `<vendor>-<board>`, equal to the file's name. */
  readonly id: string
  readonly name: string
  readonly arch: 'arm64' | 'x64' | 'any'
  /**
   * Device-tree compatible strings, most specific first, or `dmi:<sys_vendor>:<product_name>` for machines without a
   * device tree. Empty: never matched by these; `generic-<arch>` is what remains.
   */
  readonly compatible: readonly string[]
  /** Memory that Ganglion's processes may use on it, megabytes. */
  readonly memoryBudgetMb: { readonly runtime: number; readonly engine: number }
  /** Where these facts come from. */
  readonly sources: readonly string[]
}

/** Rooms of the place that a board looks after. */
export interface Layout {
  readonly areas: readonly {
    readonly id: string
    readonly name: string
    readonly floor?: string
    readonly aliases?: readonly string[]
  }[]
}

export type FaultKind = 'stuck' | 'slow' | 'lost-command' | 'lying' | 'offline'

/** A fault of a simulated device. */
export interface SimFault {
  readonly kind: FaultKind
  /** `slow`: how much longer every movement takes. Default 10. */
  readonly factor?: number
  /** `lost-command`: how many commands get lost. Default: all. */
  readonly count?: number
  /** `lying`: what the telemetry claims, whatever the device does. Default: the effect of the command is claimed, nothing moves. */
  readonly telemetry?: { readonly state?: string; readonly attributes?: Readonly<Record<string, Json>> }
}

/** Levers that only a simulated world has. */
export interface SimControl {
  /** Injects a fault, or clears it with `undefined`. Throws HalError `not-present` for an unknown id. */
  fault(componentId: string, fault: SimFault | undefined): void
  faults(): ReadonlyMap<string, SimFault>
  /** What a device really is, whatever its telemetry says. */
  truth(componentId: string): { readonly state: string; readonly attributes: Readonly<Record<string, Json>> }
  /** Sets state and attributes as if the world had done it; attributes are merged. */
  set(componentId: string, change: { state?: string; attributes?: Readonly<Record<string, Json>> }): void
}

/** The device's hardware, opened. Disposing closes every component. */
export interface OpenBoard extends AsyncDisposable {
  readonly board: Board
  /** How the board was recognised, for a person. */
  readonly recognisedBy: string
  readonly simulated: boolean
  readonly layout: Layout
  readonly sensors: readonly Sensor[]
  readonly actuators: readonly Actuator[]
  readonly components: readonly Component[]
  readonly microphone?: Microphone
  readonly sim?: SimControl
}

export interface OpenBoardOptions {
  /** A home in the fixture format (YAML text and the name to use in errors): opens the simulated board with that home. */
  readonly home?: { readonly name: string; readonly yaml: string }
  /** Add this machine's own sensors (CPU temperature, load, memory, disk). */
  readonly hostSensors: boolean
  /** ALSA capture device for the microphone, for example `default`. Absent: no microphone. */
  readonly microphone?: string
  /** Roots of the file systems read, replaceable in tests. */
  readonly roots?: { readonly proc: string; readonly sys: string }
}

/** The door to the HAL: the composition root passes it on, so nothing else needs to import the HAL. */
export interface Hal {
  openBoard(options: OpenBoardOptions, host: Host, signal: AbortSignal): Promise<OpenBoard>
}
