/** Lights. Tolerances cover the rounding of real dimmers: brightness steps of 1 % are 2.55 of 255. */
import * as v from 'valibot'
import { type Check, commandSchema, effect, type KindRules, near, onOff } from './kind.ts'

const level = v.pipe(
  v.number('must be a number'),
  v.minValue(0, 'must be 0 to 255'),
  v.maxValue(255, 'must be 0 to 255'),
)

export const light: KindRules = {
  kind: 'light',
  schema: commandSchema({
    state: v.optional(onOff),
    brightness: v.optional(level),
    rgb_color: v.optional(v.strictTuple([level, level, level], 'must be [red, green, blue]')),
    color_temp_kelvin: v.optional(
      v.pipe(
        v.number('must be a number'),
        v.minValue(1000, 'must be 1000 to 12000'),
        v.maxValue(12000, 'must be 1000 to 12000'),
      ),
    ),
  }),
  effect(command, _info, before) {
    if (command['state'] === 'off' || command['brightness'] === 0)
      return effect([{ path: 'state', oneOf: ['off'] }], 2_000)
    const checks: Check[] = [{ path: 'state', oneOf: ['on'] }]
    const { brightness, rgb_color: rgb, color_temp_kelvin: kelvin } = command
    if (typeof brightness === 'number') checks.push(near('brightness', brightness, 3, before))
    if (Array.isArray(rgb)) checks.push({ path: 'rgb_color', nearAll: rgb.map(Number), tolerance: 8 })
    if (typeof kelvin === 'number') checks.push(near('color_temp_kelvin', kelvin, kelvin * 0.03, before))
    return effect(checks, 2_000)
  },
}
