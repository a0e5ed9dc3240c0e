/**
 * Is a transcript what somebody could have said? Speech models loop and invent when they hear music or noise. A false
 * transcript could move something; a lost one is said again.
 */
import { deflateSync } from 'node:zlib'

/** Whisper's `compression_ratio_threshold` (https://github.com/openai/whisper, `transcribe.py`): text that loops packs well. */
const compressionRatioMax = 2.4
/** Nobody repeats a phrase this often in one breath; models do. */
const repeatsMax = 4
const phraseWordsMax = 4
/** The fastest talkers reach about 25 characters a second; short utterances get a margin. */
const charsPerSecondMax = 30
const charsMargin = 20

export function isPlausible(text: string, audioMs: number): boolean {
  if (text.length > (audioMs / 1000) * charsPerSecondMax + charsMargin) return false
  const bytes = Buffer.from(text)
  if (bytes.byteLength / deflateSync(bytes).byteLength > compressionRatioMax) return false
  return !repeatsItself(wordsOf(text))
}

function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}']+/gu) ?? []
}

/** True when a phrase of one to four words comes more than `repeatsMax` times in a row. */
function repeatsItself(words: readonly string[]): boolean {
  for (let length = 1; length <= phraseWordsMax; length += 1) {
    let same = 0
    for (let at = length; at < words.length; at += 1) {
      same = words[at] === words[at - length] ? same + 1 : 0
      if (same >= length * repeatsMax) return true
    }
  }
  return false
}
