/** Numbers: a value to set, in the number's own unit or in percent of its range, or so much up or down. */
import type { Entity } from '../../things/entity.ts'
import type { Slots, Unit } from '../slots.ts'
import { type Act, percentOf, type Rule } from './rule.ts'

type Range = NonNullable<Entity['info']['range']>

/** What a unit that was said may stand for; `degrees` are those of an arc as well as of a thermometer. */
const meant: Readonly<Record<Exclude<Unit, 'percent'>, readonly string[]>> = {
  degree: ['°', '°C', '°F'],
  celsius: ['°C'],
  fahrenheit: ['°F'],
  kelvin: ['K'],
}

function set(entity: Entity, slots: Slots): Act {
  const { name, range, unit } = entity.info
  const size = sizeOf(slots, range, unit)
  if (size === undefined) return { impossible: `${name} is set in ${unit ?? 'numbers without a unit'}` }
  const value = slots.direction === undefined ? size : moved(entity, slots.direction === 'up' ? size : -size)
  if (value === undefined) return { impossible: `${name} does not report its value, so say which` }
  if (range && (value < range.min || value > range.max))
    return {
      impossible: `${name} goes from ${range.min} to ${measured(range.max, unit)}, not ${measured(value, unit)}`,
      value: true,
    }
  return { command: { value }, effect: `at ${measured(value, unit)}` }
}

/** The value, or the size of a change, in the number's unit; undefined where what was said is in another one. */
function sizeOf(slots: Slots, range: Range | undefined, unit: string | undefined): number | undefined {
  const { amount, direction } = slots
  if (amount && (amount.unit === undefined || (amount.unit === 'percent' && unit === '%')))
    return amount.value
  if (amount && amount.unit !== 'percent')
    return meant[amount.unit as keyof typeof meant].includes(unit ?? '') ? amount.value : undefined
  const percent = amount?.value ?? percentOf(slots)
  if (range === undefined || percent === undefined) return undefined
  const part = ((range.max - range.min) * percent) / 100
  return tidy(direction === undefined ? range.min + part : part)
}

/** A change ends at the end of the range. */
function moved({ info: { range }, telemetry }: Entity, by: number): number | undefined {
  const now = Number(telemetry.state === '' ? Number.NaN : telemetry.state)
  if (!Number.isFinite(now)) return undefined
  const { min, max } = range ?? { min: -Infinity, max: Infinity }
  return tidy(Math.min(max, Math.max(min, now + by)))
}

function tidy(value: number): number {
  return Math.round(value * 1000) / 1000
}

function measured(value: number, unit: string | undefined): string {
  if (unit === undefined || unit === '') return String(value)
  return unit === '°' ? `${value}°` : `${value} ${unit}`
}

export const numberRules: readonly Rule[] = [
  {
    intent: 'number.set',
    kind: 'number',
    uses: ['amount', 'level', 'attribute', 'direction'],
    when: ({ amount, level, attribute, direction }) =>
      (attribute === undefined || attribute === 'position') &&
      (direction === undefined
        ? level !== undefined || amount?.relative === false
        : level === undefined && amount?.relative === true),
    several: 'never',
    act: set,
  },
]
