/** Slower than an output's own slew limit. The kernel ramps; going safe is not slowed. */
import type { Constraint } from '../../contract/safety.ts'
import type { Scope } from './scope.ts'

export function attachSlew(definition: Extract<Constraint, { rule: 'slew' }>, scope: Scope): void {
  const output = scope.output(definition.output)
  if (output.spec.type === 'binary') scope.fail(`"${output.name}" is on or off and cannot slew`)
  if (!(Number.isFinite(definition.perS) && definition.perS > 0)) {
    scope.fail(`perS is ${definition.perS}, must be above 0`)
  }
  output.slewPerS = Math.min(output.slewPerS, definition.perS)
}
