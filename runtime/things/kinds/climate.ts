/** Heating and cooling. The effect is the set-point and mode that the thermostat reports, not the room's temperature. */
import * as v from 'valibot'
import type { Telemetry } from '../../../hal/contract/component.ts'
import { type Check, commandSchema, effect, type KindRules, near, onOff, shortText } from './kind.ts'

const temperature = v.pipe(
  v.number('must be a number'),
  v.finite('must be finite'),
  v.minValue(-50, 'must be -50 to 150'),
  v.maxValue(150, 'must be -50 to 150'),
)

export const climate: KindRules = {
  kind: 'climate',
  schema: commandSchema({
    state: v.optional(onOff),
    hvac_mode: v.optional(shortText),
    temperature: v.optional(temperature),
    target_temp_low: v.optional(temperature),
    target_temp_high: v.optional(temperature),
    fan_mode: v.optional(shortText),
    preset_mode: v.optional(shortText),
  }),
  effect(command, _info, before) {
    const checks: Check[] = []
    const { state, hvac_mode: mode } = command
    if (state === 'off') checks.push({ path: 'state', oneOf: ['off'] })
    if (state === 'on') checks.push({ path: 'state', noneOf: ['off', 'unknown', 'unavailable'] })
    if (typeof mode === 'string') checks.push({ path: 'state', oneOf: [mode] })
    for (const name of ['temperature', 'target_temp_low', 'target_temp_high']) {
      const wanted = command[name]
      if (typeof wanted === 'number') checks.push(near(name, wanted, stepOf(before) / 2, before))
    }
    for (const name of ['fan_mode', 'preset_mode']) {
      const wanted = command[name]
      if (typeof wanted === 'string') checks.push({ path: name, value: wanted })
    }
    return effect(checks, 8_000)
  },
}

/** How finely the thermostat can be set; half a degree is the coarsest that is common. */
function stepOf(before: Telemetry): number {
  const step = before.attributes['target_temp_step']
  return typeof step === 'number' && step > 0 ? step : 0.5
}
