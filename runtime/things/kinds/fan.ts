/** Fans. Those with few speeds say how far apart these are (`percentage_step`), and report the nearest. */
import * as v from 'valibot'
import {
  type Check,
  commandSchema,
  effect,
  type KindRules,
  near,
  onOff,
  percentage,
  shortText,
} from './kind.ts'

export const fan: KindRules = {
  kind: 'fan',
  schema: commandSchema({
    state: v.optional(onOff),
    percentage: v.optional(percentage),
    oscillating: v.optional(v.boolean('must be true or false')),
    preset_mode: v.optional(shortText),
  }),
  effect(command, _info, before) {
    if (command['state'] === 'off' || command['percentage'] === 0)
      return effect([{ path: 'state', oneOf: ['off'] }], 3_000)
    const checks: Check[] = [{ path: 'state', oneOf: ['on'] }]
    const { percentage: speed, oscillating, preset_mode: preset } = command
    if (typeof speed === 'number')
      checks.push(near('percentage', speed, toleranceOf(before.attributes['percentage_step']), before))
    if (typeof oscillating === 'boolean') checks.push({ path: 'oscillating', value: oscillating })
    if (typeof preset === 'string') checks.push({ path: 'preset_mode', value: preset })
    return effect(checks, 3_000)
  },
}

function toleranceOf(step: unknown): number {
  return typeof step === 'number' ? Math.max(2, step / 2) : 2
}
