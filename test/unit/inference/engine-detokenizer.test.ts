import fc from 'fast-check'
import tokenizer from 'llama-tokenizer-js'
import { expect, test } from 'vitest'
import { Detokenizer } from '../../../runtime/inference/engine/pipelines/detokenizer.ts'

const vocabulary = tokenizer.vocabById

function say(ids: readonly number[]): string[] {
  const detokenizer = new Detokenizer(vocabulary)
  const partial = ids.map((id) => {
    detokenizer.push(id)
    return detokenizer.text
  })
  return [...partial, detokenizer.end()]
}

test('[engine-7] any text comes back from its tokens', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', minLength: 1 }), (text) => {
      const clean = text.toWellFormed()
      expect(say(tokenizer.encode(clean, true, true)).at(-1)).toBe(clean)
    }),
  )
})

test('[engine-7] partial text only ever grows and never shows half a character', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('a', ' ', 'é', '家', '🙂', '\u{1F468}‍') }), (text) => {
      const said = say(tokenizer.encode(text, true, true))
      for (const [index, partial] of said.entries()) {
        expect(partial).not.toContain('�')
        expect(said.at(-1)?.startsWith(partial), `${index}`).toBe(true)
      }
    }),
  )
})

test('a first word has no space before it, the next has one', () => {
  expect(say([9603, 373, 278])).toEqual(['Turn', 'Turn on', 'Turn on the', 'Turn on the'])
})

test('bytes of one character are held until it is complete, and shown as U+FFFD when it never is', () => {
  const byte = (value: number) => vocabulary.indexOf(`<0x${value.toString(16).toUpperCase()}>`)
  expect(say([byte(0xc3), byte(0xa9)])).toEqual(['', 'é', 'é'])
  expect(say([byte(0xc3)])).toEqual(['', '�'])
})

test('start, end and ids past the vocabulary give no text', () => {
  expect(say([1, 0, 9603, 32_000, 32_767, 2]).at(-1)).toBe('Turn')
})
