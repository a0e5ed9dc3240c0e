/**
 * A text as it looks, whatever it is written with: full-width and styled letters, typographic quotes, dashes and spaces, digits of
 * other scripts, characters that nobody sees, and `\u00f6` as JSON escapes it. What is personal is looked for in that, and hidden
 * where it stands in the text itself.
 */

export interface PlainText {
  readonly text: string
  /** The place in the source of a span of `text`. */
  readonly inSource: (from: number, to: number) => { readonly from: number; readonly to: number }
}

/** What may look otherwise than it is written: beyond ASCII, or escaped. */
const odd = /[^\0-\x7f]|\\u[0-9a-f]{4}/i
const escaped = /\\u([0-9a-f]{4})/iy
/** Unicode 17: characters of no width, such as soft hyphens and joiners. */
const unseen = /^\p{Default_Ignorable_Code_Point}$/u
const apostrophes = /^[\u2018\u2019\u201b\u2032\u02bc\u00b4]$/
const spaces = /^\p{Zs}$/u
const dashes = /^(?:\p{Pd}|\u2212)$/u
/** Zeros of scripts that NFKC leaves as they are: Arabic, Persian and Urdu, Devanagari, Bengali. */
const zeros = [0x660, 0x6f0, 0x966, 0x9e6]

/** Looked at without a stop, characters: milliseconds. */
const stretch = 4096

/** In linear time; ASCII without escapes is itself. */
export function plainText(source: string): PlainText {
  const work = lookingPlainlyAt(source)
  for (;;) {
    const { done, value } = work.next()
    if (done) return value
  }
}

/** The same, which stops now and then for others: each time it says how many characters it has looked at. */
export function* lookingPlainlyAt(source: string): Generator<number, PlainText, undefined> {
  if (!odd.test(source)) return { text: source, inSource: (from, to) => ({ from, to }) }
  const known = new Map<number, string>()
  let text = ''
  /** Where each unit of the text begins in the source. */
  const starts: number[] = []
  let looked = 0
  for (let at = 0; at < source.length; ) {
    const { code, length } = characterAt(source, at)
    const shown = known.get(code) ?? shownAs(code)
    known.set(code, shown)
    text += shown
    for (let unit = 0; unit < shown.length; unit += 1) starts.push(at)
    at += length
    if (at - looked < stretch) continue
    yield at - looked
    looked = at
  }
  const inSource = (from: number, to: number) => {
    // One character may look like two, of which a span may have the first.
    let end = to
    while (end < starts.length && starts[end] === starts[end - 1]) end += 1
    return { from: starts[from] ?? source.length, to: starts[end] ?? source.length }
  }
  return { text, inSource }
}

/** One character, and the units that it takes in the source: six and more where it is escaped. */
function characterAt(source: string, at: number): { readonly code: number; readonly length: number } {
  const first = unitAt(source, at)
  const second = first && isHigh(first.code) ? unitAt(source, at + 6) : undefined
  if (first && second && isLow(second.code))
    return { code: (first.code - 0xd800) * 0x400 + (second.code - 0xdc00) + 0x10000, length: 12 }
  if (first) return first
  const code = source.codePointAt(at) ?? 0
  return { code, length: code > 0xffff ? 2 : 1 }
}

function unitAt(source: string, at: number) {
  if (source[at] !== '\\') return undefined
  escaped.lastIndex = at
  const found = escaped.exec(source)?.[1]
  return found === undefined ? undefined : { code: Number.parseInt(found, 16), length: 6 }
}

const isHigh = (code: number) => code >= 0xd800 && code < 0xdc00
const isLow = (code: number) => code >= 0xdc00 && code < 0xe000

function shownAs(code: number): string {
  const character = String.fromCodePoint(code)
  if (code < 0x7f) return character
  if (unseen.test(character)) return ''
  if (apostrophes.test(character)) return "'"
  if (spaces.test(character)) return ' '
  if (dashes.test(character)) return '-'
  const zero = zeros.find((one) => code >= one && code < one + 10)
  return zero === undefined ? character.normalize('NFKC') : String(code - zero)
}
