/**
 * The home as last reported. Each entity has a signal of its own, so one report redraws one card. The page never
 * writes a state here that a device did not report.
 */
import { computed, type Signal, signal } from '@preact/signals'
import { type DeviceView, type EntityView, keyOf } from '../entity.ts'
import { remember } from './history.ts'

export type Loading =
  | { readonly kind: 'loading' }
  | { readonly kind: 'ready' }
  | { readonly kind: 'failed'; readonly message: string }
  /** The gateway wants its token first. */
  | { readonly kind: 'locked' }

export const loading = signal<Loading>({ kind: 'loading' })
export const devices = signal<readonly DeviceView[]>([])
export const onlineDevices = computed(() =>
  devices.value.filter((device) => device.availability === 'online'),
)
/** Replaced only when entities appear, disappear or move to another room. */
export const entities = signal<ReadonlyMap<string, Signal<EntityView>>>(new Map())

/** Takes a complete description of the home, after loading or reconnecting. */
export function replaceHome(home: {
  readonly devices: readonly DeviceView[]
  readonly entities: readonly EntityView[]
}): void {
  const before = entities.peek()
  const after = new Map<string, Signal<EntityView>>()
  let moved = before.size !== home.entities.length
  for (const entity of home.entities) {
    const key = keyOf(entity)
    const known = before.get(key)
    if (!known || placeOf(known.peek()) !== placeOf(entity)) moved = true
    if (known) known.value = entity
    after.set(key, known ?? signal(entity))
    remember(entity)
  }
  if (moved) entities.value = after
  devices.value = home.devices
  loading.value = { kind: 'ready' }
}

function placeOf({ floor, area, areaName, name }: EntityView): string {
  return [floor, area, areaName, name].join('/')
}

/** Takes one report. False when the entity is not known yet: the home must be loaded again. */
export function reportEntity(report: EntityView): boolean {
  const known = entities.peek().get(keyOf(report))
  if (!known) return false
  known.value = report
  remember(report)
  return true
}

/** Entity with this id, on `device` where that is known. */
export function findEntity(id: string, device?: string): EntityView | undefined {
  if (device !== undefined) return entities.peek().get(keyOf({ device, id }))?.peek()
  for (const entity of entities.peek().values()) if (entity.peek().id === id) return entity.peek()
  return undefined
}
