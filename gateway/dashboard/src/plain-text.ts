/**
 * Texts of agents, shown as nothing but text: what turns the direction of what follows, moves the cursor or rings a bell is replaced
 * by a mark that can be seen. Marks that languages need (joiners, ZWJ in emoji, RLM) stay.
 */

/** Controls but tab and line end; embeddings, overrides and isolates of Unicode's bidirectional algorithm (UAX #9); separators of lines. */
const unseen = /(?![\t\n])\p{Cc}|[\u202a-\u202e\u2066-\u2069\u2028\u2029]/gu

/** The same value, with every text in it plain. */
export function plain<T>(value: T): T
export function plain(value: unknown): unknown {
  if (typeof value === 'string') return value.replace(unseen, '\ufffd')
  if (Array.isArray(value)) return value.map((one) => plain(one))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [plain(key), plain(one)]))
}
