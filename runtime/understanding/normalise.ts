/**
 * Text to tokens: Unicode, case, punctuation, contractions, numbers in words.
 * Invariant: every token knows where in the text it came from, so that a reading can quote the speaker.
 */
import { readNumber } from './numbers.ts'

export interface Token {
  /** Canonical form: lower case, no accents, no apostrophes; a number in digits. */
  readonly text: string
  /** Span in the original text, UTF-16 code units. */
  readonly start: number
  readonly end: number
  /** Set where the token is a number. */
  readonly number?: number
  /** Not as it was heard: the only near word. */
  readonly mended?: true
}

/** Words that are two words in one. Negations keep their `not`: it decides. */
const contractions: ReadonlyMap<string, readonly string[]> = new Map([
  ['cannot', ['can', 'not']],
  ['dont', ['do', 'not']],
  ["won't", ['will', 'not']],
  ["can't", ['can', 'not']],
  ["let's", ['let', 'us']],
  ['whats', ['what', 'is']],
  ["i'm", ['i', 'am']],
])
const suffixes: readonly (readonly [string, string])[] = [
  ["n't", 'not'],
  ["'d", 'would'],
  ["'ll", 'will'],
  ["'re", 'are'],
  ["'ve", 'have'],
]
/** Before these `'s` is `is`; after any other word it is a possessive, and only the apostrophe goes. */
const isBefore = new Set(['what', 'it', 'that', 'where', 'who', 'how', 'there', 'here', 'when', 'which'])

const pattern =
  /(?:\p{L}\.){2,}|\ba\/c\b|\d{1,2}:\d{2}|\d+(?:st|nd|rd|th)(?![\p{L}\p{N}])|(?:(?<![\p{L}\p{N}])-)?\d+(?:[.,]\d+)*|[\p{L}\p{M}]+(?:['’ʼ`][\p{L}\p{M}]+)*|%|°|[,;&]|[.](?=\s|$)/gu

const ordinals = new Map([
  ['1st', 'first'],
  ['2nd', 'second'],
  ['3rd', 'third'],
  ['4th', 'fourth'],
  ['5th', 'fifth'],
])

/** Lower case without accents and with one kind of apostrophe. */
function fold(text: string): string {
  return text
    .replace(/^(?:\p{L}\.)+$|^a\/c$/iu, (letters) => letters.replace(/[./]/g, ''))
    .normalize('NFKD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/[’ʼ`]/gu, "'")
}

/** Tokens of a text, numbers in words already joined to one token. */
export function normalise(text: string): Token[] {
  const tokens: Token[] = []
  for (const match of text.matchAll(pattern)) {
    const start = match.index
    const end = start + match[0].length
    for (const word of expand(fold(match[0]))) tokens.push({ text: word, start, end, ...numeric(word) })
  }
  return joinHalves(joinNumbers(tokens))
}

/** The words of a name, as they would be tokenised in an utterance; punctuation dropped. */
export function nameWords(name: string): string[] {
  return normalise(name)
    .map((token) => token.text)
    .filter((word) => !isPunctuation(word))
}

/** A choice of a select as it is said: `all_off` as `all off`. */
export function saidChoice(choice: string): string {
  return nameWords(choice.replaceAll('_', ' ')).join(' ')
}

function isPunctuation(word: string): boolean {
  return word === ',' || word === ';' || word === '.'
}

function expand(word: string): readonly string[] {
  const known = contractions.get(word)
  if (known) return known
  if (word === '&') return ['and']
  const ordinal = ordinals.get(word)
  if (ordinal) return [ordinal]
  for (const [suffix, meaning] of suffixes)
    if (word.endsWith(suffix) && word.length > suffix.length) return [word.slice(0, -suffix.length), meaning]
  if (word.endsWith("'s") && isBefore.has(word.slice(0, -2))) return [word.slice(0, -2), 'is']
  return [word.replaceAll("'", '')]
}

function numeric(word: string): { number?: number } {
  if (!/^-?\d/.test(word) || word.includes(':')) return {}
  // A comma before exactly three digits groups thousands; before anything else it is a decimal comma.
  const value = Number(word.replace(/,(?=\d{3}(?:\D|$))/g, '').replace(',', '.'))
  return Number.isFinite(value) ? { number: value } : {}
}

function joinNumbers(tokens: readonly Token[]): Token[] {
  const joined: Token[] = []
  for (let at = 0; at < tokens.length; ) {
    const first = tokens[at] as Token
    const read = readNumber(tokens, at)
    const next = tokens[at + 1]
    if (first.text === 'minus' && next?.number !== undefined && read === undefined) {
      joined.push({ text: `-${next.text}`, start: first.start, end: next.end, number: -next.number })
      at += 2
      continue
    }
    if (read === undefined) {
      joined.push(first)
      at += 1
      continue
    }
    const last = tokens[at + read.length - 1] as Token
    joined.push({ text: String(read.value), start: first.start, end: last.end, number: read.value })
    at += read.length
  }
  return joined
}

/** `21 and a half`. */
function joinHalves(tokens: readonly Token[]): Token[] {
  const joined: Token[] = []
  for (let at = 0; at < tokens.length; at += 1) {
    const token = tokens[at] as Token
    const half = tokens[at + 3]
    const follows = tokens.slice(at + 1, at + 4).map((next) => next.text)
    if (token.number === undefined || half === undefined || follows.join(' ') !== 'and a half') {
      joined.push(token)
      continue
    }
    const number = token.number + 0.5
    joined.push({ text: String(number), start: token.start, end: half.end, number })
    at += 3
  }
  return joined
}
