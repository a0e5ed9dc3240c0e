/** What is personal, written as people, word processors and programs write it. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { plainText } from '../../../../runtime/inference/redaction/plain-text.ts'
import { type KnownName, Redactor } from '../../../../runtime/inference/redaction/redactor.ts'

const names: KnownName[] = [
  { kind: 'PERSON', name: 'Anna' },
  { kind: 'PERSON', name: 'Jörg Weiß' },
  { kind: 'AREA', name: "Zoë's room" },
  { kind: 'DEVICE', name: 'Reading lamp' },
]
const redactor = new Redactor(names)
const hide = (text: string) => redactor.session().redact(text)

describe('what looks the same is hidden the same [router-10]', () => {
  it.each([
    ['a typographic apostrophe', 'in Zoë’s room', 'in [AREA_1]'],
    ['capitals, where ß is SS', 'JÖRG WEISS', '[PERSON_1]'],
    ['full-width letters', 'Ａｎｎａ', '[PERSON_1]'],
    ['a soft hyphen', 'An\u00adna', '[PERSON_1]'],
    ['a joiner that nobody sees', 'An\u200bna', '[PERSON_1]'],
    ['an id of an entity', 'light.reading_lamp', 'light.[DEVICE_1]'],
    ['an id with a hyphen', 'reading-lamp/set', '[DEVICE_1]/set'],
    [
      'escapes of JSON, as Python writes it',
      '{"name": "J\\u00f6rg Wei\\u00df"} it is',
      '{"name": "[PERSON_1]"} it is',
    ],
    ['an escaped at sign', 'to ben\\u0040mail.example', 'to [EMAIL_1]'],
    ['a full-width at sign', 'to ben＠mail.example', 'to [EMAIL_1]'],
    ['spaces that do not break', '+49\u00a0170\u00a01234567', '[PHONE_1]'],
    ['hyphens that do not break', '4111\u20111111\u20111111\u20111111', '[CARD_1]'],
    ['an account with narrow spaces', 'DE89\u202f3704\u202f0044\u202f0532\u202f0130\u202f00', '[IBAN_1]'],
    ['digits of another script', '+٤٩ ١٧٠ ١٢٣٤٥٦٧', '[PHONE_1]'],
  ])('%s', (_, text, hidden) => {
    const session = redactor.session()
    const sent = session.redact(text)
    expect(sent).toBe(hidden)
    // As it was written.
    expect(session.restore(sent)).toBe(text)
  })

  it('other words with the same letters stay', () => {
    for (const text of ['Annapolis', 'un\u00adnamed', 'Ａｎｎａｌｓ', 'a read-only lamp', 'C:\\users\\u00'])
      expect(hide(text)).toBe(text)
  })
})

describe('plainText', () => {
  it('every span of it stands for a span of the source, in the same order, and all of it for all of it', () => {
    const piece = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 5 }),
      fc.constantFrom('ﬁ', '\u00ad', '\\u00f6', '\\ud83d\\udecb', '\\ud83d', '😀', '\\', 'ä', '½', '０'),
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 10 }), (pieces) => {
        const source = pieces.join('')
        const { text, inSource } = plainText(source)
        const spans = Array.from(text, (_, at) => at)
          .filter((at) => at < text.length)
          .map((at) => inSource(at, at + 1))
        const isSpan = ({ from, to }: { from: number; to: number }, at: number) =>
          from >= 0 && from < to && to <= source.length && to >= (spans[at - 1]?.to ?? 0)
        expect(spans.every(isSpan)).toBe(true)
        if (text !== '') expect(inSource(0, text.length).to).toBe(source.length)
      }),
      { numRuns: 200 },
    )
  })

  it('what is looked at already looks the same', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (source) => {
        const { text } = plainText(source.replaceAll('\\', ''))
        expect(plainText(text.replaceAll('\\', '')).text).toBe(text.replaceAll('\\', ''))
      }),
      { numRuns: 200 },
    )
  })
})
