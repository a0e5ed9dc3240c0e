/** Fans. Many have three speeds and report the nearest, hence the wide tolerance on the percentage. */
import * as v from 'valibot'
import { type Check, commandSchema, effect, type KindRules, onOff, percentage, shortText } from './kind.ts'

export const fan: KindRules = {
  kind: 'fan',
  schema: commandSchema({
    state: v.optional(onOff),
    percentage: v.optional(percentage),
    oscillating: v.optional(v.boolean('must be true or false')),
    preset_mode: v.optional(shortText),
  }),
  effect(command) {
    if (command['state'] === 'off' || command['percentage'] === 0)
      return effect([{ path: 'state', oneOf: ['off'] }], 3_000)
    const checks: Check[] = [{ path: 'state', oneOf: ['on'] }]
    const { percentage: speed, oscillating, preset_mode: preset } = command
    if (typeof speed === 'number') checks.push({ path: 'percentage', near: speed, tolerance: 17 })
    if (typeof oscillating === 'boolean') checks.push({ path: 'oscillating', value: oscillating })
    if (typeof preset === 'string') checks.push({ path: 'preset_mode', value: preset })
    return effect(checks, 3_000)
  },
}
