/** Climate: the wanted temperature in steps, and the mode. */
import { type EntityView, numberOf, textsOf } from '../entity.ts'
import { Choice } from '../ui/choice.tsx'
import { Stepper } from '../ui/stepper.tsx'
import { trimmed } from '../words.ts'
import type { ControlProps } from './controls.ts'

const targets = [
  ['temperature', 'Target'],
  ['target_temp_low', 'Not below'],
  ['target_temp_high', 'Not above'],
] as const
/** Home Assistant's modes, for a device that does not list its own. */
const usualModes = ['off', 'heat', 'cool', 'heat_cool', 'auto', 'dry', 'fan_only']
/** A room is never warmer than this in °C, so a higher reading without a unit is °F. */
const celsiusMax = 45

export function ClimateControls({ entity, busy, disabled, send }: ControlProps) {
  const { attributes } = entity
  const modes = textsOf(attributes['hvac_modes'])
  const fahrenheit = unitOf(entity) === ' °F'
  return (
    <>
      {targets.map(([field, label]) => {
        const value = numberOf(attributes[field])
        return (
          value !== undefined && (
            <Stepper
              key={field}
              label={label}
              unit={unitOf(entity)}
              value={value}
              min={numberOf(attributes['min_temp']) ?? (fahrenheit ? 45 : 7)}
              max={numberOf(attributes['max_temp']) ?? (fahrenheit ? 95 : 35)}
              step={numberOf(attributes['target_temp_step']) ?? (fahrenheit ? 1 : 0.5)}
              busy={busy}
              disabled={disabled}
              onCommit={(wanted) => send({ [field]: wanted })}
            />
          )
        )
      })}
      <Choice
        label="Mode"
        value={entity.state}
        choices={modes.length > 0 ? modes : usualModes}
        disabled={disabled}
        onChoose={(mode) => send({ hvac_mode: mode })}
      />
    </>
  )
}

/** `Heat, now 20.5 °C`. */
export function climateWords(entity: EntityView, state: string): string {
  const current = numberOf(entity.attributes['current_temperature'])
  return current === undefined ? state : `${state}, now ${trimmed(current, 1)}${unitOf(entity)}`
}

function unitOf({ attributes, unit }: EntityView): string {
  const declared = attributes['temperature_unit'] ?? attributes['unit_of_measurement'] ?? unit
  if (typeof declared === 'string') return ` ${declared}`
  return (numberOf(attributes['current_temperature']) ?? 0) > celsiusMax ? ' °F' : ' °C'
}
