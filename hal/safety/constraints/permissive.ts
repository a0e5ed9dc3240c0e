/** Of some outputs only the listed pairs may be on together; default none: a matrix of a traffic signal's heads. */
import type { Constraint } from '../../contract/safety.ts'
import { type Output, reason } from '../kernel-output.ts'
import type { Scope } from './scope.ts'
import { attachVectorRule } from './vector-rule.ts'

export function attachPermissive(
  definition: Extract<Constraint, { rule: 'permissive' }>,
  scope: Scope,
): void {
  const outputs = scope.distinctOutputs(definition.outputs, 2)
  const allowed = allowedPairs(definition, scope)
  // Only these pairs are looked at later: the ones that must never be on together.
  const forbidden: (readonly [Output, Output])[] = []
  for (const [at, one] of outputs.entries()) {
    for (const other of outputs.slice(at + 1)) {
      if (!allowed.has(pairKey(one.name, other.name))) forbidden.push([one, other])
    }
  }
  attachVectorRule(outputs, [], {
    rule: 'permissive',
    tiers: [outputs],
    message: `of ${definition.outputs.join(', ')} only listed pairs may be on together${reason(definition.because)}`,
    broken: () => forbidden.some(([one, other]) => one.next !== 0 && other.next !== 0),
  })
}

function allowedPairs(
  definition: Extract<Constraint, { rule: 'permissive' }>,
  scope: Scope,
): ReadonlySet<string> {
  const keys = new Set<string>()
  for (const [one, other] of definition.together) {
    for (const name of [one, other]) {
      if (!definition.outputs.includes(name)) scope.fail(`the pair with "${name}" is not of its outputs`)
    }
    if (one === other) scope.fail(`it pairs "${one}" with itself`)
    keys.add(pairKey(one, other))
  }
  return keys
}

const pairKey = (one: string, other: string): string => JSON.stringify([one, other].sort())
