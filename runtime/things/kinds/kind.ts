/**
 * What the runtime knows of one kind of actuator: which commands make sense, which effect each declares, how long the
 * effect may take, and whether sending the command twice is safe. Pure values; nothing here talks to hardware.
 */
import * as v from 'valibot'
import type { Command } from '../../../hal/contract/actuator.ts'
import type { ActuatorKind, ComponentInfo, Json, Telemetry } from '../../../hal/contract/component.ts'

/** One thing that telemetry must show. `path` is `state` or an attribute's name. */
export type Check =
  | { readonly path: string; readonly oneOf: readonly string[] }
  | { readonly path: string; readonly noneOf: readonly string[] }
  | { readonly path: string; readonly value: Json }
  | { readonly path: string; readonly near: number; readonly tolerance: number }
  | { readonly path: string; readonly nearAll: readonly number[]; readonly tolerance: number }
  | { readonly path: string; readonly includes: string }
  | { readonly path: string; readonly excludesOpen: string }

/** The declared effect. No checks: the device reports nothing that could show it, only that it took the command. */
export interface Effect {
  readonly checks: readonly Check[]
  /** How long one attempt may take, milliseconds. */
  readonly deadlineMs: number
  /** Whether the command may be sent a second time when the effect did not show. */
  readonly retrySafe: boolean
  /** True for commands that add up (two items on a list): they wait for each other instead of superseding. */
  readonly additive: boolean
}

export interface KindRules {
  readonly kind: ActuatorKind
  readonly schema: v.GenericSchema<unknown, Command>
  effect(command: Command, info: ComponentInfo, before: Telemetry): Effect
}

/** The command's fields; at least one of them must be there, no others may. */
export function commandSchema(entries: v.ObjectEntries): v.GenericSchema<unknown, Command> {
  return v.pipe(
    v.strictObject(entries),
    v.check((command) => Object.keys(command).length > 0, 'the command is empty'),
  ) as v.GenericSchema<unknown, Command>
}

export const percentage = v.pipe(
  v.number('must be a number'),
  v.minValue(0, 'must be 0 to 100'),
  v.maxValue(100, 'must be 0 to 100'),
)
export const onOff = v.picklist(['on', 'off'], 'must be "on" or "off"')
export const shortText = v.pipe(
  v.string('must be text'),
  v.nonEmpty('must not be empty'),
  v.maxLength(255, 'must be at most 255 characters'),
)

/** An effect with the usual properties: retry safe, superseded by a later command. */
export function effect(checks: readonly Check[], deadlineMs: number, rest: Partial<Effect> = {}): Effect {
  return { checks, deadlineMs, retrySafe: true, additive: false, ...rest }
}

/**
 * `path` is near `wanted`, as far as the device's rounding goes, but never so far that standing still would count: from
 * another value it must have come more than half of the way.
 */
export function near(path: string, wanted: number, tolerance: number, before: Telemetry): Check {
  const was = before.attributes[path]
  const way = typeof was === 'number' ? Math.abs(wanted - was) : Number.POSITIVE_INFINITY
  return { path, near: wanted, tolerance: way > 0 ? Math.min(tolerance, way * 0.49) : tolerance }
}
