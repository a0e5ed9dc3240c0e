/**
 * Attributes of a home file in Home Assistant's vocabulary of states. Names are kept, but for those that name a device's
 * native value (`target_temperature`, `native_temperature`, …) where telemetry has another name for the same thing.
 */
import type { ComponentKind, Json } from '../contract/component.ts'
import { homeLimits } from './home-limits.ts'
import type { HomeNode } from './home-node.ts'

/** Attributes that are numbers, and their limits: files also write them as text (`volume_level: "50"`). */
const numeric: Readonly<Record<string, readonly [number, number]>> = {
  brightness: [0, 255],
  color_temp_kelvin: [1000, 20_000],
  min_color_temp_kelvin: [1000, 20_000],
  max_color_temp_kelvin: [1000, 20_000],
  percentage: [0, 100],
  current_position: [0, 100],
  current_tilt_position: [0, 100],
  volume_level: [0, 100],
  temperature: [-100, 200],
  current_temperature: [-100, 200],
  target_temp_low: [-100, 200],
  target_temp_high: [-100, 200],
  target_temp_step: [0, 10],
  min_temp: [-100, 200],
  max_temp: [-100, 200],
  humidity: [0, 100],
  current_humidity: [0, 100],
  battery_level: [0, 100],
  wind_speed: [0, 500],
  media_track: [0, 100_000],
}

const renamed: Readonly<Partial<Record<ComponentKind, Readonly<Record<string, string>>>>> = {
  climate: {
    target_temperature: 'temperature',
    target_temperature_low: 'target_temp_low',
    target_temperature_high: 'target_temp_high',
  },
  weather: {
    native_temperature: 'temperature',
    native_temperature_unit: 'temperature_unit',
    native_wind_speed: 'wind_speed',
    native_wind_speed_unit: 'wind_speed_unit',
    native_pressure: 'pressure',
    native_pressure_unit: 'pressure_unit',
  },
  sensor: { native_unit_of_measurement: 'unit_of_measurement' },
}

/** Lists of enum paths whose last part is what counts. */
const enumLists = new Set(['supported_features', 'supported_color_modes'])
const enumTexts = new Set(['device_class', 'state_class', 'color_mode'])

export function readAttributes(kind: ComponentKind, node: HomeNode): Record<string, Json> {
  const attributes: Record<string, Json> = {}
  for (const name of node.keys(homeLimits.attributesMax)) {
    const child = node.child(name)
    const known = renamed[kind]?.[name] ?? name
    // Without a value: the synthetic homes write null for "not set".
    if (child.absent || (known !== name && !node.child(known).absent)) continue
    attributes[known] = readAttribute(known, child)
  }
  return attributes
}

function readAttribute(name: string, node: HomeNode): Json {
  if (enumLists.has(name)) return Array.isArray(node.value) ? node.list(100).map(lastPart) : node.json()
  // One synthetic home writes a list of one.
  if (enumTexts.has(name)) return lastPart(Array.isArray(node.value) ? (node.list(1)[0] ?? node) : node)
  const limits = numeric[name]
  return limits ? readNumber(node, limits) : node.json()
}

/** `cover.CoverDeviceClass.GARAGE` and `garage` are both `garage`. */
function lastPart(node: HomeNode): string {
  const text = node.text()
  return text.slice(text.lastIndexOf('.') + 1).toLowerCase()
}

function readNumber(node: HomeNode, [min, max]: readonly [number, number]): number {
  const number = typeof node.value === 'string' && node.value.trim() !== '' ? Number(node.value) : node.value
  if (typeof number !== 'number' || !Number.isFinite(number)) return node.refuse('must be a number')
  if (number < min || number > max) node.refuse(`${number} is not between ${min} and ${max}`)
  return number
}

/** What `supported_color_modes` says a lamp can do, as features. */
export function colorFeatures(modes: readonly string[]): string[] {
  const color = modes.filter((mode) => ['rgb', 'rgbw', 'rgbww', 'hs', 'xy'].includes(mode))
  const features = modes.includes('onoff') && modes.length === 1 ? ['onoff'] : ['brightness']
  if (modes.includes('color_temp')) features.push('color_temp')
  if (color.length > 0) features.push('color', 'rgb')
  return features
}
