/** At most so many commanded changes in any window. Going safe and the moves of a ramp are not counted. */
import type { Constraint } from '../../contract/safety.ts'
import { type Output, reason } from '../kernel-output.ts'
import type { Scope } from './scope.ts'

/** Every counted change is remembered; more than this is no limit worth keeping. */
const changesRemembered = 1000

export function attachRate(definition: Extract<Constraint, { rule: 'rate' }>, scope: Scope): void {
  const { changesMax, because } = definition
  const output = scope.output(definition.output)
  if (!(Number.isInteger(changesMax) && changesMax >= 1 && changesMax <= changesRemembered)) {
    scope.fail(`changesMax is ${changesMax}, must be a whole number from 1 to ${changesRemembered}`)
  }
  output.rates.push({ changesMax, perMs: scope.number('perMs', definition.perMs, 1), because, times: [] })
}

/** Why one more commanded change is one too many; undefined when it is not. */
export function rateBroken(output: Output, nowMs: number): string | undefined {
  for (const { changesMax, perMs, because, times } of output.rates) {
    while (times[0] !== undefined && nowMs - times[0] >= perMs) times.shift()
    if (times.length >= changesMax) {
      return `${output.name} may change ${changesMax} times in ${perMs} ms${reason(because)}`
    }
  }
  return undefined
}

export function countChange(output: Output, nowMs: number): void {
  for (const { times } of output.rates) times.push(nowMs)
}
