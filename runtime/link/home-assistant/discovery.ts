/**
 * Home Assistant's device discovery (https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload): one
 * retained message a physical device, so that a Home Assistant on the same broker shows and controls this home with no
 * configuration. Things without a physical device of their own stand together per area, or under the hub.
 */
import { createHash } from 'node:crypto'
import { wireLimits } from '../../wire/limits.ts'
import type { EntityDescription, HomeMessage, Json } from '../../wire/messages.ts'
import type { Topics } from '../../wire/topics.ts'
import { type Attributes, type Component, componentsOf } from './components.ts'
import { entityAvailability } from './templates.ts'

export interface DiscoveryOptions {
  /** Home Assistant's discovery prefix; it must be the link's too. */
  readonly prefix?: string
  /** Attributes last reported by an entity: they tell modes, lists and ranges. */
  readonly attributesOf?: (entityId: string) => Attributes | undefined
}

export interface DiscoveryMessage {
  readonly topic: string
  readonly payload: string
}

interface Group {
  readonly id: string
  readonly name: string
  readonly area: string | undefined
  readonly details: Readonly<Record<string, Json>>
  readonly entities: EntityDescription[]
}

/** The hub's own message comes first, so that `via_device` finds it. */
export function discovery(
  home: HomeMessage,
  topics: Topics,
  options: DiscoveryOptions = {},
): DiscoveryMessage[] {
  return groupsOf(home).flatMap((group) => messagesOf(group, home, topics, options))
}

function groupsOf(home: HomeMessage): Group[] {
  const areas = new Map(home.areas.map((area) => [area.id, area.name]))
  const hub: Group = { id: hubId(home), name: home.device.name, area: undefined, details: {}, entities: [] }
  const groups = new Map<string, Group>([[hub.id, hub]])
  for (const entity of home.entities) {
    const fresh = groupFor(entity, home, areas) ?? hub
    const group = groups.get(fresh.id) ?? fresh
    groups.set(fresh.id, group)
    group.entities.push(entity)
  }
  return [...groups.values()]
}

function hubId(home: HomeMessage): string {
  return `ganglion_${home.device.id}`
}

function groupFor(
  entity: EntityDescription,
  home: HomeMessage,
  areas: ReadonlyMap<string, string>,
): Group | undefined {
  const area = entity.area === undefined ? undefined : areas.get(entity.area)
  const { device } = entity
  if (device) {
    const details = {
      ...(device.manufacturer !== undefined && { manufacturer: device.manufacturer }),
      model: labelled(device.model ?? device.name, entity.simulated),
    }
    return { id: `${hubId(home)}_device_${device.id}`, name: device.name, area, details, entities: [] }
  }
  if (area === undefined) return undefined
  const details = { model: labelled('Area', entity.simulated) }
  return { id: `${hubId(home)}_area_${entity.area}`, name: area, area, details, entities: [] }
}

function labelled(model: string, simulated: boolean): string {
  return simulated ? `${model} (simulated)` : model
}

function messagesOf(
  group: Group,
  home: HomeMessage,
  topics: Topics,
  options: DiscoveryOptions,
): DiscoveryMessage[] {
  const shared = {
    device: deviceOf(group, home),
    origin: { name: 'ganglion', sw_version: home.device.version },
    qos: 1,
  }
  const components = [
    ...(group.id === hubId(home) ? [connectivity(home, topics)] : []),
    ...group.entities.flatMap((entity) => entityComponents(entity, group, home, topics, options)),
  ]
  const bytesOf = (part: [string, Component][]) =>
    Buffer.byteLength(JSON.stringify({ ...shared, components: Object.fromEntries(part) }))
  return chunks(components, bytesOf).map((part, index) => ({
    topic: `${options.prefix ?? 'homeassistant'}/device/${objectId(group.id)}${index === 0 ? '' : `-${index + 1}`}/config`,
    payload: JSON.stringify({ ...shared, components: Object.fromEntries(part) }),
  }))
}

/** Gives the hub an entity in any case: without one Home Assistant would not know what `via_device` points to. */
function connectivity(home: HomeMessage, topics: Topics): [string, Component] {
  const component = {
    platform: 'binary_sensor',
    name: 'Connected',
    device_class: 'connectivity',
    entity_category: 'diagnostic',
    state_topic: topics.availability(home.device.id),
    payload_on: 'online',
    payload_off: 'offline',
    unique_id: `${hubId(home)}_connected`,
  }
  return ['connected', component]
}

function deviceOf(group: Group, home: HomeMessage): Record<string, Json> {
  const hub = hubId(home)
  const { device } = home
  if (group.id === hub)
    return {
      identifiers: [hub],
      name: labelled(device.name, device.simulated),
      manufacturer: 'Ganglion',
      // A simulated board's name says so itself.
      model: device.board,
      sw_version: device.version,
    }
  return {
    identifiers: [group.id],
    name: group.name,
    ...group.details,
    via_device: hub,
    ...(group.area !== undefined && { suggested_area: group.area }),
  }
}

function entityComponents(
  entity: EntityDescription,
  group: Group,
  home: HomeMessage,
  topics: Topics,
  options: DiscoveryOptions,
): [string, Component][] {
  const device = home.device.id
  const own = { state: topics.state(device, entity.id), set: topics.set(device, entity.id) }
  const components = componentsOf(entity, own, options.attributesOf?.(entity.id) ?? {})
  const main = nameWithin(group.name, entity.name)
  return Object.entries(components).map(([suffix, component]) => {
    const id = suffix === '' ? entity.id : `${entity.id}.${suffix}`
    const part = component['name']
    return [
      id,
      {
        ...component,
        name: typeof part === 'string' ? [main, part].filter(Boolean).join(' ') : main,
        unique_id: `${hubId(home)}_${id}`,
        availability: [
          { topic: topics.availability(device) },
          { topic: own.state, value_template: entityAvailability },
        ],
        availability_mode: 'all',
      },
    ]
  })
}

/** Home Assistant puts the device's name in front: what is left of the entity's, or null when they are the same. */
function nameWithin(device: string, entity: string): string | null {
  if (entity.toLowerCase() === device.toLowerCase()) return null
  const inside = entity.toLowerCase().startsWith(`${device.toLowerCase()} `)
  return inside ? entity.slice(device.length + 1) : entity
}

/** Split where one message would be too large: Home Assistant joins those with the same device again. */
function chunks(
  components: [string, Component][],
  bytesOf: (part: [string, Component][]) => number,
): [string, Component][][] {
  if (components.length <= 1 || bytesOf(components) <= wireLimits.mqttPayloadBytesMax) return [components]
  const middle = Math.ceil(components.length / 2)
  return [...chunks(components.slice(0, middle), bytesOf), ...chunks(components.slice(middle), bytesOf)]
}

/** Discovery topics allow fewer characters than our ids; a digest keeps two that differ only in those apart. */
function objectId(id: string): string {
  const plain = id.replace(/[^a-zA-Z0-9_-]/g, '_')
  if (plain === id) return id
  return `${plain}-${createHash('sha256').update(id).digest('hex').slice(0, 8)}`
}
