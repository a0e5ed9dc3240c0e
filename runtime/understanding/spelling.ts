/** Tolerance for misheard names: a small edit distance, on long words only, and only where one word is nearest. */

/** Letters from which one slip, then two, are forgiven: shorter words have too many neighbours. */
const oneSlipFrom = 5
const twoSlipsFrom = 8

/** Words that tell one thing from another: heard right, they are never a slip for a name that looks like them. */
const distinctive = new Set(
  `right left upper lower front back side top bottom small large inner outer first second third spare north south east west
  night light white black green brown orange purple yellow there where these those under above below other another every
  table floor house outside inside`.split(/\s+/),
)

/** Damerau-Levenshtein distance (optimal string alignment), or `max + 1` once it must exceed `max`. */
export function distance(a: string, b: string, max: number): number {
  if (Math.abs(a.length - b.length) > max) return max + 1
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, at) => at)
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1]
      let best = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + (same ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        best = Math.min(best, (beforeLast[j - 2] ?? 0) + 1)
      row.push(best)
    }
    if (Math.min(...row) > max) return max + 1
    beforeLast = last
    last = row
  }
  return last[b.length] ?? max + 1
}

/** Kind words that one slip is forgiven in although they are short: what they switch does no harm. */
const shortKinds = ['light', 'lights', 'lamp', 'lamps']

/** `lihgt`, `ligt`, `lampp`: the kind word that was meant. */
function nearestShortKind(word: string): string | undefined {
  if (word.length < 4) return undefined
  const near = shortKinds.filter((kind) => kind[0] === word[0] && distance(word, kind, 1) <= 1)
  // `lihts` is one slip from both forms: the one with the same ending.
  return near.find((kind) => kind.at(-1) === word.at(-1)) ?? near[0]
}

/** The one word that `word` was most likely meant to be; undefined where none is near, or two are equally. */
export function nearestWord(
  word: string,
  names: ReadonlySet<string>,
  nouns: ReadonlyMap<string, unknown>,
): string | undefined {
  if (distinctive.has(word)) return undefined
  const short = names.has(word) ? undefined : nearestShortKind(word)
  if (short !== undefined) return short
  if (word.length < oneSlipFrom) return undefined
  let limit = word.length < twoSlipsFrom ? 1 : 2
  let best: string[] = []
  for (const candidates of [names, nouns.keys()])
    for (const candidate of candidates) {
      if (candidate.length < oneSlipFrom - 1) continue
      const slips = distance(word, candidate, limit)
      if (slips > limit) continue
      if (slips < limit) best = []
      limit = slips
      if (!best.includes(candidate)) best.push(candidate)
    }
  return best.length === 1 ? best[0] : undefined
}

/** Up to `count` names that sound or look nearest to `word`, nearest first; for saying what there is. */
export function nearestNames(word: string, names: readonly string[], count: number): string[] {
  const score = (name: string) =>
    Math.min(
      ...name
        .toLowerCase()
        .split(/\s+/)
        .map((part) => distance(word, part, 12) / Math.max(word.length, part.length)),
    )
  return [...new Set(names)]
    .map((name) => ({ name, score: score(name) }))
    .filter((entry) => entry.score < 0.5)
    .sort((a, b) => a.score - b.score || a.name.localeCompare(b.name))
    .slice(0, count)
    .map((entry) => entry.name)
}
