/** One clause: one thing to do, as it was said. */
import type { Reading } from '../wire/messages.ts'
import type { Wish } from './lexicon.ts'
import { type Slots, slotNames } from './slots.ts'
import type { Item, TargetWord } from './tag.ts'

export type Stop = 'not' | 'except' | 'later' | 'statement' | 'conflict'

export interface Clause {
  slots: Slots
  target: TargetWord[]
  /** Verbs that decide nothing were said. */
  neutral: boolean
  all: boolean
  both: boolean
  here: boolean
  /** Where the thing before is: `in there`, `its light`. */
  there: boolean
  home: boolean
  it: boolean
  everything: boolean
  /** Begins with what leaves something out: `except`, `but not`. */
  out: boolean
  /** `leave the light on`: changes nothing. */
  leaves: boolean
  /** The thing was said in a part before, and not here. */
  borrowed?: true
  /** Words of a place that holds for this part too: `in the den, turn off the TV and turn on the lamp`. */
  place?: readonly TargetWord[]
  /** What shall stay as it is, of all that was meant. */
  except: Clause[]
  /** What was heard may be no order: enough to ask before a way in is opened. */
  doubt?: true
  wish?: Wish
  stop?: { readonly kind: Stop; readonly phrase: string }
  words: Reading['words']
  text: string
  /** Parts with the same number do the same, because one borrowed it from the other. */
  act: number
}

export function hasAct(clause: Clause): boolean {
  return slotNames.some((name) => clause.slots[name] !== undefined)
}

export function hasTarget(clause: Clause): boolean {
  return clause.target.length > 0 || clause.here || clause.home || clause.everything
}

export function note(clause: Clause, item: Item, text: string, role: string, means: string): void {
  clause.words.push({ text: text.slice(item.start, item.end), role, means })
}
