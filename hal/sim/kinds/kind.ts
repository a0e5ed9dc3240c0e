/**
 * What it takes to simulate a kind of actuator. A kind is pure: it turns a command into a movement (steps in time) and
 * never touches clocks or telemetry; `SimActuator` plays the steps. Behaviour follows Home Assistant's entity model
 * (https://developers.home-assistant.io/docs/core/entity/).
 */
import type { Command } from '../../contract/actuator.ts'
import type { ActuatorKind, ComponentInfo, Json } from '../../contract/component.ts'

export interface Snapshot {
  readonly state: string
  readonly attributes: Readonly<Record<string, Json>>
}

/** What a step alters; an attribute set to `undefined` is removed. */
export interface Change {
  readonly state?: string
  readonly attributes?: Readonly<Record<string, Json | undefined>>
}

/** One observable instant of a movement. The change is worked out when it happens, from what is true then. */
export interface Step {
  /** Since the command. */
  readonly afterMs: number
  readonly apply: (now: Snapshot) => Change
}

export interface Movement {
  /** In order of `afterMs`, at least one: a device answers every command with a report. */
  readonly steps: readonly Step[]
  /** True where a new command ends the movement under way (one motor), false where commands add up. */
  readonly replaces: boolean
  /** False where doing it twice differs from doing it once. */
  readonly idempotent: boolean
}

/** A device at the moment of a command. */
export interface Device {
  readonly info: ComponentInfo
  readonly now: Snapshot
  /** What the device remembers beyond its telemetry. */
  readonly memory: Map<string, string>
}

export interface Kind {
  readonly kind: ActuatorKind
  /** Every legal state, besides `unknown` and `unavailable`; a kind whose state is a count gives its pattern. */
  readonly states: readonly string[] | RegExp
  /** State of a device whose home file gives none. */
  readonly restState: string
  /** What `false` and `true` mean as a state in a home file. */
  readonly booleanStates?: readonly [string, string]
  /** Checks a command and says what it makes the device do. Throws HalError naming the field. */
  begin(device: Device, command: Command): Movement
  /** What a device shows when its movement is cut short. Absent: nothing changes. */
  halt?(now: Snapshot): Change
}

export function applyChange(now: Snapshot, change: Change): Snapshot {
  const attributes: Record<string, Json> = { ...now.attributes }
  for (const [name, value] of Object.entries(change.attributes ?? {})) {
    if (value === undefined) delete attributes[name]
    else attributes[name] = value
  }
  return { state: change.state ?? now.state, attributes }
}

/** The common case: one change after a delay, adding to whatever else goes on. */
export function after(afterMs: number, apply: Step['apply'], options?: { idempotent: boolean }): Movement {
  return { steps: [{ afterMs, apply }], replaces: false, idempotent: options?.idempotent ?? true }
}

/** True unless the device declares its features and this one is not among them. */
export function offers(device: Device, ...anyOf: string[]): boolean {
  const features = device.info.features
  return features === undefined || anyOf.some((feature) => features.includes(feature))
}

/** A list attribute such as `hvac_modes`, if the device declares it. */
export function declaredList(now: Snapshot, attribute: string): readonly string[] | undefined {
  const value = now.attributes[attribute]
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : undefined
}
