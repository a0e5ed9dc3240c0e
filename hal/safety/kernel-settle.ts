/**
 * Driving outputs safe until no rule is broken. Works in rounds: the vector that results from what must go safe so far is
 * judged as a whole, and every rule that it breaks drives more of its outputs safe. Each round drives at least one more,
 * and the vector of all safe values breaks nothing, so it ends.
 *
 * A sequence goes safe by walking (level 1), one step a time, unless that would break a rule or keep an output on for too
 * long: then it goes at once (level 2).
 */
import type { Constraint, OutputValues } from '../contract/safety.ts'
import { maximumOnMessage, onUntilMs } from './constraints/maximum-on.ts'
import { mayTurnOnAtMs } from './constraints/minimum.ts'
import { stateUnderJudgement } from './constraints/sequence.ts'
import type { Output, Sequence, Unit } from './kernel-output.ts'
import type { Plan } from './kernel-plan.ts'

export interface Forced {
  readonly units: readonly Unit[]
  readonly rule: Constraint['rule']
  readonly message: string
}

/**
 * Leaves the settled vector in `next`, to be committed. `demands` says who goes safe from the start: level 1 when a lease
 * was lost, level 2 at once. Sequences that walk already go on.
 */
export function settle(plan: Plan, demands: ReadonlyMap<Unit, 1 | 2>, nowMs: number): readonly Forced[] {
  for (const unit of plan.units) unit.level = demands.get(unit) ?? (unit.sequence?.walking ? 1 : 0)
  const forced: Forced[] = []
  for (;;) {
    for (const unit of plan.units) propose(unit, nowMs)
    const broken = brokenRules(plan, nowMs)
    if (broken.length === 0) break
    const driven = new Set(broken.flatMap(({ units }) => units))
    if (driven.size === 0) {
      throw new Error(`safety kernel: safe values break a rule: ${broken[0]?.message}`)
    }
    for (const unit of driven) unit.level = unit.level === 0 ? 1 : 2
    forced.push(...broken.filter(({ units }) => units.length > 0))
  }
  for (const unit of plan.units) if (unit.level > 0) aim(unit)
  return forced
}

function propose(unit: Unit, nowMs: number): void {
  const { level, outputs, sequence } = unit
  if (level === 0) for (const output of outputs) output.next = output.value
  else if (level === 2 || !sequence) for (const output of outputs) output.next = output.safe
  else {
    const { onward } = sequence.current
    const moves = nowMs >= walkDueAtMs(sequence)
    for (const output of outputs) {
      output.next = (moves ? onward?.to.values.get(output) : undefined) ?? output.value
    }
  }
}

/** When the next step of the way to the safe state may be taken; Infinity in the safe state. */
export function walkDueAtMs(sequence: Sequence): number {
  const { onward } = sequence.current
  if (!onward) return Number.POSITIVE_INFINITY
  let atMs = sequence.enteredAtMs + onward.afterMs
  for (const [output, value] of onward.to.values) {
    if (output.value === 0 && value !== 0) atMs = Math.max(atMs, mayTurnOnAtMs(output))
  }
  return atMs
}

/** When the kernel has to drive something safe, or further on its way there, without being asked. */
export function forcedMoveMs(plan: Plan): number {
  let atMs = Number.POSITIVE_INFINITY
  for (const sequence of plan.sequences) {
    if (sequence.walking) atMs = Math.min(atMs, walkDueAtMs(sequence))
  }
  for (const output of plan.limitedOn) atMs = Math.min(atMs, onUntilMs(output))
  return atMs
}

/** The same, or when a ramp is to go on. */
export function nextMoveMs(plan: Plan, rampTickMs: number): number {
  let atMs = forcedMoveMs(plan)
  for (const { value, target, slewedAtMs } of plan.slewed) {
    if (value !== target) atMs = Math.min(atMs, slewedAtMs + rampTickMs)
  }
  return atMs
}

/** What the vector under judgement breaks, and whom that drives: judged before any of them moves, so order is nothing. */
function brokenRules(plan: Plan, nowMs: number): Forced[] {
  const found: Forced[] = []
  for (const output of plan.limitedOn) {
    if (output.next === 0 || nowMs < onUntilMs(output)) continue
    found.push({ units: [output.unit], rule: 'maximum-on', message: maximumOnMessage(output) })
  }
  for (const rule of plan.rules) {
    if (!rule.broken(nowMs)) continue
    found.push({ units: whomToDrive(rule.tiers), rule: rule.rule, message: rule.message })
  }
  return found
}

/** Those that are on their way already go first: whoever has a lease keeps it if that is enough. */
function whomToDrive(tiers: readonly (readonly Output[])[]): readonly Unit[] {
  for (const tier of tiers) {
    const left = [...new Set(tier.map(({ unit }) => unit))].filter(canGoSafer)
    if (left.length === 0) continue
    const walking = left.filter(({ level }) => level === 1)
    return walking.length > 0 ? walking : left
  }
  return []
}

const canGoSafer = ({ level, outputs }: Unit): boolean =>
  level < 2 && outputs.some(({ next, safe }) => next !== safe)

/** What is driven safe has no other target, and walks on if it is not there yet. */
function aim({ outputs, sequence }: Unit): void {
  for (const output of outputs) output.target = output.next
  if (sequence) sequence.walking = outputs.some(({ next, safe }) => next !== safe)
}

/** Makes `next` of these outputs what is on the wire. Returns what has changed. */
export function commit(outputs: Iterable<Output>, nowMs: number): OutputValues | undefined {
  let changes: Record<string, number> | undefined
  const moved = new Set<Sequence>()
  for (const output of outputs) {
    const { next, value, name, unit } = output
    if (next === value) continue
    if ((next === 0) !== (value === 0)) output.switchedAtMs = nowMs
    output.value = next
    changes ??= {}
    changes[name] = next
    if (unit.sequence) moved.add(unit.sequence)
  }
  for (const sequence of moved) {
    sequence.current = stateUnderJudgement(sequence) ?? sequence.current
    sequence.enteredAtMs = nowMs
  }
  return changes
}
