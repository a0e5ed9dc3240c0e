/**
 * Hides what is personal in a text behind typed placeholders, `[EMAIL_1]`, and puts it back into the answer. The form is
 * ASCII in square brackets: every tokenizer keeps it, JSON, HTML and shell need no escape in it, a model reads what kind of
 * thing it stands for, and the closing bracket keeps `[EMAIL_1]` and `[EMAIL_12]` apart. What is not found is not hidden: see
 * `patterns.ts` for what is looked for, and the README for what is not.
 */
import {
  type Kind,
  kinds,
  mayBePlaceholder,
  type Pattern,
  patterns,
  placeholderCharsMax,
  placeholderForm,
} from './patterns.ts'
import { lookingPlainlyAt, plainText } from './plain-text.ts'

export interface KnownName {
  readonly kind: 'PERSON' | 'DEVICE' | 'AREA'
  readonly name: string
}

/** More than the devices of a site have rooms and entities; the rest would be left out silently, so it is refused. */
const namesMax = 100_000
const nameCharsMin = 2
const nameCharsMax = 200
/** Texts beyond this are not sent: a request of this size is no conversation. */
export const textCharsMax = 1_000_000

/** Work on long texts, which stops now and then for others: each time it says how many characters it has looked at. */
export type InTurns<T> = Generator<number, T, undefined>

interface Span {
  readonly from: number
  readonly to: number
  readonly kind: Kind
}

export class Redactor {
  /** By the whole name: its words and what is between them. */
  readonly #names = new Map<string, Kind>()
  /** By a name's first word: words of the longest name that starts with it. */
  readonly #longest = new Map<string, number>()

  /** Throws RangeError for more names than there may be. Names of one letter are left out: they would hide every "I". */
  constructor(names: readonly KnownName[] = []) {
    if (names.length > namesMax)
      throw new RangeError(`${names.length} names to hide; ${namesMax} are possible`)
    for (const { kind, name } of names) {
      const core = plainText(name)
        .text.trim()
        .slice(0, nameCharsMax)
        .replace(/^[^\p{L}\p{N}]+|[^\p{L}\p{N}\p{M}]+$/gu, '')
        .replace(/\s+/g, ' ')
      const words = wordsOf(core)
      const [first] = words
      if (core.length < nameCharsMin || !first) continue
      const written = words.map(({ gap, word }, at) => (at === 0 ? word : gap + word)).join('')
      if (!this.#names.has(written)) this.#names.set(written, kind)
      this.#longest.set(first.word, Math.max(words.length, this.#longest.get(first.word) ?? 0))
    }
  }

  /** The placeholders of one request: the same thing gets the same one in all its texts. */
  session(): RedactionSession {
    return new RedactionSession((text) => this.#spans(text))
  }

  /** What is hidden, in order, without overlaps: what overlaps is one. */
  *#spans(source: string): InTurns<Span[]> {
    const { text, inSource } = yield* lookingPlainlyAt(source)
    let found: Span[] = []
    for (const pattern of [...patterns, { kind: 'TEXT' as const, form: placeholderForm }])
      found = found.concat(yield* spansOf(pattern, text))
    found = found.concat(yield* this.#namesIn(text))
    found.sort((a, b) => a.from - b.from || b.to - a.to)
    const merged: Span[] = []
    for (const span of found) {
      const last = merged.at(-1)
      if (!last || span.from >= last.to) merged.push(span)
      else
        merged[merged.length - 1] = {
          from: last.from,
          to: Math.max(last.to, span.to),
          kind: first(last.kind, span.kind),
        }
    }
    return merged.map(({ from, to, kind }) => ({ ...inSource(from, to), kind }))
  }

  /** Word by word, the longest name at each: the time does not depend on how many names there are. */
  *#namesIn(text: string): InTurns<Span[]> {
    const words = yield* wordsIn(text)
    const found: Span[] = []
    for (const [at, { word, from, to }] of words.entries()) {
      const longest = this.#longest.get(word) ?? 0
      let written = ''
      let span: Span | undefined
      for (const [nth, next] of words.slice(at, at + longest).entries()) {
        written += nth === 0 ? next.word : next.gap + next.word
        const kind = this.#names.get(written)
        if (kind) span = { from, to: next.to, kind }
      }
      if (span) found.push(span)
      yield to - from
    }
    return found
  }
}

export class RedactionSession {
  readonly #spans: (text: string) => InTurns<Span[]>
  readonly #hidden = new Map<string, string>()
  readonly #placeholders = new Map<string, string>()
  readonly #counts = new Map<Kind, number>()
  /** Placeholders that stood in the texts already: not this session's, so none of its own is called the same. */
  readonly #foreign = new Set<string>()

  constructor(spans: (text: string) => InTurns<Span[]>) {
    this.#spans = spans
  }

  /** How many things are hidden so far. */
  get size(): number {
    return this.#hidden.size
  }

  /** Placeholders in `text`, made by whoever hid something before, keep their names. To be told of all texts before the first `redact`. */
  keep(text: string): void {
    for (const [, kind = '', number = ''] of text.matchAll(placeholderForm))
      if (!this.#hidden.has(keyOf(kind, number))) this.#foreign.add(keyOf(kind, number))
  }

  /** Throws RangeError for a text that is too long. */
  redact(text: string): string {
    return atOnce(this.redacting(text))
  }

  /** The same in turns. */
  *redacting(text: string): InTurns<string> {
    if (text.length > textCharsMax) throw new RangeError(`a text of more than ${textCharsMax} characters`)
    this.keep(text)
    let out = ''
    let at = 0
    for (const { from, to, kind } of yield* this.#spans(text)) {
      const found = text.slice(from, to)
      out += text.slice(at, from) + (this.#isForeign(found) ? found : this.#placeholder(kind, found))
      at = to
    }
    return out + text.slice(at)
  }

  /** Nothing but others' placeholders and what may stand around them, as in "password is [SECRET_1]." */
  #isForeign(text: string): boolean {
    const rest = text.replace(placeholderForm, (found, kind: string, number: string) =>
      this.#foreign.has(keyOf(kind, number)) ? '' : found,
    )
    return rest !== text && !/[\p{L}\p{N}]/u.test(rest)
  }

  /** Placeholders of this session become what they stand for, `escaped` as in a JSON string; others stay as they are. */
  restore(text: string, escaped = false): string {
    return text.replace(placeholderForm, (found, kind: string, number: string) => {
      const hidden = this.#hidden.get(keyOf(kind, number))
      return hidden === undefined ? found : escaped ? JSON.stringify(hidden).slice(1, -1) : hidden
    })
  }

  /** The same for a text that comes in pieces: a placeholder may be split anywhere. */
  restorer(escaped = false): Restorer {
    return new Restorer((text) => this.restore(text, escaped))
  }

  #placeholder(kind: Kind, text: string): string {
    const known = this.#placeholders.get(text)
    if (known !== undefined) return known
    let number = (this.#counts.get(kind) ?? 0) + 1
    while (this.#foreign.has(keyOf(kind, number))) number += 1
    this.#counts.set(kind, number)
    const placeholder = `[${kind}_${number}]`
    this.#placeholders.set(text, placeholder)
    this.#hidden.set(keyOf(kind, number), text)
    return placeholder
  }
}

export class Restorer {
  readonly #restore: (text: string) => string
  #held = ''

  constructor(restore: (text: string) => string) {
    this.#restore = restore
  }

  /** What can be shown now. */
  push(piece: string): string {
    const text = this.#held + piece
    const open = text.lastIndexOf('[')
    const tail = open < 0 ? '' : text.slice(open)
    const held = tail !== '' && tail.length <= placeholderCharsMax && mayBePlaceholder(tail)
    this.#held = held ? tail : ''
    return this.#restore(held ? text.slice(0, open) : text)
  }

  /** What was held back. */
  end(): string {
    const rest = this.#held
    this.#held = ''
    return this.#restore(rest)
  }
}

/** All of it, without a stop. */
export function atOnce<T>(work: InTurns<T>): T {
  for (;;) {
    const { done, value } = work.next()
    if (done) return value
  }
}

/** Looking closer at a match takes as long as passing over so many characters. */
const extentChars = 200

function* spansOf({ kind, form, extent }: Pattern, text: string): InTurns<Span[]> {
  const spans: Span[] = []
  let seen = 0
  for (const match of text.matchAll(form)) {
    const [whole] = match
    const it = match.groups?.['it']
    const [from = match.index] = match.indices?.groups?.['it'] ?? []
    const length = extent ? extent(it ?? whole) : (it ?? whole).length
    if (length > 0) spans.push({ from, to: from + length, kind })
    yield match.index - seen + (extent ? extentChars : 0)
    seen = match.index
  }
  yield text.length - seen
  return spans
}

function keyOf(kind: string, number: string | number): string {
  return `${kind.toUpperCase()}_${Number(number)}`
}

function first(a: Kind, b: Kind): Kind {
  return kinds.indexOf(a) <= kinds.indexOf(b) ? a : b
}

interface Word {
  /** In any case, its accents written either way: as one. */
  readonly word: string
  /** Between it and the word before; a little space as one, and what stands for one in an id. */
  readonly gap: string
  readonly from: number
  readonly to: number
}

/** Whole words, with their accents. */
function* wordsIn(text: string): InTurns<Word[]> {
  const words: Word[] = []
  let end = 0
  for (const { 0: word, index } of text.matchAll(/[\p{L}\p{N}\p{M}]+/gu)) {
    const gap = text.slice(end, index).replace(/[\s_-]+/g, (space) => (space.length <= 3 ? ' ' : space))
    end = index + word.length
    words.push({ word: folded(word), gap, from: index, to: end })
    yield word.length
  }
  return words
}

/** In one case, `ß` as `SS`. */
const folded = (word: string) => word.normalize('NFC').toUpperCase().toLowerCase()
const wordsOf = (text: string) => atOnce(wordsIn(text))
