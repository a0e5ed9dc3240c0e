/**
 * Tokens to items: each is a grammar phrase, a number, or a word of what is spoken about. Names of the home win over
 * grammar (`play corner light on` plays nothing); a misheard word is corrected only to a word of this home.
 */
import type { HomeIndex } from './home-index.ts'
import { type NounForm, nounPhrases, nouns } from './kinds.ts'
import { lexicon, phraseWordsMax, type Sense } from './lexicon.ts'
import type { Token } from './normalise.ts'
import { nearestWord } from './spelling.ts'

export interface TargetWord {
  readonly word: string
  readonly noun?: NounForm
  /** Said as part of a whole name, so that it is no grammar. */
  readonly bound?: boolean
  /** Not what was heard, but the only near word of this home. */
  readonly corrected?: boolean
  /** False where neither the home nor the grammar knows the word. */
  readonly known: boolean
}

export interface Item {
  readonly start: number
  readonly end: number
  readonly phrase: string
  readonly sense?: Sense
  readonly number?: number
  /** Heard otherwise, and taken for the only near word. */
  readonly corrected?: boolean
  /** The whole name of a device, and of no place. */
  readonly entity?: boolean
  /** Words of a target; several where a phrase stands for a name. */
  readonly target?: readonly TargetWord[]
}

/** Misheard words that are looked for: with more of them the sentence is not one of this home, and looking costs time. */
const slipsMax = 4

/** Words of the longest choice that is looked for. */
const choiceWordsMax = 6

/** Reads tokens as items. `phrases` are the names that may be bound as a whole. */
export function tag(
  tokens: readonly Token[],
  index: HomeIndex,
  phrases: ReadonlyMap<string, readonly string[]>,
): Item[] {
  const items: Item[] = []
  let slips = 0
  for (let at = 0; at < tokens.length; ) {
    const item =
      readChoice(tokens, at, items, index) ??
      readName(tokens, at, index, phrases) ??
      readNoun(tokens, at) ??
      readLightVerb(tokens, at, items) ??
      readNumberInName(tokens, at, items, index) ??
      readGrammar(tokens, at, items)
    const read = item ?? readWord(tokens, at, index, slips < slipsMax)
    if (read.item.target?.some(({ known, corrected }) => corrected || !known)) slips += 1
    items.push(read.item)
    at += read.length
  }
  return settleOn(items)
}

type Read = { readonly item: Item; readonly length: number }

function span(tokens: readonly Token[], at: number, length: number): Pick<Item, 'start' | 'end' | 'phrase'> {
  const words = tokens.slice(at, at + length)
  return {
    start: words[0]?.start ?? 0,
    end: words.at(-1)?.end ?? 0,
    phrase: words.map((token) => token.text).join(' '),
  }
}

function longest<T>(
  tokens: readonly Token[],
  at: number,
  max: number,
  table: ReadonlyMap<string, T>,
): { value: T; length: number } | undefined {
  let found: { value: T; length: number } | undefined
  let phrase = ''
  for (let length = 1; length <= max; length += 1) {
    const token = tokens[at + length - 1]
    if (token === undefined) break
    phrase = length === 1 ? token.text : `${phrase} ${token.text}`
    const value = table.get(phrase)
    if (value !== undefined) found = { value, length }
  }
  return found
}

function readName(
  tokens: readonly Token[],
  at: number,
  index: HomeIndex,
  phrases: ReadonlyMap<string, readonly string[]>,
): Read | undefined {
  const found = longest(tokens, at, index.phraseWordsMax, phrases)
  if (found === undefined) return undefined
  const target = found.value.map((word) => ({ ...targetWord(word, true), bound: true }))
  const read = span(tokens, at, found.length)
  return { item: { ...read, target, entity: index.isDevice(read.phrase) }, length: found.length }
}

/** `the traffic light to red`: after a select's name, what it may be set to. Nowhere else: `red` is a lamp's colour too. */
function readChoice(
  tokens: readonly Token[],
  at: number,
  before: readonly Item[],
  index: HomeIndex,
): Read | undefined {
  const named = before.findLast(({ sense, entity }) => sense?.as === 'and' || entity)
  const choices = named && index.choicesOf(named.phrase)
  if (!choices) return undefined
  const table = new Map([...choices].map((choice) => [choice, choice]))
  const found = longest(tokens, at, choiceWordsMax, table)
  if (found === undefined) return undefined
  const sense: Sense = { as: 'slot', fills: { option: found.value } }
  return { item: { ...span(tokens, at, found.length), sense }, length: found.length }
}

function targetWord(word: string, known: boolean): TargetWord {
  const noun = nouns.get(word)
  return noun ? { word, noun, known: true } : { word, known }
}

/** `lamp 2`: a small number right after a thing, and of nothing, is part of its name and no amount. */
function readNumberInName(
  tokens: readonly Token[],
  at: number,
  before: readonly Item[],
  index: HomeIndex,
): Read | undefined {
  const token = tokens[at]
  const { number } = token ?? {}
  if (token === undefined || number === undefined || !Number.isInteger(number) || number < 1 || number > 9)
    return undefined
  const next = longest(tokens, at + 1, 2, lexicon)?.value
  if (before.at(-1)?.target === undefined || next?.as === 'unit') return undefined
  return {
    item: { ...span(tokens, at, 1), target: [targetWord(token.text, index.knows(token.text))] },
    length: 1,
  }
}

/** `the air conditioning`. */
function readNoun(tokens: readonly Token[], at: number): Read | undefined {
  const found = longest(tokens, at, 2, nounPhrases)
  if (found === undefined) return undefined
  return {
    item: { ...span(tokens, at, found.length), target: [targetWord(found.value, true)] },
    length: found.length,
  }
}

/** `light the fire`: the only place where `light` is a verb. */
function readLightVerb(tokens: readonly Token[], at: number, before: readonly Item[]): Read | undefined {
  const isVerb =
    tokens[at]?.text === 'light' &&
    /^(?:the|a|my|our)$/.test(tokens[at + 1]?.text ?? '') &&
    onlyGlue(before) &&
    !nouns.get(tokens[at + 2]?.text ?? '')?.noun.kinds.every((kind) => kind === 'light')
  if (!isVerb) return undefined
  return {
    item: { ...span(tokens, at, 1), sense: { as: 'slot', fills: { state: 'on' } } },
    length: 1,
  }
}

/** Whether a clause begins here. */
function onlyGlue(items: readonly Item[]): boolean {
  for (let at = items.length - 1; at >= 0; at -= 1) {
    const as = items[at]?.sense?.as
    if (as === 'and') return true
    if (as !== 'glue' && as !== 'to' && as !== 'not') return false
  }
  return true
}

function readGrammar(tokens: readonly Token[], at: number, before: readonly Item[]): Read | undefined {
  const token = tokens[at]
  const found = longest(tokens, at, phraseWordsMax, lexicon)
  if (found === undefined)
    return token?.number === undefined
      ? undefined
      : { item: { ...span(tokens, at, 1), number: token.number }, length: 1 }
  const initial = 'initial' in found.value && found.value.initial === true
  if (initial && !onlyGlue(before)) return undefined
  const corrected = tokens.slice(at, at + found.length).some((token) => token.mended)
  return {
    item: { ...span(tokens, at, found.length), sense: found.value, ...(corrected ? { corrected } : {}) },
    length: found.length,
  }
}

function readWord(tokens: readonly Token[], at: number, index: HomeIndex, mayCorrect: boolean): Read {
  const word = tokens[at]?.text ?? ''
  const known = index.knows(word) || nouns.has(word)
  const next = tokens[at + 1]?.text
  if (next !== undefined && index.knows(word + next) && !(known && index.knows(next)))
    return { item: { ...span(tokens, at, 2), target: [targetWord(word + next, true)] }, length: 2 }
  const corrected = known || !mayCorrect ? undefined : nearestWord(word, index.vocabulary, nouns)
  const read = targetWord(corrected ?? word, known || corrected !== undefined)
  const target = [corrected === undefined ? read : { ...read, corrected: true }]
  return { item: { ...span(tokens, at, 1), target }, length: 1 }
}

/** Decides for each `on` whether it is a state (`turn on`, `light on`) or a preposition (`on the porch`). */
function settleOn(items: readonly Item[]): Item[] {
  const acts = items.some((item) => isAct(item.sense))
  const ons = items.filter((item) => item.sense?.as === 'on').length
  const ordered = items.some((item) => item.sense?.as === 'neutral')
  return items.map((item, at) => {
    if (item.sense?.as !== 'on') return item
    // `the heating on 24`.
    if (items[at + 1]?.number !== undefined && (!items[at + 2] || items[at + 2]?.sense?.as === 'unit'))
      return { ...item, sense: { as: 'to' } }
    // `kitchen light on fireplace off`: no verb, so each state is its own.
    const run = !ordered && items[at - 1]?.target && items[at + 1]?.target && isStateNext(items, at + 1)
    if (run) return { ...item, sense: { as: 'slot', fills: { state: 'on' } } }
    const before = items[at - 1]?.sense?.as
    const preposition = before !== 'neutral' && (acts || ons > 1) && leadsToPlace(items, at + 1)
    return { ...item, sense: preposition ? { as: 'glue' } : { as: 'slot', fills: { state: 'on' } } }
  })
}

/** Whether a state follows the things named next. */
function isStateNext(items: readonly Item[], from: number): boolean {
  const next = items.slice(from).find((item) => !item.target)
  return next?.sense?.as === 'on' || (next?.sense?.as === 'slot' && next.sense.fills.state !== undefined)
}

function isAct(sense: Sense | undefined): boolean {
  return sense?.as === 'slot'
}

/** Whether a thing follows, with at most an article between. */
function leadsToPlace(items: readonly Item[], from: number): boolean {
  for (let at = from; at < items.length; at += 1) {
    const item = items[at] as Item
    if (item.target) return true
    const article = item.sense?.as === 'glue' && /^(?:the|my|our|a|an|your|its)$/.test(item.phrase)
    if (!article && item.sense?.as !== 'all') return false
  }
  return false
}
