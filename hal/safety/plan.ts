/**
 * What the safety thread is to do, as pure data: it crosses to a worker thread by structured clone and lies on disk as
 * JSON for the guard. Made by `hal/attached`, which has checked it: ids are unique, drivers exist, options are complete,
 * pins and buses are on the board, rules name outputs and inputs that there are.
 */
import type { Command, CommandMeta } from '../contract/actuator.ts'
import type { Board } from '../contract/board.ts'
import type { Reading } from '../contract/channels.ts'
import type { Telemetry } from '../contract/component.ts'
import type { At, Options } from '../contract/driver.ts'
import type { HalErrorCode } from '../contract/errors.ts'
import type { SafetyConfig } from '../contract/hardware-config.ts'
import type { Cancel } from '../contract/host.ts'
import type { Safety } from '../contract/safety.ts'
import type { BusFault } from '../sim/bus/bus-fault.ts'

export interface PlannedPart {
  /** Id of the part on this device. */
  readonly id: string
  /** Id of the driver in `hal/drivers/index.ts`. */
  readonly driver: string
  readonly at: At
  /** Checked, defaults filled in. */
  readonly options: Options
}

export interface PlannedActuator extends PlannedPart {
  /** Id of its component: `switch.pump`. Leases and commands name it. */
  readonly component: string
  readonly exclusive: boolean
  readonly keepWithoutNetwork: boolean
}

/** A sensor that hangs on a provider of this thread, and so cannot be in the sensor worker. */
export interface PlannedSensor extends PlannedPart {
  readonly sampleEveryMs: number
}

/** How the thread gets its `Io`. */
export type IoPlan =
  | {
      readonly kind: 'linux'
      readonly board: Board
      readonly roots: { readonly proc: string; readonly sys: string; readonly dev: string }
    }
  /** Emulated: every part of the plan hangs on its emulator. */
  | { readonly kind: 'emulated'; readonly board: Board }
  /** Hardware of somebody else's making: an ES module that exports `createIo(host: Host): Io`. */
  | { readonly kind: 'module'; readonly url: string }

export interface SafetyPlan {
  readonly io: IoPlan
  /** Opened in this order, before everything else. */
  readonly providers: readonly PlannedPart[]
  readonly actuators: readonly PlannedActuator[]
  readonly sensors: readonly PlannedSensor[]
  readonly config: SafetyConfig
  /** Absolute. Faults, token, audit, control socket and the guard's plan are here; made with mode 0700. */
  readonly safetyDir: string
}

/**
 * The thread as `hal/attached` sees it. `SafetyThread.open({ host }, plan, signal)` in `thread-port.ts` gives one; it
 * starts the thread, the guard process and the control socket. Throws HalError when the plan cannot be opened.
 */
export interface SafetyPort extends Safety, AsyncDisposable {
  /**
   * Plans the command with the part's driver and hands the result to the kernel. Throws HalError: `permission` (denied;
   * the message names the rule), `out-of-range` or `unsupported` (the field), `timeout` (no answer in time), `busy`
   * (too many commands under way), `not-present` (the thread is being restarted), `closed`.
   */
  command(component: string, command: Command, meta: CommandMeta, signal: AbortSignal): Promise<void>
  /** Last report of an actuator; `unavailable` while the thread is down. */
  telemetry(component: string): Telemetry
  onTelemetry(component: string, listener: (telemetry: Telemetry) => void): Cancel
  /** What the plan's sensors measure, or why one cannot. Parts are named by id. */
  onSensor(listener: (part: string, result: SensorResult) => void): Cancel
  /** Levers of an emulated part of this thread. Throws HalError `unsupported` where the plan's io is not emulated. */
  emulate(part: string, lever: EmulatorLever): Promise<Readonly<Record<string, number>>>
}

export type SensorResult =
  | { readonly reading: Reading; readonly faults: readonly string[] }
  | {
      readonly error: { readonly code: HalErrorCode; readonly message: string }
      /** The part is closed and will be opened again: what it said last is no longer worth showing. */
      readonly lost: boolean
    }

/**
 * Sets a quantity, breaks or mends (null) the wires, or only looks. The answer is what the part does
 * (`EmulatedPart.world`).
 */
export type EmulatorLever =
  | { readonly quantity: string; readonly value: number }
  | { readonly fault: BusFault | null }
  | 'look'
