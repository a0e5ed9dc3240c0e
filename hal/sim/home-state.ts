/**
 * The state that an entity of a home file starts in, as text. The file may leave it out, write a flag or a number, or
 * `{in, out}` where `out` is the state that Home Assistant shows.
 */
import type { ActuatorKind, ComponentKind, Json } from '../contract/component.ts'
import { isActuatorKind } from './component-kind.ts'
import { type HomeNode, isMap } from './home-node.ts'
import { kinds } from './kinds/index.ts'

/** Attribute that holds the state when the file gives none. */
const stateAttribute: Readonly<Partial<Record<ComponentKind, string>>> = {
  sensor: 'native_value',
  climate: 'hvac_mode',
  weather: 'condition',
}

export function readState(
  kind: ComponentKind,
  node: HomeNode,
  attributes: Readonly<Record<string, Json>>,
): string {
  const shown = isMap(node.value) ? node.child('out') : node
  if (typeof shown.value === 'boolean') return flagState(kind, shown, shown.value)
  const state = shown.optionalText() ?? unstated(kind, attributes)
  if (isActuatorKind(kind)) checkState(kind, shown, state)
  return state
}

function flagState(kind: ComponentKind, node: HomeNode, flag: boolean): string {
  const states = isActuatorKind(kind) ? kinds[kind].booleanStates : (['off', 'on'] as const)
  if (!states) return node.refuse(`${flag} is no state of a ${kind}`)
  return states[flag ? 1 : 0]
}

function unstated(kind: ComponentKind, attributes: Readonly<Record<string, Json>>): string {
  const value = attributes[stateAttribute[kind] ?? '']
  if (typeof value === 'string' || typeof value === 'number') return String(value)
  return isActuatorKind(kind) ? kinds[kind].restState : 'unknown'
}

function checkState(kind: ActuatorKind, node: HomeNode, state: string): void {
  const legal = kinds[kind].states
  const known = legal instanceof RegExp ? legal.test(state) : legal.includes(state)
  if (known || state === 'unknown' || state === 'unavailable') return
  const expected = legal instanceof RegExp ? 'expected a whole number' : `known are ${legal.join(', ')}`
  node.refuse(`${JSON.stringify(state)} is no state of a ${kind}, ${expected}`)
}
