/** Every rule by its name. Sequences come last: their states are checked against the limits that other rules set. */

import { HalError } from '../../contract/errors.ts'
import type { Constraint } from '../../contract/safety.ts'
import type { Sequence, VectorRule } from '../kernel-output.ts'
import { attachClearance } from './clearance.ts'
import { attachDependency } from './dependency.ts'
import { attachMaximumOn } from './maximum-on.ts'
import { attachMinimum } from './minimum.ts'
import { attachMutex } from './mutex.ts'
import { attachPermissive } from './permissive.ts'
import { attachRange } from './range.ts'
import { attachRate } from './rate.ts'
import { constraintsMax, type Names, Scope } from './scope.ts'
import { attachSequence } from './sequence.ts'
import { attachSlew } from './slew.ts'

/** Throws HalError `malformed` for the first rule that cannot be kept. Outputs must have their safe values. */
export function attachConstraints(constraints: readonly Constraint[], names: Names, nowMs: number): void {
  if (constraints.length > constraintsMax) {
    throw new HalError('malformed', `${constraints.length} safety constraints, at most ${constraintsMax}`)
  }
  const sequences: { readonly sequence: Sequence; readonly scope: Scope }[] = []
  for (const [index, definition] of constraints.entries()) {
    const scope = new Scope(names, definition, index)
    if (definition.rule !== 'sequence') attach(definition, scope)
  }
  for (const [index, definition] of constraints.entries()) {
    const scope = new Scope(names, definition, index)
    if (definition.rule === 'sequence') {
      sequences.push({ sequence: attachSequence(definition, scope, nowMs), scope })
    }
  }
  refuseUnsafeSafeVector(names, nowMs)
  for (const { sequence, scope } of sequences) refuseBrokenStates(sequence, scope)
}

function attach(definition: Exclude<Constraint, { rule: 'sequence' }>, scope: Scope): void {
  switch (definition.rule) {
    case 'mutex':
      attachMutex(definition, scope)
      break
    case 'permissive':
      attachPermissive(definition, scope)
      break
    case 'clearance':
      attachClearance(definition, scope)
      break
    case 'dependency':
      attachDependency(definition, scope)
      break
    case 'minimum':
      attachMinimum(definition, scope)
      break
    case 'maximum-on':
      attachMaximumOn(definition, scope)
      break
    case 'range':
      attachRange(definition, scope)
      break
    case 'slew':
      attachSlew(definition, scope)
      break
    case 'rate':
      attachRate(definition, scope)
      break
  }
}

function refuseUnsafeSafeVector(names: Names, nowMs: number): void {
  for (const rule of rulesOf(names)) {
    if (!rule.broken(nowMs)) continue
    throw new HalError('malformed', `safety constraints: the safe values break a rule: ${rule.message}`)
  }
}

/** A state that breaks a rule among the sequence's own outputs could never be entered, and walks through it would fail. */
function refuseBrokenStates(sequence: Sequence, scope: Scope): void {
  const own = new Set(sequence.outputs)
  const rules = [...new Set(sequence.outputs.flatMap((output) => output.rules))]
  const inside = rules.filter(
    (rule) => !rule.readsInput && rule.tiers.flat().every((output) => own.has(output)),
  )
  for (const state of sequence.states) {
    for (const [output, value] of state.values) output.next = value
    // Late enough for every waiting time.
    const broken = inside.find((rule) => rule.broken(Number.POSITIVE_INFINITY))
    for (const output of sequence.outputs) output.next = output.value
    if (broken) scope.fail(`state "${state.name}" breaks another rule: ${broken.message}`)
  }
}

export function rulesOf(names: Names): ReadonlySet<VectorRule> {
  return new Set([...names.outputs.values()].flatMap((output) => output.rules))
}
