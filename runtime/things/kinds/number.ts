/** Numbers: a value to set, shown as the state. Half a percent of the range is a device's own rounding. */
import * as v from 'valibot'
import { commandSchema, effect, type KindRules } from './kind.ts'

export const numberKind: KindRules = {
  kind: 'number',
  schema: commandSchema({ value: v.pipe(v.number('must be a number'), v.finite('must be a number')) }),
  effect(command, info, before) {
    const wanted = command['value'] as number
    const range = info.range ? info.range.max - info.range.min : Math.abs(wanted)
    const way = Math.abs(wanted - Number(before.state))
    const rounding = Math.max(range * 0.005, (info.range?.step ?? 0) / 2)
    const tolerance = way > 0 ? Math.min(rounding, way * 0.49) : rounding
    return effect([{ path: 'state', near: wanted, tolerance }], 30_000)
  },
}
