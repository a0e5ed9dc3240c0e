/**
 * Thermostats, heaters, anything with a set point. A number without a unit is in the device's unit, unless only the
 * other one makes sense (`72` on a Celsius thermostat). Limits: the device's own, else Home Assistant's defaults
 * (7 to 35 °C); for water, which people want hotter, up to 60 °C.
 */
import type { Json } from '../../../hal/contract/component.ts'
import type { Entity } from '../../things/entity.ts'
import type { Amount, Slots } from '../slots.ts'
import { type Act, numberOf, type Rule } from './rule.ts'

type TemperatureUnit = '°C' | '°F'

/** Step of `warmer` and `cooler`. */
const step = { '°C': 1, '°F': 2 } as const
const usual = { '°C': { min: 7, max: 35 }, '°F': { min: 45, max: 95 } } as const
const hotWater = { '°C': { min: 7, max: 60 }, '°F': { min: 45, max: 140 } } as const
/** Preference for `on` without a mode. */
const onModes = ['heat_cool', 'auto', 'heat', 'cool'] as const

/** The unit of a thermostat: declared, else °F where the room would be too hot for °C. */
export function unitOf(entity: Entity): TemperatureUnit {
  const { attributes } = entity.telemetry
  const declared = attributes['unit_of_measurement'] ?? attributes['temperature_unit'] ?? entity.info.unit
  if (declared === '°F' || declared === '°C') return declared
  const seen = numberOf(entity, 'temperature', 'current_temperature')
  return seen !== undefined && seen > 45 ? '°F' : '°C'
}

/** Converts between °C and °F, to one decimal. */
function convert(value: number, from: TemperatureUnit, to: TemperatureUnit): number {
  if (from === to) return value
  return Math.round((to === '°F' ? (value * 9) / 5 + 32 : ((value - 32) * 5) / 9) * 10) / 10
}

function range(entity: Entity, unit: TemperatureUnit): { min: number; max: number } {
  const water = /shower|bath|tub|pool|spa|water|boiler|kettle/i.test(`${entity.info.name} ${entity.info.id}`)
  const fallback = (water ? hotWater : usual)[unit]
  return {
    min: numberOf(entity, 'min_temp') ?? fallback.min,
    max: numberOf(entity, 'max_temp') ?? fallback.max,
  }
}

function inUnit(entity: Entity, amount: Amount, unit: TemperatureUnit): number {
  if (amount.unit === 'celsius') return convert(amount.value, '°C', unit)
  if (amount.unit === 'fahrenheit') return convert(amount.value, '°F', unit)
  if (amount.unit === 'kelvin') return convert(Math.round((amount.value - 273.15) * 10) / 10, '°C', unit)
  const { min, max } = range(entity, unit)
  if (amount.value >= min && amount.value <= max) return amount.value
  const other = convert(amount.value, unit === '°C' ? '°F' : '°C', unit)
  return other >= min && other <= max ? other : amount.value
}

function target(entity: Entity, slots: Slots, unit: TemperatureUnit): number | string {
  const { amount, direction, level } = slots
  if (level === 'max') return range(entity, unit).max
  if (level === 'min') return range(entity, unit).min
  if (amount !== undefined && !amount.relative) return inUnit(entity, amount, unit)
  const now = numberOf(entity, 'temperature', 'target_temperature', 'current_temperature')
  if (now === undefined) return `${entity.info.name} does not report its temperature, so say which one`
  const size = sizeOf(amount, unit)
  return Math.round((now + (direction === 'down' ? -size : size)) * 10) / 10
}

/** A change in degrees: no offset, only the scale. */
function sizeOf(amount: Amount | undefined, unit: TemperatureUnit): number {
  if (amount === undefined) return step[unit]
  if (amount.unit === 'celsius' && unit === '°F') return (amount.value * 9) / 5
  if (amount.unit === 'fahrenheit' && unit === '°C') return (amount.value * 5) / 9
  return amount.value
}

function setTemperature(entity: Entity, slots: Slots): Act {
  const unit = unitOf(entity)
  const wanted = target(entity, slots, unit)
  const { name } = entity.info
  if (typeof wanted === 'string') return { impossible: wanted }
  const { min, max } = range(entity, unit)
  if (wanted < min || wanted > max)
    return {
      impossible: `${name} can be set from ${min} to ${max} ${unit}, not to ${wanted} ${unit}`,
      value: true,
    }
  const command: Record<string, Json> = { ...mode(entity, slots), temperature: wanted }
  return { command, effect: `set to ${wanted} ${unit}${asSaid(slots.amount, wanted)}` }
}

/** Taken for the other unit than the device's, an amount is said back as it was heard. */
function asSaid(amount: Amount | undefined, wanted: number): string {
  if (amount === undefined || amount.relative || amount.value === wanted) return ''
  const other = convert(amount.value, '°F', '°C') === wanted ? '°F' : '°C'
  return amount.unit === 'kelvin' ? '' : ` (${amount.value} ${other})`
}

/** `heat the bedroom to 22` also starts a thermostat that is off; one that runs keeps its mode. */
function mode(entity: Entity, { mode: wanted, modeSaid, state, direction }: Slots): Record<string, Json> {
  const asked = modeSaid && direction === undefined ? pickMode(entity, wanted) : undefined
  if (asked !== undefined) return { hvac_mode: asked }
  if (direction !== undefined || entity.telemetry.state !== 'off') return {}
  const chosen = wanted === undefined && state !== 'on' ? undefined : pickMode(entity, wanted)
  return chosen === undefined ? {} : { hvac_mode: chosen }
}

function offered(entity: Entity): string[] | undefined {
  const modes = entity.telemetry.attributes['hvac_modes']
  return Array.isArray(modes) ? modes.map(String) : undefined
}

function pickMode(entity: Entity, wanted: Slots['mode']): string | undefined {
  const modes = offered(entity)
  if (wanted !== undefined) return modes === undefined || modes.includes(wanted) ? wanted : undefined
  const now = entity.telemetry.state
  if (now !== 'off' && (modes?.includes(now) ?? onModes.some((known) => known === now))) return now
  if (modes === undefined) return 'heat'
  return onModes.find((known) => modes.includes(known)) ?? modes.find((known) => known !== 'off')
}

function turnOn(entity: Entity, slots: Slots): Act {
  const { name } = entity.info
  const chosen = pickMode(entity, slots.mode)
  if (chosen !== undefined)
    return { command: { hvac_mode: chosen }, effect: slots.mode ? `set to ${chosen}` : 'on' }
  return {
    impossible: `${name} cannot ${slots.mode ?? 'be turned on'}; it has ${offered(entity)?.join(', ')}`,
  }
}

function saysTemperature({ amount, attribute, level, direction }: Slots): boolean {
  if (attribute !== undefined && attribute !== 'temperature') return false
  if (amount?.unit === 'percent') return false
  if (amount !== undefined) return !amount.relative || direction !== undefined
  return direction !== undefined || level === 'max' || level === 'min'
}

/** Words that can only speak of a temperature, so that no device need be named. */
function onlyTemperature({ amount, attribute }: Slots): boolean {
  return attribute === 'temperature' || ['degree', 'celsius', 'fahrenheit'].includes(amount?.unit ?? '')
}

const temperatureSlots = ['attribute', 'amount', 'level', 'direction', 'mode', 'state'] as const

export const climateRules: readonly Rule[] = [
  {
    intent: 'climate.turn_on',
    kind: 'climate',
    uses: ['state', 'verb', 'mode', 'attribute'],
    when: ({ state, verb, mode, attribute }) => {
      if (attribute !== undefined && attribute !== 'mode') return false
      if (state === 'off' || verb === 'stop') return false
      return verb === undefined
        ? state === 'on' || mode !== undefined
        : verb === 'start' && state === undefined
    },
    act: turnOn,
  },
  {
    intent: 'climate.turn_off',
    kind: 'climate',
    uses: ['state', 'verb', 'mode'],
    when: ({ state, verb }) =>
      (state === 'off' && verb === undefined) || (verb === 'stop' && state === undefined),
    act: () => ({ command: { hvac_mode: 'off' }, effect: 'off' }),
  },
  {
    intent: 'climate.set_temperature',
    kind: 'climate',
    uses: temperatureSlots,
    implied: 'nothing',
    when: (slots) => saysTemperature(slots) && onlyTemperature(slots) && slots.state !== 'off',
    act: setTemperature,
  },
  {
    intent: 'climate.set_temperature',
    kind: 'climate',
    uses: temperatureSlots,
    when: (slots) => saysTemperature(slots) && !onlyTemperature(slots) && slots.state !== 'off',
    act: setTemperature,
  },
]
