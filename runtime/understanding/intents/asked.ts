/** Reads a question: what is asked of which things. Its grammar is its own, since `on` and `open` are states in it. */
import type { Reading } from '../../wire/messages.ts'
import type { Scene } from '../interpretation.ts'
import { type NounForm, nouns } from '../kinds.ts'
import { lexicon } from '../lexicon.ts'
import { type Measure, measures } from '../measures.ts'
import type { Token } from '../normalise.ts'
import { nearestWord } from '../spelling.ts'
import type { TargetWord } from '../tag.ts'

const lead = new Set(
  'please hey hi hello ok okay ganglion and so can could would will you tell show me do let know check if whether that see'.split(
    ' ',
  ),
)
const starters = new Set('is are was were what which how who where when why did does has have any'.split(' '))
/** Questions about reasons and persons: no telemetry answers them. */
const unanswerable = new Set(['who', 'when', 'why'])

export type Opening =
  | { readonly kind: 'none' }
  | { readonly kind: 'unanswerable' }
  | { readonly kind: 'question'; readonly first: string; readonly words: readonly Token[] }

/** How a question begins: with its own word, or behind `tell me`, `do you know`, `check if`. */
export function openingOf(tokens: readonly Token[]): Opening {
  const words = tokens.filter((token) => !/^[,;.]$/.test(token.text))
  const at = words.findIndex((token) => !lead.has(token.text))
  const first = words[at]?.text
  if (first === undefined) return { kind: 'none' }
  // `that's enough water`.
  if (words[at - 1]?.text === 'that' && !/^(?:check|know|see|me)$/.test(words[at - 2]?.text ?? ''))
    return { kind: 'none' }
  const before = words
    .slice(0, at)
    .map((token) => token.text)
    .join(' ')
  if (asksWhether(words)) return { kind: 'question', first: 'can', words: words.slice(at) }
  const indirect = /\b(?:(?:tell|show) me|know|check (?:if|whether|that)|see if)\b/.test(before)
  if (unanswerable.has(first)) return { kind: 'unanswerable' }
  // `have Rover clean` is a command.
  const isCommand = first === 'have' && !/^(?:i|we|you)$/.test(words[at + 1]?.text ?? '')
  if (starters.has(first) && !isCommand) return { kind: 'question', first, words: words.slice(at + 1) }
  if (!indirect) return { kind: 'none' }
  return {
    kind: 'question',
    first: /\b(?:if|whether|that)$/.test(before) ? 'is' : 'what',
    words: words.slice(at),
  }
}

const modals = new Set(['can', 'could', 'would', 'will', 'may', 'might', 'should', 'shall', 'must'])
/** Whom a modal verb asks to do something: `could you`, `can someone`. */
const doers = new Set(['you', 'u', 'we', 'i', 'someone', 'somebody', 'anyone', 'anybody', 'please', 'ya'])

/** `can the garage door be opened`, `am I able to`, `do you want to`: what may be, and no order. */
function asksWhether(words: readonly Token[]): boolean {
  const said = words
    .slice(0, 3)
    .map((token) => token.text)
    .join(' ')
  if (
    /^(?:am i|are we|are you) (?:able|allowed)\b|^(?:do|did|would) (?:you|we) (?:want|like|need|have)\b/.test(
      said,
    )
  )
    return true
  const first = words.findIndex((token) => modals.has(token.text))
  const polite = first >= 0 && words.slice(0, first).every((token) => lead.has(token.text))
  const next = words[first + 1]?.text
  if (!polite || next === undefined) return false
  // `could someone have opened the door`.
  if (doers.has(next)) return words[first + 2]?.text === 'have' && /ed$/.test(words[first + 3]?.text ?? '')
  // `could turn on the light` only lost its `you`.
  const as = lexicon.get(next)?.as
  const orders = lead.has(next) || as === 'neutral' || as === 'slot'
  return !orders || words.some((token) => token.text === 'be')
}

const glue = new Set(
  `is are was were what which how who where did does do has have had any the a an my our your in at of on to for it there i we
  me you right now currently please be been being set status state many much leave from or with still using use by
  currently out inside room rooms thing things item items tell know whether if value reading level like today there`.split(
    /\s+/,
  ),
)
const states: ReadonlyMap<string, string> = new Map([
  ['on', 'on'],
  ['off', 'off'],
  ['open', 'open'],
  ['opened', 'open'],
  ['closed', 'closed'],
  ['shut', 'closed'],
  ['close', 'closed'],
  ['locked', 'locked'],
  ['lock', 'locked'],
  ['unlocked', 'unlocked'],
  ['playing', 'playing'],
  ['paused', 'paused'],
  ['muted', 'muted'],
  ['cleaning', 'cleaning'],
  ['docked', 'docked'],
  ['running', 'running'],
])
/** What binary sensors detect. */
const detected: ReadonlyMap<string, readonly string[]> = new Map([
  ['motion', ['motion', 'occupancy', 'moving']],
  ['movement', ['motion', 'occupancy', 'moving']],
  ['anyone', ['occupancy', 'presence', 'motion']],
  ['anybody', ['occupancy', 'presence', 'motion']],
  ['someone', ['occupancy', 'presence', 'motion']],
  ['occupied', ['occupancy', 'presence']],
  ['smoke', ['smoke']],
  ['leak', ['moisture']],
  ['leaking', ['moisture']],
  ['gas', ['gas']],
])
const anything = new Set(['anything', 'everything', 'something'])
export const weatherWords: ReadonlyMap<string, readonly string[]> = new Map([
  ['raining', ['rainy', 'pouring', 'lightning-rainy', 'snowy-rainy']],
  ['rainy', ['rainy', 'pouring', 'lightning-rainy', 'snowy-rainy']],
  ['snowing', ['snowy', 'snowy-rainy']],
  ['sunny', ['sunny', 'clear', 'clear-night']],
  ['cloudy', ['cloudy', 'partlycloudy']],
  ['windy', ['windy', 'windy-variant']],
  ['foggy', ['fog']],
])
export const outside = new Set(['outside', 'outdoor', 'outdoors'])

export interface Asked {
  first: string
  count: boolean
  all: boolean
  any: boolean
  here: boolean
  setPoint: boolean
  state?: string
  measure?: Measure
  classes?: readonly string[]
  weather?: string
  anything: boolean
  target: TargetWord[]
  words: Reading['words']
}

/** What the words after the question word ask. */
export function readQuestion(text: string, first: string, tokens: readonly Token[], { index }: Scene): Asked {
  const asked: Asked = {
    first,
    count: first === 'how' && tokens[0]?.text === 'many',
    all: false,
    any: false,
    here: false,
    setPoint: false,
    anything: false,
    target: [],
    words: [],
  }
  for (let at = 0; at < tokens.length; ) at += readAt(text, tokens, at, asked, index)
  return asked
}

function readAt(
  text: string,
  tokens: readonly Token[],
  at: number,
  asked: Asked,
  index: Scene['index'],
): number {
  const bound = boundName(tokens, at, index)
  if (bound) {
    asked.target.push(...bound.map((word) => targetWord(word, true)))
    note(asked, text, tokens, at, bound.length, 'target', bound.join(' '))
    return bound.length
  }
  const word = tokens[at]?.text ?? ''
  const role = readGrammarWord(word, tokens, at, asked)
  if (role !== undefined) {
    if (role !== '') note(asked, text, tokens, at, 1, role, word)
    return 1
  }
  const known = index.knows(word) || nouns.has(word)
  const corrected = known ? undefined : nearestWord(word, index.vocabulary, nouns)
  asked.target.push(targetWord(corrected ?? word, known || corrected !== undefined))
  note(asked, text, tokens, at, 1, 'target', corrected ?? word)
  return 1
}

function boundName(
  tokens: readonly Token[],
  at: number,
  index: Scene['index'],
): readonly string[] | undefined {
  let found: readonly string[] | undefined
  let phrase = ''
  for (let length = 1; length <= index.phraseWordsMax; length += 1) {
    const token = tokens[at + length - 1]
    if (token === undefined) break
    phrase = length === 1 ? token.text : `${phrase} ${token.text}`
    const words = index.allPhrases.get(phrase)
    if (words !== undefined && words.length === length) found = words
  }
  return found
}

/** The role of a grammar word, '' for glue, undefined for a word that is none. */
function readGrammarWord(
  word: string,
  tokens: readonly Token[],
  at: number,
  asked: Asked,
): string | undefined {
  if (word === 'all' || word === 'every' || word === 'both') {
    asked.all = true
    return 'scope'
  }
  if (word === 'any') asked.any = true
  if (word === 'here') {
    asked.here = true
    return 'scope'
  }
  if (anything.has(word)) {
    asked.anything = true
    asked.any = word !== 'everything'
    asked.all = word === 'everything'
    return 'target'
  }
  const state = states.get(word)
  if (state !== undefined && isState(word, tokens, at, asked.first)) {
    asked.state ??= state
    return 'state'
  }
  if (weatherWords.has(word) || word === 'weather') {
    asked.weather = word
    return 'weather'
  }
  const classes = detected.get(word)
  if (classes !== undefined) {
    asked.classes = classes
    return 'detected'
  }
  const measure = measures.get(word)
  if (measure !== undefined) {
    asked.measure = measure
    return 'measure'
  }
  if (word === 'set' || word === 'target') asked.setPoint = true
  // `have I left the lights on`, but not `the left curtain`.
  if (word === 'left' && /^(?:i|we|you)$/.test(tokens[at - 1]?.text ?? '')) return ''
  return glue.has(word) || word === 'target' ? '' : undefined
}

/** `on the first floor` is a place; `on?`, `on in the kitchen` a state. `lock` is a state only after `did I`. */
function isState(word: string, tokens: readonly Token[], at: number, first: string): boolean {
  if (word === 'lock' || word === 'close') return first === 'did'
  if (word !== 'on') return true
  const next = tokens[at + 1]?.text
  return (
    next === undefined ||
    ['in', 'at', 'or', 'right', 'now', 'here', 'upstairs', 'downstairs', 'anywhere'].includes(next) ||
    laterOnMissing(tokens, at)
  )
}

function laterOnMissing(tokens: readonly Token[], at: number): boolean {
  const others = tokens.slice(at + 1).some((token) => states.has(token.text))
  const article = ['the', 'my', 'our'].includes(tokens[at + 1]?.text ?? '')
  return !others && !article
}

function targetWord(word: string, known: boolean): TargetWord {
  const noun: NounForm | undefined = nouns.get(word)
  return noun ? { word, noun, known: true } : { word, known }
}

function note(
  asked: Asked,
  text: string,
  tokens: readonly Token[],
  at: number,
  length: number,
  role: string,
  means: string,
): void {
  const start = tokens[at]?.start ?? 0
  const end = tokens[at + length - 1]?.end ?? start
  asked.words.push({ text: text.slice(start, end), role, means })
}
