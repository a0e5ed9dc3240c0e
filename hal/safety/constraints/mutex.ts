/** At most `onMax` of some outputs are on. */
import type { Constraint } from '../../contract/safety.ts'
import { reason } from '../kernel-output.ts'
import type { Scope } from './scope.ts'
import { attachVectorRule } from './vector-rule.ts'

export function attachMutex(definition: Extract<Constraint, { rule: 'mutex' }>, scope: Scope): void {
  const outputs = scope.distinctOutputs(definition.outputs, 2)
  const onMax = definition.onMax ?? 1
  if (!(Number.isInteger(onMax) && onMax >= 0)) scope.fail(`onMax is ${onMax}, must be a whole number`)
  attachVectorRule(outputs, [], {
    rule: 'mutex',
    tiers: [outputs],
    message: `at most ${onMax} of ${definition.outputs.join(', ')} may be on${reason(definition.because)}`,
    broken() {
      let on = 0
      for (const output of outputs) if (output.next !== 0) on++
      return on > onMax
    },
  })
}
