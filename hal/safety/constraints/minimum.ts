/**
 * Once on it stays on for a while, going safe exempt; once off it stays off for a while, nothing exempt, and a start
 * counts as off just now. An output that is on when safe must be able to turn on at any moment: it has no least off-time.
 */
import type { Constraint } from '../../contract/safety.ts'
import { type Output, reason } from '../kernel-output.ts'
import type { Scope } from './scope.ts'

export function attachMinimum(definition: Extract<Constraint, { rule: 'minimum' }>, scope: Scope): void {
  const { onMs, offMs, because } = definition
  const output = scope.output(definition.output)
  if (onMs === undefined && offMs === undefined) scope.fail('it needs onMs or offMs')
  if (onMs !== undefined) scope.number('onMs', onMs, 0)
  if (offMs !== undefined) scope.number('offMs', offMs, 0)
  if (offMs !== undefined && output.safe !== 0) {
    scope.fail(`"${output.name}" is on when it is safe, so nothing may keep it off`)
  }
  output.minimums.push({ onMs: onMs ?? 0, offMs: offMs ?? 0, because })
}

/** Why a commanded change from `value` to `next` is too early; undefined when it is not. */
export function minimumBroken(output: Output, next: number, nowMs: number): string | undefined {
  const wasOn = output.value !== 0
  if (wasOn === (next !== 0)) return undefined
  const sinceMs = nowMs - output.switchedAtMs
  for (const { onMs, offMs, because } of output.minimums) {
    const leastMs = wasOn ? onMs : offMs
    if (sinceMs < leastMs) {
      return `${output.name} stays ${wasOn ? 'on' : 'off'} for at least ${leastMs} ms${reason(because)}`
    }
  }
  return undefined
}

/** When an output that is off may be on again. */
export function mayTurnOnAtMs(output: Output): number {
  let atMs = Number.NEGATIVE_INFINITY
  for (const { offMs } of output.minimums) atMs = Math.max(atMs, output.switchedAtMs + offMs)
  return atMs
}
