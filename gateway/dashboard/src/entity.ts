/** Entities and devices as `/api/entities` gives them, and small questions about an entity's vocabulary. */
import type { EntityView } from '../../../runtime/wire/http.ts'
import type { Json } from '../../../runtime/wire/messages.ts'

export type Attributes = Readonly<Record<string, Json>>

export type { EntityView }

export interface DeviceView {
  readonly id: string
  readonly name: string
  readonly simulated: boolean
  /** `unknown`: the gateway has no connection to its broker. */
  readonly availability: 'online' | 'offline' | 'unknown'
}

/** Two devices may use the same entity id. */
export function keyOf(entity: { readonly device: string; readonly id: string }): string {
  return `${entity.device}/${entity.id}`
}

/** Whether an entity can do one of these. Undeclared features mean that everything the kind can do may be tried. */
export function supports(entity: EntityView, ...features: readonly string[]): boolean {
  return entity.features === undefined || features.some((feature) => entity.features?.includes(feature))
}

export function numberOf(value: Json | undefined): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined
}

export function textsOf(value: Json | undefined): readonly string[] {
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : []
}

export interface TodoItem {
  readonly text: string
  readonly done: boolean
}

/** Items of a to-do list: Home Assistant's `{summary, status}`, or plain strings. */
export function todoItems(attributes: Attributes): readonly TodoItem[] {
  const items = attributes['todo_items']
  if (!Array.isArray(items)) return []
  return items.flatMap((item) => {
    if (typeof item === 'string') return [{ text: item, done: false }]
    if (item === null || typeof item !== 'object' || Array.isArray(item)) return []
    const summary = item['summary']
    return typeof summary === 'string' ? [{ text: summary, done: item['status'] === 'completed' }] : []
  })
}

/** The numeric reading of a sensor, if it has one. */
export function reading(entity: EntityView): number | undefined {
  if (entity.kind !== 'sensor' || entity.state.trim() === '') return undefined
  const value = Number(entity.state)
  return Number.isFinite(value) ? value : undefined
}
