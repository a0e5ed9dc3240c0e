/**
 * Of some groups of outputs one turns on only when every other was wholly off for a while: the all-red time between
 * conflicting movements of a crossing. Nothing is exempt, a start counts as off just now; going off is always allowed. A
 * group that is on keeps every other off, so two are never on together.
 */
import type { Constraint } from '../../contract/safety.ts'
import { type Output, reason } from '../kernel-output.ts'
import type { Scope } from './scope.ts'
import { attachVectorRule } from './vector-rule.ts'

type Group = readonly Output[]

export function attachClearance(definition: Extract<Constraint, { rule: 'clearance' }>, scope: Scope): void {
  const { groups: named, because } = definition
  if (named.length < 2) scope.fail('it needs at least 2 groups')
  if (named.some((group) => group.length === 0)) scope.fail('a group names no output')
  const outputs = scope.distinctOutputs(named.flat(), 2)
  const kept = outputs.find(({ safe }) => safe !== 0)
  if (kept) scope.fail(`"${kept.name}" is on when it is safe, so nothing may keep it off`)
  const afterMs = scope.number('afterMs', definition.afterMs, 1)
  const groups = named.map((group) => group.map((name) => scope.output(name)))
  const words = named.map((group) => group.join(' ')).join(', ')
  attachVectorRule(outputs, [], {
    rule: 'clearance',
    tiers: [outputs],
    message: `of ${words} each turns on only when the others were off for ${afterMs} ms${reason(because)}`,
    broken: (nowMs) =>
      groups.some(
        (group) =>
          turnsOn(group) && groups.some((other) => other !== group && !wasOff(other, afterMs, nowMs)),
      ),
  })
}

const turnsOn = (group: Group): boolean =>
  group.every(({ value }) => value === 0) && group.some(({ next }) => next !== 0)

const wasOff = (group: Group, forMs: number, nowMs: number): boolean =>
  group.every(({ value, next, switchedAtMs }) => value === 0 && next === 0 && nowMs - switchedAtMs >= forMs)
