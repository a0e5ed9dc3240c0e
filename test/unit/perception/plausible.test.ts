import { describe, expect, test } from 'vitest'
import { isPlausible } from '../../../runtime/perception/hearing/plausible.ts'

describe('isPlausible', () => {
  test.each([
    ['Turn on the living room lamp.', 1_700],
    ['Stop.', 300],
    ['No, no, no, not that one.', 1_500],
    ['Set the kitchen lights to twenty percent and the living room lights to forty percent.', 5_000],
    ['', 1_000],
  ])('takes %j', (text, audioMs) => {
    expect(isPlausible(text, audioMs)).toBe(true)
  })

  test.each([
    ['one word over and over', 'you you you you you you', 4_000],
    ['one phrase over and over', 'Thank you very much. '.repeat(6), 8_000],
    ['a long text that packs well', 'and then the man went to the house by the sea, '.repeat(12), 40_000],
    ['more than anybody can say in the time', 'x'.repeat(100), 1_000],
  ])('refuses %s', (_what, text, audioMs) => {
    expect(isPlausible(text, audioMs)).toBe(false)
  })
})
