/**
 * What counts as personal in a text, by its form. Every pattern is bounded in length and cannot backtrack far, so the time is
 * linear in the text whatever it says. What a form cannot tell (a nickname, a street without its kind) is not found.
 */
import { isIP } from 'node:net'
import { iban, luhn } from './checksums.ts'

/** Ordered: where two overlap, the name of the earlier one is used for both. */
export const kinds = [
  'URL',
  'SECRET',
  'EMAIL',
  'IBAN',
  'CARD',
  'PLACE',
  'MAC',
  'IP',
  'PHONE',
  'ADDRESS',
  'PERSON',
  'DEVICE',
  'AREA',
  'TEXT',
] as const
/** `TEXT`: something that looks like a placeholder of the same session. `PLACE`: coordinates. */
export type Kind = (typeof kinds)[number]

export interface Pattern {
  readonly kind: Kind
  /** Global, with indices. Where it has a group `it`, only that part is personal. */
  readonly form: RegExp
  /** How much of what was found, from its start, is personal: characters, 0 for none. Absent: all of it. */
  readonly extent?: (text: string) => number
}

const digitsOf = (text: string) => text.replace(/\D/g, '')
const between = (value: number, min: number, max: number) => value >= min && value <= max
/** Letters and digits mixed as no word is: three kinds of characters, or a long run of hexadecimal digits. */
const isRandom = (text: string) =>
  /^[0-9a-fA-F]{32,}$/.test(text) ||
  [/[a-z]/, /[A-Z]/, /\d/].every((one) => one.test(text)) ||
  (/\d.*\d.*\d/.test(text) && /[a-zA-Z]/.test(text))
const isPlace = (text: string) => {
  const [latitude = 0, longitude = 0] = (text.match(/-?\d{1,3}\.\d+/g) ?? []).map(Number)
  return between(latitude, -90, 90) && between(longitude, -180, 180)
}

const allIf = (holds: (text: string) => boolean) => (text: string) => (holds(text) ? text.length : 0)

/** The longest start of it that is a card's number and ends where a group of digits ends. */
function cardExtent(text: string): number {
  const digits = groupsOf(text, (code) => code >= 0x30 && code <= 0x39)
  for (let count = Math.min(19, digits.plain.length); count >= 13; count -= 1)
    if (digits.endsGroup(count) && luhn(digits.plain.slice(0, count))) return digits.ends[count - 1] ?? 0
  return 0
}

function ibanExtent(text: string): number {
  const { plain, ends } = groupsOf(text, (code) => code !== 0x20)
  for (let count = Math.min(34, plain.length); count >= 15; count -= 1)
    if (iban(plain.slice(0, count))) return ends[count - 1] ?? 0
  return 0
}

/** Its characters of one kind in a row, and where each of them ends in the text. Each text is looked at once. */
function groupsOf(text: string, belongs: (code: number) => boolean) {
  const ends: number[] = []
  let plain = ''
  for (let at = 0; at < text.length; at += 1)
    if (belongs(text.charCodeAt(at))) {
      plain += text[at]
      ends.push(at + 1)
    }
  const endsGroup = (count: number) => ends[count] !== (ends[count - 1] ?? 0) + 1
  return { plain, ends, endsGroup }
}

/** A sentence may end right after it. */
function ipv6Extent(text: string): number {
  for (let length = text.length; length > 3; length -= 1) if (isIP(text.slice(0, length)) === 6) return length
  return 0
}

/** With a capital, as after a name: "20 minutes on the way" is no address. */
const streetKinds =
  'Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Square|Sq|Terrace|Place|Pl|Way'

export const patterns: readonly Pattern[] = [
  { kind: 'URL', form: /\b[a-z][a-z0-9+.-]{1,20}:\/\/[^\s/@:]{0,128}:[^\s/@]{1,256}@[^\s]{1,1024}/giu },
  {
    kind: 'SECRET',
    form: /-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[A-Za-z0-9+/=\s]{0,8192}(?:-----END [A-Z ]{0,40}PRIVATE KEY-----)?/gu,
  },
  {
    // From the start of a word on, so that a long one is looked at once and not from each place in it.
    kind: 'SECRET',
    form: /(?<![\w-])[\w-]{0,64}?(?<it>eyJ[\w-]{5,2048}\.[\w-]{2,4096}\.[\w-]{0,1024})/dgu,
  },
  {
    kind: 'SECRET',
    form: /\b(?:sk|pk|rk|ghp|gho|ghs|ghu|glpat|xox[abprs]|AKIA|ASIA|AIza)[-_]?[A-Za-z0-9_-]{12,256}/gu,
  },
  {
    kind: 'SECRET',
    form: /\b(?:password|passwort|passwd|passphrase|secret|token|api[ _-]?key|pin)\s{0,3}(?:is|ist|[:=])\s{0,3}["']?(?<it>[^\s"',;]{3,256})/dgiu,
  },
  { kind: 'SECRET', form: /(?<![\w+/-])[A-Za-z0-9+/_-]{24,}={0,2}(?![\w+/-])/gu, extent: allIf(isRandom) },
  { kind: 'EMAIL', form: /[\p{L}\p{N}._%+'-]{1,64}@(?:[\p{L}\p{N}-]{1,63}\.){1,8}[\p{L}\p{N}-]{2,63}/gu },
  {
    kind: 'IBAN',
    form: /\b(?=(?<it>[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}))/dgiu,
    extent: ibanExtent,
  },
  { kind: 'CARD', form: /(?<!\d)(?=(?<it>\d(?:[ -]?\d){12,18}))/dgu, extent: cardExtent },
  {
    kind: 'PLACE',
    form: /(?<![\d.])-?\d{1,3}\.\d{3,12}\s{0,2}[,;]\s{0,2}-?\d{1,3}\.\d{3,12}(?!\d)/gu,
    extent: allIf(isPlace),
  },
  {
    kind: 'PLACE',
    form: /\d{1,3}°\s?\d{1,2}['′]\s?(?:\d{1,2}(?:\.\d{1,4})?["″]\s?)?[NS][\s,]{0,3}\d{1,3}°\s?\d{1,2}['′]\s?(?:\d{1,2}(?:\.\d{1,4})?["″]\s?)?[EWO]/giu,
  },
  { kind: 'MAC', form: /(?<![\w:-])[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}(?![\w:-])/giu },
  {
    kind: 'IP',
    form: /(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w])/gu,
    extent: allIf((text) => isIP(text) === 4),
  },
  {
    kind: 'IP',
    form: /(?<![\w:.])[0-9a-f]{0,4}:[0-9a-f:.]{1,44}(?![\w:])/giu,
    extent: ipv6Extent,
  },
  {
    kind: 'PHONE',
    form: /(?<![\w.+])(?:\+|00|\(?0)\d?(?:[ ()./-]{0,2}\d){6,14}(?!\d)/gu,
    extent: allIf((text) => between(digitsOf(text).length, 7, 17)),
  },
  { kind: 'PHONE', form: /(?<![\w.])\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}(?!\d)/gu },
  {
    kind: 'ADDRESS',
    form: new RegExp(`\\b\\d{1,5}[a-z]?(?: \\p{Lu}[\\p{L}.'-]{0,30}){1,4} (?:${streetKinds})\\b\\.?`, 'gu'),
  },
  {
    kind: 'ADDRESS',
    form: /(?<!\p{L})\p{L}[\p{L}-]{0,40}(?:straße|strasse|str\.|gasse|weg|platz|allee|ufer|damm|ring)\s\d{1,4}\s?[a-z]?(?![\p{L}\d])/giu,
  },
]

/** A placeholder, as a language model may hand it back: another case, a space for the line, spaces inside. */
export const placeholderForm = /\[\s?([a-z]{2,7})[ _-](\d{1,6})\s?\]/giu
export const placeholderCharsMax = 24
/** True where `tail`, the end of a text, may be the start of a placeholder. */
export function mayBePlaceholder(tail: string): boolean {
  return /^\[\s?(?:[a-z]{0,7}|[a-z]{2,7}[ _-]\d{0,6}|[a-z]{2,7}[ _-]\d{1,6}\s?)$/iu.test(tail)
}
