/**
 * Items to clauses: one clause is one thing to do. What a clause leaves out it borrows from its neighbours
 * (`turn off the kitchen and bedroom lights`); what contradicts itself or must not act is marked, never dropped.
 */
import { readAmount, settleAmount } from './amounts.ts'
import { type Clause, hasAct, note, type Stop } from './clause.ts'
import { verbNouns, type Wish, watered } from './lexicon.ts'
import { settleMood } from './mood.ts'
import { partsOf, takeOut } from './parts.ts'
import { leading, setting } from './setting.ts'
import { complete } from './share.ts'
import type { SlotName, Slots } from './slots.ts'
import type { Item, TargetWord } from './tag.ts'

/** Splits at `and` and commas, reads each part, and completes the parts from one another. */
export function clausesOf(items: readonly Item[], text: string): Clause[] {
  const said = partsOf(items).filter((part) =>
    part.some((item) => item.sense?.as !== 'glue' && item.sense?.as !== 'to'),
  )
  const clauses = takeOut(said.map((part, at) => ({ ...readClause(part, text, at), ...leading(part) })))
  if (clauses.length === 1) clauses.forEach(fillFromBack)
  return complete(setting(clauses))
}

function readClause(items: readonly Item[], text: string, act: number): Clause {
  const clause: Clause = {
    slots: {},
    target: [],
    neutral: false,
    all: false,
    both: false,
    here: false,
    there: false,
    home: false,
    it: false,
    everything: false,
    out: false,
    leaves: false,
    words: [],
    except: [],
    act,
    text: text.slice(items[0]?.start ?? 0, items.at(-1)?.end ?? 0),
  }
  const weak = new Set<SlotName>()
  items.forEach((item, at) => {
    if (item.number !== undefined) readAmount(clause, items, at, text)
    else if (item.target) readTarget(clause, item, text)
    else readSense(clause, item, weak, text)
  })
  // `shut the lamp off` closes nothing.
  if (clause.slots.state !== undefined && items.some((item) => item.phrase === 'shut'))
    delete clause.slots.verb
  if (clause.slots.verb === 'oscillate' && items.some((item) => item.phrase === 'stop'))
    clause.slots.state = 'off'
  settleAmount(clause, items)
  settleMood(clause, items, text)
  fillFromPlaces(clause, items)
  fillFromNouns(clause)
  fillLastly(clause, items)
  return clause
}

function readTarget(clause: Clause, item: Item, text: string): void {
  clause.target.push(...(item.target ?? []))
  note(clause, item, text, 'target', (item.target ?? []).map((word) => word.word).join(' '))
}

function readSense(clause: Clause, item: Item, weak: Set<SlotName>, text: string): void {
  const sense = item.sense
  if (sense === undefined) return
  switch (sense.as) {
    case 'slot':
      if (sense.lastly) return
      if (item.corrected) clause.doubt = true
      fill(clause, item, sense.fills, sense.weak === true, weak)
      note(clause, item, text, Object.keys(sense.fills).join(' '), Object.values(sense.fills).join(' '))
      return
    case 'bit':
      clause.slots.slight = true
      return
    case 'but':
      clause.out = true
      if (item.phrase.includes('leave')) clause.leaves = true
      return
    case 'neutral':
      clause.neutral = true
      return
    case 'all':
    case 'both':
    case 'here':
    case 'there':
    case 'home':
    case 'it':
    case 'everything':
      clause[sense.as] = true
      note(clause, item, text, 'scope', sense.as)
      return
    case 'glue':
      if (sense.wish) clause.wish = firmer(clause.wish, sense.wish)
      return
    case 'not':
    case 'except':
    case 'later':
    case 'statement':
      if (sense.as === 'statement' && clause.wish === 'sure' && /^(?:is|are)$/.test(item.phrase)) return
      // `not` may only leave out what it names; what is more than that decides.
      if (clause.stop === undefined || mild.has(clause.stop.kind))
        clause.stop = { kind: sense.as, phrase: text.slice(item.start, item.end) }
      note(clause, item, text, 'stop', sense.as)
      return
    default:
      return
  }
}

const mild = new Set<Stop>(['statement', 'not'])

function firmer(one: Wish | undefined, other: Wish): Wish {
  if (one === 'sure' || other === 'sure') return 'sure'
  return one === 'strong' || other === 'strong' ? 'strong' : 'mild'
}

/** Puts values in slots. A weak value gives way to a firm one; two firm, different ones are a conflict. */
function fill(clause: Clause, item: Item, fills: Partial<Slots>, isWeak: boolean, weak: Set<SlotName>): void {
  for (const name of Object.keys(fills) as SlotName[]) {
    const present = clause.slots[name]
    const value = fills[name]
    if (present === undefined || (weak.has(name) && !isWeak)) {
      Object.assign(clause.slots, { [name]: value })
      if (isWeak) weak.add(name)
      else weak.delete(name)
    } else if (!isWeak && present !== value) clause.stop ??= { kind: 'conflict', phrase: item.phrase }
  }
}

/** `vacuum the hall`: the noun is the verb where no other is said. `water the lawn`: the lawn is not a device. */
function fillFromNouns(clause: Clause): void {
  const { slots } = clause
  const modes = new Set<TargetWord>()
  let waters = false
  for (const word of clause.target) {
    const fills = word.bound ? undefined : verbNouns.get(word.word)
    if (fills === undefined) continue
    const decided = slots.verb !== undefined || slots.state !== undefined || slots.direction !== undefined
    if (fills.verb !== undefined && !decided && slots.amount === undefined) slots.verb = fills.verb
    if (fills.verb === 'water') waters = true
    if (fills.mode === undefined) continue
    // `the AC to heat`: what it shall do is said beside what it is.
    if (slots.mode === undefined || !coolers.has(word.word)) slots.mode = fills.mode
    modes.add(word)
  }
  if (waters) clause.target = clause.target.filter(({ word, known }) => known || !watered.has(word))
  // `the thermostat to heat`: beside another thing the mode is no thing.
  const others = clause.target.filter((word) => !modes.has(word))
  if (modes.size > 0 && others.some(({ noun }) => noun?.noun.kinds.includes('climate'))) {
    clause.target = others
    slots.modeSaid = true
  }
  fillFromLock(clause)
  fillFromSound(clause)
}

/** Called by what they do: a mode said beside them goes first. */
const coolers = new Set(['ac', 'aircon'])

/** `open the lock on the front door` unlocks it; `back door lock` locks it. */
function fillFromLock(clause: Clause): void {
  const { slots } = clause
  const rest = clause.target.filter(({ word, bound }) => bound || word !== 'lock')
  if (rest.length === clause.target.length) return
  if (slots.verb === 'open' || slots.verb === 'close') slots.verb = slots.verb === 'open' ? 'unlock' : 'lock'
  else if (!hasAct(clause) && !clause.neutral && rest.length > 0) {
    slots.verb = 'lock'
    clause.target = rest
  }
}

/** `turn the sound off` mutes, and turns nothing off. */
function fillFromSound(clause: Clause): void {
  const { slots } = clause
  if (slots.state === undefined || !clause.target.some(({ word, bound }) => word === 'sound' && !bound))
    return
  slots.verb ??= slots.state === 'off' ? 'mute' : 'unmute'
  delete slots.state
}

/** What is meant where nothing else says what to do: `hit the lights`, and `off` heard as `of`. */
function fillLastly(clause: Clause, items: readonly Item[]): void {
  if (hasAct(clause)) {
    // `run the fan at 50 %`: it runs, and how fast is said too.
    const { slots } = clause
    if (slots.verb !== 'start' || (slots.amount ?? slots.level) === undefined) return
    delete slots.verb
    slots.state ??= 'on'
    return
  }
  for (const { sense } of items)
    if (sense?.as === 'slot' && sense.lastly) Object.assign(clause.slots, sense.fills)
  if (clause.neutral && clause.target.length > 0 && items.at(-1)?.phrase === 'of') clause.slots.state = 'off'
}

/** `send Rover home`: the place is what it shall do. */
function fillFromPlaces(clause: Clause, items: readonly Item[]): void {
  const isHome = ({ word, bound }: TargetWord) => word === 'home' && !bound
  const sent = items.some((item) => /^(?:send|bring|take|get)$/.test(item.phrase))
  if (hasAct(clause) || !sent || !clause.target.some(isHome)) return
  clause.slots.verb = 'dock'
  clause.target = clause.target.filter((word) => !isHome(word))
}

/** `back`, said alone. */
function fillFromBack(clause: Clause): void {
  const [only] = clause.target
  if (hasAct(clause) || clause.target.length !== 1 || only?.word !== 'back' || only.bound) return
  clause.slots.verb = 'previous'
  clause.target = []
}
