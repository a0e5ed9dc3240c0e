/** Lights: on and off, brightness, colour, colour temperature. Brightness is 0-255; percent rounds to the nearest. */
import type { Json } from '../../../hal/contract/component.ts'
import type { Entity } from '../../things/entity.ts'
import { colourName } from '../colours.ts'
import type { Slots } from '../slots.ts'
import {
  type Act,
  inPercent,
  numberOf,
  outsidePercent,
  percentOf,
  type Rule,
  turnsOff,
  turnsOn,
} from './rule.ts'

/** The lowest step that is still light: `minimum brightness` does not mean off. */
const percentMin = 1
/** Step of `brighter` and `dimmer` without an amount: clearly seen, and four of them cross the range. */
const stepPercent = 25
const slightPercent = 10
const levelPercent = { low: 25, medium: 50, high: 100 } as const
/** Home Assistant's default range of colour temperature. */
const kelvinDefault = { min: 2000, max: 6535 }

const colorModes = ['rgb', 'rgbw', 'rgbww', 'hs', 'xy', 'color']

/** What the lamp says it can do; undefined where it says nothing. Its report is newer than its description. */
function declared(entity: Entity): readonly string[] | undefined {
  const modes = entity.telemetry.attributes['supported_color_modes']
  if (Array.isArray(modes)) return modes.map(String)
  const { features } = entity.info
  return features === undefined || features.length === 0 ? undefined : features
}

function dims(entity: Entity): boolean {
  return declared(entity)?.some((mode) => mode !== 'onoff') ?? true
}

function brightnessOf(entity: Entity): number {
  return numberOf(entity, 'brightness') ?? (entity.telemetry.state === 'off' ? 0 : 255)
}

function change({ direction, amount, slight }: Slots): number {
  const size = amount?.relative === true ? amount.value : slight ? slightPercent : stepPercent
  return direction === 'down' ? -size : size
}

function isRelative({ direction, amount, level }: Slots): boolean {
  return direction !== undefined && level === undefined && (amount === undefined || amount.relative)
}

function wantedPercent(entity: Entity, slots: Slots): number | undefined {
  if (slots.level === 'low' || slots.level === 'medium' || slots.level === 'high')
    return slots.amount === undefined ? levelPercent[slots.level] : slots.amount.value
  if (slots.level === 'min' && slots.amount === undefined) return percentMin
  if (!isRelative(slots)) return percentOf(slots)
  const now = (brightnessOf(entity) * 100) / 255
  return Math.round(Math.min(100, Math.max(percentMin, now + change(slots))))
}

function brightness(entity: Entity, percent: number, name: string): Act {
  const outside = outsidePercent(`The brightness of ${name}`, percent)
  if (outside) return outside
  if (percent === 0) return { command: { state: 'off' }, effect: 'off' }
  if (!dims(entity)) return { impossible: `${name} can only be on or off, its brightness cannot be set` }
  return {
    command: { state: 'on', brightness: Math.round((percent * 255) / 100) },
    effect: `at ${Math.round(percent)} %`,
  }
}

/** Colour temperature as a word, with its unit, or as the number beside `colour temperature`. */
function kelvinOf({ kelvin, amount, attribute }: Slots): number | undefined {
  if (kelvin !== undefined) return kelvin
  const isKelvin = amount?.unit === 'kelvin' || (attribute === 'color_temp' && amount?.unit === undefined)
  return isKelvin && amount?.relative === false ? amount.value : undefined
}

function colour(entity: Entity, slots: Slots): Record<string, Json> | string {
  const { name } = entity.info
  const modes = declared(entity)
  const kelvin = kelvinOf(slots)
  if (kelvin !== undefined) {
    if (modes !== undefined && !modes.includes('color_temp'))
      return `${name} cannot change its colour temperature`
    const min = numberOf(entity, 'min_color_temp_kelvin') ?? kelvinDefault.min
    const max = numberOf(entity, 'max_color_temp_kelvin') ?? kelvinDefault.max
    if (kelvin >= min && kelvin <= max) return { color_temp_kelvin: kelvin }
    return `The colour temperature of ${name} goes from ${min} to ${max} K, not ${kelvin} K`
  }
  if (modes !== undefined && !modes.some((mode) => colorModes.includes(mode)))
    return `${name} cannot change its colour`
  return { rgb_color: [...(slots.rgb ?? [255, 255, 255])] }
}

function setColour(entity: Entity, slots: Slots): Act {
  const fields = colour(entity, slots)
  if (typeof fields === 'string') return { impossible: fields }
  const kelvin = fields['color_temp_kelvin']
  const said = kelvin === undefined ? colourName(slots.rgb ?? [255, 255, 255]) : `at ${kelvin} K`
  const isKelvin = slots.kelvin === undefined && kelvin !== undefined
  const percent = isKelvin ? undefined : wantedPercent(entity, slots)
  const command: Record<string, Json> = { state: 'on', ...fields }
  if (percent === undefined) return { command, effect: said }
  const level = brightness(entity, percent, entity.info.name)
  if (!('command' in level)) return level
  return { command: { ...command, ...level.command }, effect: `${said} ${level.effect}` }
}

export const lightRules: readonly Rule[] = [
  {
    intent: 'light.turn_on',
    kind: 'light',
    uses: ['state', 'verb'],
    implied: 'area',
    when: turnsOn,
    act: () => ({ command: { state: 'on' }, effect: 'on' }),
  },
  {
    intent: 'light.turn_off',
    kind: 'light',
    uses: ['state', 'verb'],
    implied: 'area',
    when: turnsOff,
    act: () => ({ command: { state: 'off' }, effect: 'off' }),
  },
  {
    intent: 'light.set_brightness',
    kind: 'light',
    uses: ['state', 'attribute', 'amount', 'level', 'direction'],
    implied: 'area',
    when: (slots) =>
      slots.state !== 'off' &&
      inPercent(slots) &&
      (slots.attribute === undefined || slots.attribute === 'brightness') &&
      (percentOf(slots) !== undefined || isRelative(slots)),
    act: (entity, slots) => {
      const { name } = entity.info
      if (isRelative(slots) && slots.direction === 'down' && brightnessOf(entity) === 0)
        return { impossible: `${name} is off, so it cannot be dimmed`, value: true }
      return brightness(entity, wantedPercent(entity, slots) ?? 100, name)
    },
  },
  {
    intent: 'light.set_color',
    kind: 'light',
    uses: ['state', 'attribute', 'rgb', 'kelvin', 'amount', 'level', 'direction'],
    implied: 'area',
    when: (slots) =>
      slots.state !== 'off' &&
      (slots.rgb !== undefined || kelvinOf(slots) !== undefined) &&
      (slots.attribute === undefined || ['color', 'color_temp', 'brightness'].includes(slots.attribute)) &&
      (slots.direction === undefined || percentOf(slots) !== undefined),
    act: setColour,
  },
]
