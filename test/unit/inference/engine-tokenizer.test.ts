/** Cutting text into pieces of a vocabulary. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { UnigramTokenizer } from '../../../runtime/inference/engine/pipelines/unigram-tokenizer.ts'

const signs = ['<unk>', '<s>', '</s>', 'x1', 'x2', 'x3'].map((sign) => [sign, 0] as const)
const pieces = [
  ['▁', -3],
  ['▁turn', -4],
  ['▁t', -5],
  ['urn', -5],
  ['o', -3],
  ['n', -3],
  ['▁on', -3.5],
  ['lamp', -6],
] as const
const tokenizer = new UnigramTokenizer([...signs, ...pieces])
const id = (piece: string) => signs.length + pieces.findIndex(([text]) => text === piece)

describe('the unigram tokenizer', () => {
  test('takes the likeliest pieces, not the longest or the first', () => {
    // ▁turn (-4) before ▁t urn (-10); ▁on (-3.5) before ▁ o n (-9).
    expect(tokenizer.encode('turn on')).toEqual([id('▁turn'), id('▁on')])
  })

  test('makes one unknown of what no piece covers, and goes on behind it', () => {
    expect(tokenizer.encode('turn ❤❤❤ on')).toEqual([id('▁turn'), id('▁'), 0, id('▁on')])
  })

  test('reads what looks different and means the same alike', () => {
    expect(tokenizer.encode('ｔｕｒｎ')).toEqual(tokenizer.encode('turn'))
  })

  test('gives nothing for nothing', () => {
    expect(tokenizer.encode('')).toEqual([])
  })

  test('never gives the signs of control, whatever the text says', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(...signs.map(([sign]) => sign), 't', 'urn', ' ', '▁', '🛋') }),
        (text) => {
          for (const token of tokenizer.encode(text)) expect(token === 0 || token >= signs.length).toBe(true)
        },
      ),
    )
  })
})
