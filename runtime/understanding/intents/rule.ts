/**
 * A rule says when a clause means something for one kind of entity, and which command it is. A clause with a slot
 * that the rule does not use is not the rule's: what was said is never dropped.
 */
import type { Command } from '../../../hal/contract/actuator.ts'
import type { ActuatorKind } from '../../../hal/contract/component.ts'
import type { Entity } from '../../things/entity.ts'
import type { SlotName, Slots } from '../slots.ts'

/** A command and what will be true once it is done; or why not. */
export type Act =
  | { readonly command: Command; readonly effect: string }
  /** `value`: it could do it, but not with that value. */
  | { readonly impossible: string; readonly value?: true }

export interface Rule {
  /** `light.turn_on`: shown in readings. */
  readonly intent: string
  readonly kind: ActuatorKind
  readonly uses: readonly SlotName[]
  when(slots: Slots): boolean
  /** May be meant where only an area is named (`area`), or nothing at all: one (`nothing`), or all of them (`all`). */
  readonly implied?: 'area' | 'nothing' | 'all'
  /** Where several could be meant, those for which it makes sense now. */
  prefers?(entity: Entity, slots: Slots): boolean
  /** Several at once: `never`, or `anywhere` even where no area is named; else only in an area, or if all are said. */
  readonly several?: 'never' | 'anywhere'
  /** Opens a way in: done only where it is named by itself, never as one of several. */
  guards?(entity: Entity): boolean
  act(entity: Entity, slots: Slots): Act
}

/** Whether an entity can do any of these; one that declares nothing may be tried. */
export function can(entity: Entity, ...features: readonly string[]): boolean {
  const declared = entity.info.features
  return declared === undefined || declared.length === 0 || features.some((name) => declared.includes(name))
}

/** An attribute as a finite number, or undefined. */
export function numberOf(entity: Entity, ...names: readonly string[]): number | undefined {
  for (const name of names) {
    const value = entity.telemetry.attributes[name]
    if (typeof value === 'boolean' || value === null || value === undefined || value === '') continue
    const number = Number(value)
    if (Number.isFinite(number)) return number
  }
  return undefined
}

/** `turn it on`, `start it`. */
export function turnsOn({ state, verb }: Slots): boolean {
  return (state === 'on' && verb === undefined) || (state === undefined && verb === 'start')
}

/** `turn it off`, `stop it`. */
export function turnsOff({ state, verb }: Slots): boolean {
  return (state === 'off' && verb === undefined) || (state === undefined && verb === 'stop')
}

/** `toggle it`: the command says the state wanted, so that repeating it changes nothing. */
export function toggle(kind: 'light' | 'switch' | 'fan' | 'media_player'): Rule {
  return {
    intent: `${kind}.toggle`,
    kind,
    uses: ['verb'],
    when: ({ verb }) => verb === 'toggle',
    act: ({ info, telemetry }) => {
      if (telemetry.state === 'unavailable' || telemetry.state === 'unknown')
        return { impossible: `${info.name} does not report whether it is on, so say which` }
      const state = ['off', 'standby'].includes(telemetry.state) ? 'on' : 'off'
      return { command: { state }, effect: state }
    },
  }
}

const levels = {
  max: 100,
  min: 0,
  half: 50,
  quarter: 25,
  threequarters: 75,
  low: 33,
  medium: 66,
  high: 100,
} as const

/** Percent that the amount or level says, undefined where neither does; a relative amount is not one. */
export function percentOf({ amount, level }: Slots): number | undefined {
  if (amount !== undefined) return amount.relative ? undefined : amount.value
  return level === undefined ? undefined : levels[level]
}

/** Whether an amount, if any, may be a percentage. */
export function inPercent({ amount }: Slots): boolean {
  return amount === undefined || amount.unit === undefined || amount.unit === 'percent'
}

export function outsidePercent(what: string, value: number): Act | undefined {
  if (value >= 0 && value <= 100) return undefined
  return { impossible: `${what} goes from 0 to 100 %, not ${value} %`, value: true }
}
