/** Numbers in a clause: what they measure, and whether they are where it shall be (`to 40`) or how far it shall go (`40 brighter`). */
import { type Clause, note } from './clause.ts'
import type { Amount } from './slots.ts'
import type { Item } from './tag.ts'

/** Hours of a clock: `at 7` is a time as likely as an amount, `at 50` is none. */
const clockMax = 24

export function readAmount(clause: Clause, items: readonly Item[], at: number, text: string): void {
  const item = items[at] as Item
  const next = items[at + 1]?.sense
  const unit = next?.as === 'unit' ? next.unit : undefined
  const amount: Amount = {
    value: item.number ?? 0,
    relative: items[at - 1]?.sense?.as === 'by',
    ...(unit === undefined ? {} : { unit }),
  }
  if (items[at - 1]?.phrase === 'at' && unit === undefined && mayBeClock(clause, item))
    clause.stop ??= { kind: 'later', phrase: text.slice(items[at - 1]?.start ?? 0, item.end) }
  // `two lamps`, `one of the lamps`: which?
  if (unit === undefined && !isAmount(items, at))
    clause.stop ??= { kind: 'except', phrase: text.slice(item.start, items[at + 1]?.end ?? item.end) }
  if (clause.slots.amount !== undefined) clause.stop ??= { kind: 'conflict', phrase: item.phrase }
  clause.slots.amount = amount
  note(clause, item, text, amount.relative ? 'change' : 'amount', `${amount.value} ${unit ?? ''}`.trim())
}

/** Said of a level (`set the thermostat at 24`, `speed at 7`) a number is no hour. */
function mayBeClock(clause: Clause, { number = 0 }: Item): boolean {
  if (number < 0 || number > clockMax || clause.slots.attribute !== undefined) return false
  return !(clause.neutral && clause.slots.state === undefined)
}

/** Whether a number without a unit stands where an amount does: after what it is of, or after `to`, `by`, `at`. */
function isAmount(items: readonly Item[], at: number): boolean {
  if (items[at + 1]?.target?.[0]?.noun?.plural) return false
  const before = items.slice(0, at).findLast((item) => item.sense?.as !== 'glue' || item.phrase === 'at')
  const after = items[at + 1]?.sense
  if (after?.as === 'slot' && after.fills.attribute !== undefined) return true
  if (before === undefined || before.target || before.phrase === 'at') return true
  const { sense } = before
  if (sense?.as === 'slot') return sense.fills.state === undefined
  return sense?.as === 'to' || sense?.as === 'by' || sense?.as === 'it'
}

const toWhere = new Set(['at', 'on', 'exactly'])

/** `10 percent brighter`, `up 2 degrees` is a change; `up to 40`, `down at 40` is where it shall be. */
export function settleAmount(clause: Clause, items: readonly Item[]): void {
  const { amount, direction, verb } = clause.slots
  if (amount === undefined || amount.relative) return
  // `open the blinds 20 percent more`.
  const more = (verb === 'open' || verb === 'close') && items.some((item) => item.phrase === 'more')
  if (direction === undefined && !more) return
  const at = items.findIndex((item) => item.number !== undefined)
  const before = items.slice(0, at).findLast((item) => item.sense?.as !== 'glue' || toWhere.has(item.phrase))
  if (before?.sense?.as === 'to' || toWhere.has(before?.phrase ?? '')) return
  clause.slots.amount = { ...amount, relative: true }
}
