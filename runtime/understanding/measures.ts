/** Quantities that people ask for, and where an entity reports them. */
import type { Entity } from '../things/entity.ts'
import { silence, withUnit } from './describe.ts'
import { unitOf } from './intents/climate.ts'

export interface Measure {
  readonly name: string
  /** The value as said, or undefined where the entity does not report it. */
  read(entity: Entity): string | undefined
}

function attribute(entity: Entity, name: string): number | undefined {
  const value = entity.telemetry.attributes[name]
  if (value === null || value === undefined || value === '' || typeof value === 'boolean') return undefined
  return Number.isFinite(Number(value)) ? Number(value) : undefined
}

function sensorOf(classes: readonly string[], word: string, units: readonly string[] = []) {
  return (entity: Entity): string | undefined => {
    if (entity.info.kind !== 'sensor' || silence(entity) !== undefined) return undefined
    const { deviceClass, unit, name } = entity.info
    const byClass = deviceClass !== undefined && classes.includes(deviceClass)
    const byUnit = deviceClass === undefined && unit !== undefined && units.includes(unit)
    const byName = deviceClass === undefined && name.toLowerCase().includes(word)
    return byClass || byUnit || byName ? withUnit(entity) : undefined
  }
}

function weatherUnit(entity: Entity, name: string): string {
  const unit = entity.telemetry.attributes[`${name}_unit`]
  return typeof unit === 'string' ? ` ${unit}` : ''
}

const temperatureSensor = sensorOf(['temperature'], 'temperature', ['°C', '°F'])
const humiditySensor = sensorOf(['humidity'], 'humidity')

const temperature: Measure = {
  name: 'temperature',
  read: (entity) => {
    const value = attribute(entity, entity.info.kind === 'climate' ? 'current_temperature' : 'temperature')
    if (value !== undefined && entity.info.kind === 'climate') return `${value} ${unitOf(entity)}`
    if (value !== undefined && entity.info.kind === 'weather')
      return `${value}${weatherUnit(entity, 'temperature')}`
    return temperatureSensor(entity)
  },
}
const humidity: Measure = {
  name: 'humidity',
  read: (entity) => {
    const name = entity.info.kind === 'climate' ? 'current_humidity' : 'humidity'
    const value = attribute(entity, name)
    const reports = entity.info.kind === 'climate' || entity.info.kind === 'weather'
    return reports && value !== undefined ? `${value} %` : humiditySensor(entity)
  },
}
const percent = (name: string, kind: string, field: string, scale: (value: number) => number): Measure => ({
  name,
  read: (entity) => {
    const value = attribute(entity, field)
    return entity.info.kind === kind && value !== undefined ? `${Math.round(scale(value))} %` : undefined
  },
})

export const setPoint: Measure = {
  name: 'set temperature',
  read: (entity) => {
    const value = attribute(entity, 'temperature')
    return entity.info.kind === 'climate' && value !== undefined ? `${value} ${unitOf(entity)}` : undefined
  },
}

const sensor = (name: string, classes: readonly string[]): Measure => ({
  name,
  read: sensorOf(classes, name),
})

/** By word. */
export const measures: ReadonlyMap<string, Measure> = new Map<string, Measure>([
  ['temperature', temperature],
  ['temp', temperature],
  ['warm', temperature],
  ['hot', temperature],
  ['cold', temperature],
  ['degrees', temperature],
  ['humidity', humidity],
  ['humid', humidity],
  ['brightness', percent('brightness', 'light', 'brightness', (value) => (value * 100) / 255)],
  ['bright', percent('brightness', 'light', 'brightness', (value) => (value * 100) / 255)],
  ['volume', percent('volume', 'media_player', 'volume_level', (value) => (value > 1 ? value : value * 100))],
  ['loud', percent('volume', 'media_player', 'volume_level', (value) => (value > 1 ? value : value * 100))],
  ['position', percent('position', 'cover', 'current_position', (value) => value)],
  ['speed', percent('speed', 'fan', 'percentage', (value) => value)],
  ['battery', sensor('battery', ['battery'])],
  ['energy', sensor('energy', ['energy'])],
  ['power', sensor('power', ['power', 'apparent_power'])],
  ['pressure', sensor('pressure', ['pressure', 'atmospheric_pressure'])],
  ['illuminance', sensor('illuminance', ['illuminance'])],
  ['voltage', sensor('voltage', ['voltage'])],
  ['current', sensor('current', ['current'])],
  ['consumption', sensor('consumption', ['energy', 'power', 'water', 'gas'])],
  ['wind', sensor('wind', ['wind_speed'])],
])
