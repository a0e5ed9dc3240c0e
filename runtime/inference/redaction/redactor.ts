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

export interface KnownName {
  readonly kind: 'PERSON' | 'DEVICE' | 'AREA'
  readonly name: string
}

/** More names than a home has people, rooms and devices; the rest would be left out silently, so it is refused. */
const namesMax = 4_000
const nameCharsMin = 2
const nameCharsMax = 200
/** Texts beyond this are not sent: a request of this size is no conversation. */
export const textCharsMax = 1_000_000

interface Span {
  readonly from: number
  readonly to: number
  readonly kind: Kind
}

export class Redactor {
  /** Names by their first word, folded; the longest first. */
  readonly #names = new Map<string, { readonly kind: Kind; readonly form: RegExp }[]>()

  /** Throws RangeError for more names than there may be. Names of one letter are left out: they would hide every "I". */
  constructor(names: readonly KnownName[] = []) {
    if (names.length > namesMax)
      throw new RangeError(`${names.length} names to hide; ${namesMax} are possible`)
    const sorted = names.toSorted((a, b) => b.name.length - a.name.length)
    for (const { kind, name } of sorted) {
      const core = name
        .trim()
        .slice(0, nameCharsMax)
        .replace(/^[^\p{L}\p{N}]+|[^\p{L}\p{N}\p{M}]+$/gu, '')
      const word = core.match(wordForm)?.[0]
      if (core.length < nameCharsMin || word === undefined) continue
      const known = this.#names.get(folded(word)) ?? []
      known.push({ kind, form: nameForm(core) })
      this.#names.set(folded(word), known)
    }
  }

  /** The placeholders of one request: the same thing gets the same one in all its texts. */
  session(): RedactionSession {
    return new RedactionSession((text) => this.#spans(text))
  }

  /** What is hidden, in order, without overlaps: what overlaps is one. */
  #spans(text: string): Span[] {
    const found = [...patterns, { kind: 'TEXT' as const, form: placeholderForm }]
      .flatMap((pattern) => spansOf(pattern, text))
      .concat(this.#namesIn(text))
      .sort((a, b) => a.from - b.from || b.to - a.to)
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
    return merged
  }

  /** Word by word: the time does not depend on how many names there are. */
  #namesIn(text: string): Span[] {
    const spans: Span[] = []
    for (const { 0: word, index } of text.matchAll(wordForm)) {
      for (const { kind, form } of this.#names.get(folded(word)) ?? []) {
        form.lastIndex = index
        const found = form.exec(text)?.[0]
        if (found === undefined) continue
        spans.push({ from: index, to: index + found.length, kind })
        break
      }
    }
    return spans
  }
}

export class RedactionSession {
  readonly #spans: (text: string) => Span[]
  readonly #hidden = new Map<string, string>()
  readonly #placeholders = new Map<string, string>()
  readonly #counts = new Map<Kind, number>()

  constructor(spans: (text: string) => Span[]) {
    this.#spans = spans
  }

  /** How many things are hidden so far. */
  get size(): number {
    return this.#hidden.size
  }

  /** Throws RangeError for a text that is too long. */
  redact(text: string): string {
    if (text.length > textCharsMax) throw new RangeError(`a text of more than ${textCharsMax} characters`)
    let out = ''
    let at = 0
    for (const { from, to, kind } of this.#spans(text)) {
      out += text.slice(at, from) + this.#placeholder(kind, text.slice(from, to))
      at = to
    }
    return out + text.slice(at)
  }

  /** Placeholders of this session become what they stand for, `escaped` as in a JSON string; others stay as they are. */
  restore(text: string, escaped = false): string {
    return text.replace(placeholderForm, (found, kind: string, number: string) => {
      const hidden = this.#hidden.get(`${kind.toUpperCase()}_${Number(number)}`)
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
    const number = (this.#counts.get(kind) ?? 0) + 1
    this.#counts.set(kind, number)
    const placeholder = `[${kind}_${number}]`
    this.#placeholders.set(text, placeholder)
    this.#hidden.set(`${kind}_${number}`, text)
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

function spansOf({ kind, form, extent }: Pattern, text: string): Span[] {
  return [...text.matchAll(form)].flatMap((match) => {
    const [whole] = match
    const it = match.groups?.['it']
    const [from = match.index] = match.indices?.groups?.['it'] ?? []
    const length = extent ? extent(it ?? whole) : (it ?? whole).length
    return length === 0 ? [] : [{ from, to: from + length, kind }]
  })
}

function first(a: Kind, b: Kind): Kind {
  return kinds.indexOf(a) <= kinds.indexOf(b) ? a : b
}

/** A whole word with its accents, however Unicode writes them. */
const wordForm = /[\p{L}\p{N}\p{M}_]+/gu
const folded = (word: string) => word.normalize('NFC').toLowerCase()

/** The whole name at one place of a text, in any case, its accents written either way, its words apart by a little space. */
function nameForm(name: string): RegExp {
  const escaped = [...new Set([name.normalize('NFC'), name.normalize('NFD')])].map((written) =>
    written.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&').replace(/\s+/g, '\\s{1,3}'),
  )
  return new RegExp(`(?:${escaped.join('|')})(?![\\p{L}\\p{N}\\p{M}_])`, 'iuy')
}
