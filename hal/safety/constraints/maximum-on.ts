/**
 * After having been on this long an output goes safe, whoever holds it; a sequence's waiting times do not prolong it. An
 * output that is on when safe could never obey: refused.
 */
import type { Constraint } from '../../contract/safety.ts'
import { type LongestOn, type Output, reason } from '../kernel-output.ts'
import type { Scope } from './scope.ts'

export function attachMaximumOn(definition: Extract<Constraint, { rule: 'maximum-on' }>, scope: Scope): void {
  const output = scope.output(definition.output)
  const onMs = scope.number('onMs', definition.onMs, 1)
  if (output.safe !== 0) scope.fail(`"${output.name}" is on when it is safe, so it cannot be on for too long`)
  output.longest.push({ onMs, because: definition.because })
}

/** When the longest on-time of an output that is on ends; Infinity otherwise. */
export function onUntilMs(output: Output): number {
  return output.value === 0 ? Number.POSITIVE_INFINITY : output.switchedAtMs + shortest(output).onMs
}

export function maximumOnMessage(output: Output): string {
  const { onMs, because } = shortest(output)
  return `${output.name} was on for ${onMs} ms, its longest${reason(because)}`
}

function shortest(output: Output): LongestOn {
  let found: LongestOn = { onMs: Number.POSITIVE_INFINITY, because: undefined }
  for (const limit of output.longest) if (limit.onMs < found.onMs) found = limit
  return found
}
