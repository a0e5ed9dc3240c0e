/**
 * While one output is on, another output or an input lies within limits. When that ceases, the dependant goes safe in the
 * same step. An input that was not read yet, or cannot be read, satisfies nothing.
 */
import type { Constraint } from '../../contract/safety.ts'
import { reason } from '../kernel-output.ts'
import type { Scope } from './scope.ts'
import { attachVectorRule } from './vector-rule.ts'

export function attachDependency(
  definition: Extract<Constraint, { rule: 'dependency' }>,
  scope: Scope,
): void {
  const { min, max } = definition
  const output = scope.output(definition.output)
  const needs = scope.outputOrInput(definition.needs)
  scope.limits(min, max)
  if (needs === output) scope.fail(`"${output.name}" needs itself`)
  const message = `${output.name} may be on only while ${needs.name} is within ${min} to ${max}${reason(definition.because)}`
  if ('next' in needs) {
    attachVectorRule([output, needs], [], {
      rule: 'dependency',
      tiers: [[output], [needs]],
      message,
      broken: () => output.next !== 0 && !(needs.next >= min && needs.next <= max),
    })
    return
  }
  if (output.safe !== 0) scope.fail(`"${output.name}" is on when it is safe, so it cannot depend on an input`)
  attachVectorRule([output], [needs], {
    rule: 'dependency',
    tiers: [[output]],
    message,
    broken: () => output.next !== 0 && !(needs.value >= min && needs.value <= max),
  })
}
