/**
 * Judging a command's changes: as the vector that they result in, and, where outputs slew, also as the vector that they
 * aim at. Nothing but `next` is touched until everything was found right; a refusal leaves no trace.
 */
import type { Denial, OutputValues } from '../contract/safety.ts'
import { minimumBroken } from './constraints/minimum.ts'
import { rangeBroken } from './constraints/range.ts'
import { countChange, rateBroken } from './constraints/rate.ts'
import { sequenceBroken } from './constraints/sequence.ts'
import { clip } from './kernel-draft.ts'
import type { Component, Output } from './kernel-output.ts'

/** What is wanted of outputs whose target is another. */
type Changes = ReadonlyMap<Output, number>

/** Puts the changes into `next` (what slews: into `target` alone), to be committed, or says why not. */
export function judge(
  component: Component,
  wanted: OutputValues,
  slewed: readonly Output[],
  nowMs: number,
): { readonly denial: Denial } | { readonly touched: Iterable<Output> } {
  const changes = new Map<Output, number>()
  for (const [local, value] of Object.entries(wanted)) {
    const output = component.byLocal.get(local)
    if (!output) return deny('range', `${component.id} has no output "${clip(local)}"`)
    const broken = rangeBroken(output, value)
    if (broken) return deny('range', broken)
    // What a sequence on its way to safe happens to be right now cannot be commanded either: it would not stay.
    if (value !== output.target || output.unit.sequence?.walking) changes.set(output, value)
  }
  const denial = aloneBroken(changes, nowMs) ?? togetherBroken(changes, slewed, nowMs)
  if (denial) return { denial }
  for (const [output, value] of changes) accept(output, value, nowMs)
  return { touched: changes.keys() }
}

const deny = (rule: Denial['rule'], message: string): { readonly denial: Denial } => ({
  denial: { rule, message },
})

/** Rules over one output. */
function aloneBroken(changes: Changes, nowMs: number): Denial | undefined {
  for (const [output, value] of changes) {
    const early = minimumBroken(output, value, nowMs)
    if (early) return { rule: 'minimum', message: early }
    const often = rateBroken(output, nowMs)
    if (often) return { rule: 'rate', message: often }
  }
  return undefined
}

/** Rules over the vector, which is as it was when this returns. */
function togetherBroken(changes: Changes, slewed: readonly Output[], nowMs: number): Denial | undefined {
  for (const [output, value] of changes) if (!slews(output)) output.next = value
  const denial =
    sequencesBroken(changes, nowMs) ?? rulesBroken(changes, nowMs) ?? aimBroken(changes, slewed, nowMs)
  for (const output of changes.keys()) output.next = output.value
  return denial
}

function sequencesBroken(changes: Changes, nowMs: number): Denial | undefined {
  for (const { unit } of changes.keys()) {
    const broken = unit.sequence && sequenceBroken(unit.sequence, nowMs)
    if (broken) return { rule: 'sequence', message: broken }
  }
  return undefined
}

function rulesBroken(changes: Changes, nowMs: number): Denial | undefined {
  for (const { rules } of changes.keys()) {
    for (const rule of rules) if (rule.broken(nowMs)) return { rule: rule.rule, message: rule.message }
  }
  return undefined
}

/** Where everything that slews arrived: a rule broken there would stop a ramp half way. */
function aimBroken(changes: Changes, slewed: readonly Output[], nowMs: number): Denial | undefined {
  for (const output of slewed) output.next = changes.get(output) ?? output.target
  const denial = rulesBroken(changes, nowMs)
  for (const output of slewed) output.next = output.value
  return denial
}

function accept(output: Output, value: number, nowMs: number): void {
  if (slews(output)) {
    if (output.target === output.value) output.slewedAtMs = nowMs
    output.held = false
  } else output.next = value
  output.target = value
  countChange(output, nowMs)
}

const slews = (output: Output): boolean => Number.isFinite(output.slewPerS)
