/** Tighter limits than an output's own. Several tighten further. */
import type { Constraint } from '../../contract/safety.ts'
import { type Output, reason } from '../kernel-output.ts'
import type { Scope } from './scope.ts'

export function attachRange(definition: Extract<Constraint, { rule: 'range' }>, scope: Scope): void {
  const { min, max, because } = definition
  const output = scope.output(definition.output)
  scope.limits(min, max)
  if (output.safe < min || output.safe > max) {
    scope.fail(`the safe value ${output.safe} of "${output.name}" is outside ${min} to ${max}`)
  }
  output.min = Math.max(output.min, min)
  output.max = Math.min(output.max, max)
  output.rangeBecause = because
}

/** Why an output cannot have this value at all; undefined when it can. */
export function rangeBroken(output: Output, value: number): string | undefined {
  if (output.spec.type === 'binary' && value !== 0 && value !== 1) {
    return `${output.name} is 0 or 1, not ${value}`
  }
  if (Number.isFinite(value) && value >= output.min && value <= output.max) return undefined
  return `${output.name}: ${value} is outside ${output.min} to ${output.max}${reason(output.rangeBecause)}`
}
