/** Text that somebody searches for, as queries of SQLite's full-text index (https://www.sqlite.org/fts5.html#full_text_query_syntax). */

/** More words than these do not make it clearer. */
const wordsMax = 32

/** Its words, each a query for the word as it is: nothing in the text is syntax. */
export function quotedWords(text: string): readonly string[] {
  const words = text.normalize('NFC').match(/[\p{L}\p{N}\p{M}]+/gu) ?? []
  return [...new Set(words)].slice(0, wordsMax).map((word) => `"${word}"`)
}
