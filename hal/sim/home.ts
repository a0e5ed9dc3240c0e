/**
 * Loads a home from its YAML file: areas, devices and entities with the state they start in. The format is that of Home
 * Assistant's synthetic homes (https://github.com/home-assistant-ecosystem/home-assistant-datasets), read tolerantly
 * where those vary and strictly where a person would have made a mistake.
 *
 * An id may be used once. The exception are devices that share an id in different areas, which the generated homes
 * have: their entities get `_2`, `_3` as Home Assistant gives them.
 */
import { parse } from 'yaml'
import type { Layout } from '../contract/board.ts'
import {
  actuatorKinds,
  type ComponentInfo,
  type ComponentKind,
  type Json,
  sensorKinds,
} from '../contract/component.ts'
import { HalError } from '../contract/errors.ts'
import { type HeatingFacts, readHeating } from './heating/facts.ts'
import { colorFeatures, readAttributes } from './home-attributes.ts'
import { homeLimits } from './home-limits.ts'
import { HomeNode, isMap } from './home-node.ts'
import { readState } from './home-state.ts'
import { todoItems, todoReport } from './kinds/todo.ts'
import { readWater, type WaterFacts } from './water/facts.ts'

export interface ParsedEntity {
  readonly info: ComponentInfo
  readonly state: string
  readonly attributes: Readonly<Record<string, Json>>
  /** Each device of a shared home has it: what anybody can ask for, such as the weather. */
  readonly everywhere?: boolean
}

export interface ParsedHome {
  readonly name: string
  readonly layout: Layout
  readonly entities: readonly ParsedEntity[]
  /** Ids of entities whose kind is not simulated. */
  readonly leftOut: readonly string[]
  /** What makes it warm and cold, where the file says so. */
  readonly heating?: HeatingFacts
  /** Where water runs in it, where the file says so. */
  readonly water?: WaterFacts
}

type Area = Layout['areas'][number]
type PhysicalDevice = NonNullable<ComponentInfo['device']> & { readonly area?: string }

const kindNames: readonly ComponentKind[] = [...actuatorKinds, ...sensorKinds]
const entityIdPattern = /^([a-z_]+)\.([A-Za-z0-9_]{1,100})$/
const idPattern = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$/

/**
 * Parses a home. `name` is used in errors. Throws HalError `malformed` with one line that names file and place. Does
 * not touch hardware or files.
 */
export function parseHome(yaml: string, name: string): ParsedHome {
  const root = new HomeNode(name, '', parseYaml(yaml, name))
  if (!isMap(root.value)) return root.refuse('must be a map with areas and entities')
  const areas = readAreas(root)
  const devices = readDevices(root, areas)
  const leftOut: string[] = []
  const entities = readEntities(root, areas, devices, leftOut)
  const heating = readHeating(root, areas)
  const water = readWater(root, new Set(entities.map(({ info }) => info.id)))
  const layout = { areas: [...areas.values()] }
  return { name, layout, entities, leftOut, ...(heating && { heating }), ...(water && { water }) }
}

function parseYaml(yaml: string, name: string): unknown {
  const bytes = Buffer.byteLength(yaml)
  if (bytes > homeLimits.bytesMax)
    throw new HalError('malformed', `${name}: ${bytes} bytes, more than the ${homeLimits.bytesMax} allowed`)
  try {
    return parse(yaml, { maxAliasCount: homeLimits.aliasesMax, prettyErrors: true, logLevel: 'error' })
  } catch (cause) {
    const firstLine = (cause instanceof Error ? cause.message : String(cause)).split('\n')[0]
    throw new HalError('malformed', `${name}: not YAML: ${firstLine?.replace(/:$/, '')}`, { cause })
  }
}

function readAreas(root: HomeNode): Map<string, Area> {
  const areas = new Map<string, Area>()
  for (const node of root.child('areas').list(homeLimits.areasMax)) {
    const id = readId(node)
    if (areas.has(id)) node.child('id').refuse(`${JSON.stringify(id)} is used twice`)
    const floor = node.child('floor').optionalText()
    const aliases = node
      .child('aliases')
      .list(homeLimits.attributesMax)
      .map((alias) => alias.text())
    areas.set(id, {
      id,
      name: node.child('name').text(),
      ...(floor === undefined ? {} : { floor }),
      ...(aliases.length === 0 ? {} : { aliases }),
    })
  }
  return areas
}

/** Devices by id; several under one id stand in different areas. */
function readDevices(root: HomeNode, areas: ReadonlyMap<string, Area>): Map<string, PhysicalDevice[]> {
  const devices = new Map<string, PhysicalDevice[]>()
  for (const node of root.child('devices').list(homeLimits.devicesMax)) {
    const id = readId(node)
    const area = readArea(node.child('area'), areas)
    const same = devices.get(id) ?? []
    if (same.some((device) => device.area === area))
      node.child('id').refuse(`${JSON.stringify(id)} is used twice`)
    const manufacturer = node.child('info').child('manufacturer').optionalText()
    const model = node.child('info').child('model').optionalText()
    const device = {
      id: same.length === 0 ? id : `${id}_${same.length + 1}`,
      name: node.child('name').text(),
      ...(area === undefined ? {} : { area }),
      ...(manufacturer === undefined ? {} : { manufacturer }),
      ...(model === undefined ? {} : { model }),
    }
    devices.set(id, [...same, device])
  }
  return devices
}

function readEntities(
  root: HomeNode,
  areas: ReadonlyMap<string, Area>,
  devices: ReadonlyMap<string, readonly PhysicalDevice[]>,
  leftOut: string[],
): ParsedEntity[] {
  const entities = new Map<string, ParsedEntity>()
  for (const node of root.child('entities').list(homeLimits.entitiesMax)) {
    const read = readEntityId(node.child('id'))
    if (!read.kind) {
      leftOut.push(read.id)
      continue
    }
    const { kind, object } = read
    const ownArea = readArea(node.child('area'), areas)
    const device = readDevice(node.child('device'), ownArea, devices)
    const wanted = `${kind}.${object}`
    const id = freeId(wanted, entities, device.shared)
    if (id === undefined) return node.child('id').refuse(`${JSON.stringify(wanted)} is used twice`)
    const area = ownArea ?? device.chosen?.area
    entities.set(id, readEntity(node, kind, object, id, area, device.chosen))
  }
  return [...entities.values()]
}

function readEntity(
  node: HomeNode,
  kind: ComponentKind,
  object: string,
  id: string,
  area: string | undefined,
  physical: PhysicalDevice | undefined,
): ParsedEntity {
  const attributes = readAttributes(kind, node.child('attributes'))
  const given = readState(kind, node.child('state'), attributes)
  // It has become the state; kept as well, it would go stale.
  delete attributes['native_value']
  const deviceClass = attributes['device_class']
  const unit = kind === 'sensor' ? attributes['unit_of_measurement'] : undefined
  const features = readFeatures(attributes)
  const { area: _, ...device } = physical ?? {}
  const info: ComponentInfo = {
    id,
    kind,
    name: node.child('name').optionalText() ?? nameOf(object),
    ...(area === undefined ? {} : { area }),
    ...(physical ? { device: device as NonNullable<ComponentInfo['device']> } : {}),
    ...(typeof deviceClass === 'string' ? { deviceClass } : {}),
    ...(typeof unit === 'string' ? { unit } : {}),
    ...(features === undefined ? {} : { features }),
    simulated: true,
  }
  if (kind === 'todo') return { info, ...withItems(given, attributes) }
  const everywhere = node.child('everywhere').value === true
  return { info, state: given, attributes, ...(everywhere && area === undefined ? { everywhere } : {}) }
}

/** A list always reports its items, and its state counts them. */
function withItems(state: string, attributes: Record<string, Json>): Omit<ParsedEntity, 'info'> {
  const report = todoReport(todoItems({ state, attributes }))
  return { state: report.state, attributes: { ...attributes, ...report.attributes } }
}

function readFeatures(attributes: Record<string, Json>): string[] | undefined {
  const declared = attributes['supported_features']
  const modes = attributes['supported_color_modes']
  if (!Array.isArray(declared) && !Array.isArray(modes)) return undefined
  const fromModes = Array.isArray(modes) ? colorFeatures(modes.map(String)) : []
  return [...new Set([...fromModes, ...(Array.isArray(declared) ? declared.map(String) : [])])]
}

/** Without a kind: one that a home may well have and nobody simulates, such as a camera. */
function readEntityId(node: HomeNode): { id: string; kind: ComponentKind | undefined; object: string } {
  const id = node.text()
  const [, prefix, object] = entityIdPattern.exec(id) ?? []
  if (!prefix || !object)
    return node.refuse(`${JSON.stringify(id)} is not <kind>.<name>, for example light.kitchen`)
  return { id, kind: kindNames.find((candidate) => candidate === prefix), object }
}

function readId(node: HomeNode): string {
  const id = node.child('id').text()
  if (!idPattern.test(id))
    node.child('id').refuse(`${JSON.stringify(id)} may only have letters, digits, "_", "-", "."`)
  return id
}

function readArea(node: HomeNode, areas: ReadonlyMap<string, Area>): string | undefined {
  const id = node.optionalText()
  if (id !== undefined && !areas.has(id)) node.refuse(`no area ${JSON.stringify(id)}`)
  return id
}

/** The device of an entity: among several of one id, the one in the entity's area. */
function readDevice(
  node: HomeNode,
  area: string | undefined,
  devices: ReadonlyMap<string, readonly PhysicalDevice[]>,
): { chosen: PhysicalDevice | undefined; shared: boolean } {
  const id = node.optionalText()
  if (id === undefined) return { chosen: undefined, shared: false }
  const same = devices.get(id)
  if (!same) return node.refuse(`no device ${JSON.stringify(id)}`)
  return { chosen: same.find((device) => device.area === area) ?? same[0], shared: same.length > 1 }
}

/** The id itself when unused; where devices share an id, the next one with a number; otherwise none. */
function freeId(
  wanted: string,
  used: ReadonlyMap<string, ParsedEntity>,
  shared: boolean,
): string | undefined {
  if (!used.has(wanted)) return wanted
  if (!shared) return undefined
  for (let number = 2; ; number += 1) {
    if (!used.has(`${wanted}_${number}`)) return `${wanted}_${number}`
  }
}

/** `kitchen_ceiling` reads `Kitchen ceiling`. */
function nameOf(object: string): string {
  const words = object.replaceAll('_', ' ').trim()
  return words.charAt(0).toUpperCase() + words.slice(1)
}
