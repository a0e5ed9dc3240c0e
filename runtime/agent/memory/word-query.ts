/** Text that somebody searches for, as a query of SQLite's full-text index (https://www.sqlite.org/fts5.html#full_text_query_syntax). */

/** More words than these do not make it clearer. */
const wordsMax = 32

/** Any of the words, each as it is: nothing in the text is syntax. Empty where there is no word in it. */
export function ftsQuery(text: string): string {
  const words = text.normalize('NFC').match(/[\p{L}\p{N}\p{M}]+/gu) ?? []
  return [...new Set(words)]
    .slice(0, wordsMax)
    .map((word) => `"${word}"`)
    .join(' OR ')
}
