/** What the parts of one utterance leave out and their neighbours say: the act, the amount, its unit, the thing. */
import { type Clause, hasAct, hasTarget } from './clause.ts'
import type { SlotName } from './slots.ts'

/** Completes parts from one another, in place of what each leaves out. */
export function complete(parts: readonly Clause[]): Clause[] {
  const clauses: Clause[] = []
  for (const part of parts) {
    const last = clauses.at(-1)
    if (last && isNameBefore(last, part)) {
      clauses[clauses.length - 1] = {
        ...part,
        target: last.target,
        all: last.all,
        both: last.both,
        words: [...last.words, ...part.words],
        // `not the garage, half`: the name was refused, so what follows is, too.
        ...(last.stop ? { stop: last.stop } : {}),
        text: `${last.text}, ${part.text}`,
      }
      continue
    }
    clauses.push(part)
  }
  shareAmounts(clauses)
  carryUnits(clauses)
  borrowActs(clauses)
  borrowTargets(clauses)
  return clauses
}

/** `Roborock, go home`: a name and then what it shall do. */
function isNameBefore(last: Clause, part: Clause): boolean {
  return !hasAct(last) && !last.neutral && hasTarget(last) && hasAct(part) && !hasTarget(part) && !part.it
}

const valueNames = ['amount', 'level', 'rgb', 'kelvin'] as const satisfies readonly SlotName[]

function hasValue({ slots }: Clause): boolean {
  return valueNames.some((name) => slots[name] !== undefined)
}

/** Says a value and of what, but not what to do. */
function isValueOnly(clause: Clause): boolean {
  const { verb, state, direction } = clause.slots
  const acts = verb !== undefined || state !== undefined || direction !== undefined || clause.neutral
  return hasValue(clause) && hasTarget(clause) && !acts
}

/** Says which way, of what, but not how far. */
function leads(clause: Clause): boolean {
  const { verb, state, direction } = clause.slots
  if (hasValue(clause) || clause.stop || !hasTarget(clause)) return false
  const bare = !clause.target.some(({ noun, bound }) => noun || bound)
  return direction !== undefined || verb === 'open' || verb === 'close' || (state === 'on' && bare)
}

/** `dim the bathroom light and the porch light to 40 %`: what is said last is meant for all that were listed. */
function shareAmounts(clauses: Clause[]): void {
  clauses.forEach((clause, at) => {
    if (!isValueOnly(clause)) return
    let first = at - 1
    while (first >= 0 && isListed(clauses[first] as Clause)) first -= 1
    const leader = clauses[first]
    if (leader === undefined || !leads(leader)) return
    const { slots } = clause
    for (let next = first; next <= at; next += 1) {
      const part = clauses[next] as Clause
      part.slots = { ...leader.slots, ...slots }
      part.act = leader.act
    }
  })
}

function isListed(clause: Clause): boolean {
  return !hasAct(clause) && hasTarget(clause) && !clause.neutral && !clause.stop
}

/** `the bedroom to 18 degrees and the office to 21`: degrees again. */
function carryUnits(clauses: Clause[]): void {
  clauses.forEach((clause, at) => {
    const before = clauses[at - 1]?.slots
    const { amount, attribute } = clause.slots
    if (amount === undefined || amount.unit !== undefined || !isValueOnly(clause)) return
    const unit = before?.amount?.unit
    clause.slots.amount = { ...amount, ...(unit === undefined ? {} : { unit }) }
    if (attribute === undefined && before?.attribute !== undefined && before.amount !== undefined)
      clause.slots.attribute = before.attribute
  })
}

/** A part that names things only does what its neighbour does: the one before if it leads, else the one after. */
function borrowActs(clauses: Clause[]): void {
  clauses.forEach((clause, at) => {
    if (hasAct(clause) || !hasTarget(clause)) return
    const before = clauses.slice(0, at).findLast(hasAct)
    const after = clauses.slice(at + 1).find(hasAct)
    const from = clause.neutral ? (after ?? before) : (before ?? after)
    if (!from) return
    clause.slots = { ...from.slots }
    clause.act = from.act
  })
}

/** A part that says only what to do does it to what was named before it. */
function borrowTargets(clauses: Clause[]): void {
  clauses.forEach((clause, at) => {
    if (hasTarget(clause)) return
    const before = clauses.slice(0, at).findLast(hasTarget)
    if (!before) return
    clause.target = before.target
    clause.borrowed = true
    clause.all = before.all
    clause.here = before.here
    clause.home = before.home
    clause.everything = before.everything
  })
}
