import { describe, expect, it } from 'vitest'
import { nameWords, normalise } from '../../../runtime/understanding/normalise.ts'
import { distance, nearestWord } from '../../../runtime/understanding/spelling.ts'

const words = (text: string) => normalise(text).map((token) => token.text)

describe('normalise()', () => {
  it.each([
    ['Turn ON the Lamp!', ['turn', 'on', 'the', 'lamp']],
    ["What's on Trader Joe’s list?", ['what', 'is', 'on', 'trader', 'joes', 'list']],
    ["don't, I'd", ['do', 'not', ',', 'i', 'would']],
    ['the wrap-around porch', ['the', 'wrap', 'around', 'porch']],
    ['Café lámpara', ['cafe', 'lampara']],
    ['set the A.C. to 72°F', ['set', 'the', 'ac', 'to', '72', '°', 'f']],
    ['at 7:30 p.m.', ['at', '7:30', 'pm']],
    ['1st floor', ['first', 'floor']],
    ['lamp ✨ & fan', ['lamp', 'and', 'fan']],
  ])('%s', (text, expected) => expect(words(text)).toEqual(expected))

  it.each([
    ['twenty two', 22],
    ['one hundred', 100],
    ['a hundred and five', 105],
    ['two hundred fifty', 250],
    ['twenty one point five', 21.5],
    ['minus five', -5],
    ['minus 5', -5],
    ['-5', -5],
    ['22.5', 22.5],
    ['22,5', 22.5],
    ['1,000', 1000],
    ['nineteen', 19],
  ])('reads %s as a number', (text, value) => {
    const tokens = normalise(text)
    expect(tokens.map((token) => token.number)).toEqual([value])
    expect(tokens[0]).toMatchObject({ start: 0, end: text.length })
  })

  it('reads names as it reads utterances', () =>
    expect(nameWords("Kid's Room Two (attic)")).toEqual(['kids', 'room', '2', 'attic']))
})

describe('spelling', () => {
  it('counts a swap of neighbours as one slip', () => {
    expect(distance('kitchen', 'kithcen', 2)).toBe(1)
    expect(distance('kitchen', 'chicken', 2)).toBe(3)
  })

  it('corrects long words only, and only to one name', () => {
    const names = new Set(['kitchen', 'garage', 'night', 'lamp', 'porch', 'torch'])
    expect(nearestWord('kichen', names, new Map())).toBe('kitchen')
    expect(nearestWord('lam', names, new Map())).toBeUndefined()
    expect(nearestWord('right', names, new Map())).toBeUndefined()
    expect(nearestWord('zorch', names, new Map())).toBeUndefined()
  })
})
