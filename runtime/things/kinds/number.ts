/**
 * Numbers: a value to set, shown as the state. Half a percent of the range is a device's own rounding. What is less than half
 * of its step away is where it is already: it cannot come nearer.
 */
import * as v from 'valibot'
import { commandSchema, effect, type KindRules } from './kind.ts'

export const numberKind: KindRules = {
  kind: 'number',
  schema: commandSchema({ value: v.pipe(v.number('must be a number'), v.finite('must be a number')) }),
  effect(command, info, before) {
    const wanted = command['value'] as number
    const range = info.range ? info.range.max - info.range.min : Math.abs(wanted)
    const way = Math.abs(wanted - Number(before.state))
    const halfStep = (info.range?.step ?? 0) / 2
    const rounding = Math.max(range * 0.005, halfStep)
    const tolerance = way > halfStep ? Math.min(rounding, way * 0.49) : rounding
    return effect([{ path: 'state', near: wanted, tolerance }], 30_000)
  },
}
