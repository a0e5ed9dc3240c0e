/**
 * Words that were typed or heard together or with a slip: `turnon`, `nightlight`, `trun`. A word is mended only to the
 * one word of command that is near, and never where a word of the home, or one that forbids, is as near.
 */
import type { HomeIndex } from './home-index.ts'
import { nounPhrases, nouns } from './kinds.ts'
import { lexicon } from './lexicon.ts'
import type { Token } from './normalise.ts'
import { distance } from './spelling.ts'

/** Shorter words have too many neighbours. */
const lettersMin = 4
const halfMin = 2
/** Unknown words that are looked at: with more of them the sentence is not one of this home. */
const slipsMax = 3

const phraseWords = new Set([...lexicon.keys(), ...nounPhrases.keys()].flatMap((phrase) => phrase.split(' ')))
const single = [...lexicon].filter(([phrase]) => phrase.length >= lettersMin && !phrase.includes(' '))
const commands = new Set(
  single.flatMap(([word, { as }]) => (as === 'slot' || as === 'neutral' || as === 'unit' ? [word] : [])),
)
/** Words that a slip must not be taken for another's: whoever says them says more than a command. */
const others = single.map(([word]) => word).filter((word) => !commands.has(word))

const inflections = ['s', 'es', 'd', 'ed', 'ing']

export function mend(tokens: readonly Token[], index: HomeIndex): readonly Token[] {
  const unknown = tokens.filter((token) => !isKnown(token, index))
  if (unknown.length === 0 || unknown.length > slipsMax) return tokens
  return tokens.flatMap((token) => (unknown.includes(token) ? mended(token, index) : [token]))
}

function isKnown({ text, number }: Token, index: HomeIndex): boolean {
  if (number !== undefined || text.length < lettersMin) return true
  return phraseWords.has(text) || nouns.has(text) || index.knows(text)
}

function mended(token: Token, index: HomeIndex): readonly Token[] {
  const word = token.text
  for (let at = halfMin; at <= word.length - halfMin; at += 1) {
    const [left, right] = [word.slice(0, at), word.slice(at)]
    const isCommand = lexicon.get(left)?.as === 'neutral' && (right === 'on' || right === 'off')
    const isName = at > halfMin && right.length > halfMin && isNaming(left, index) && isNaming(right, index)
    if (isCommand || isName) return [left, right].map((text) => ({ ...token, text }))
  }
  // `dimm`, `onn`.
  const once = word.replace(/(.)\1$/, '$1')
  if (once !== word && lexicon.get(once)?.as === 'slot') return [{ ...token, text: once, mended: true }]
  const near = nearestCommand(word, index)
  return [near === undefined ? token : { ...token, text: near, mended: true }]
}

function isNaming(word: string, index: HomeIndex): boolean {
  return index.knows(word) || nouns.has(word)
}

function nearestCommand(word: string, index: HomeIndex): string | undefined {
  // `turns` tells and does not order.
  if (inflections.some((ending) => word.endsWith(ending) && commands.has(word.slice(0, -ending.length))))
    return undefined
  const isNear = (other: string) => other[0] === word[0] && distance(word, other, 1) <= 1
  const near = [...commands].filter(isNear)
  if (near.length !== 1) return undefined
  const rivals = [...others, ...index.vocabulary, ...nouns.keys()]
  return rivals.some((other) => other !== near[0] && isNear(other)) ? undefined : near[0]
}
