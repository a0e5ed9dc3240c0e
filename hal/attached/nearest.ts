/** Which of the known words somebody may have meant. */

/** Up to three words close to `wanted`, nearest first: `did you mean bme280, bh1750?`; empty when none is close. */
export function didYouMean(wanted: string, known: readonly string[]): string {
  const near = nearest(wanted, known)
  return near.length === 0 ? '' : `; did you mean ${near.join(', ')}?`
}

function nearest(wanted: string, known: readonly string[]): readonly string[] {
  const folded = wanted.toLowerCase()
  return known
    .map((word) => ({ word, distance: editDistance(folded, word.toLowerCase()) }))
    .filter(
      ({ word, distance }) => distance <= Math.max(1, Math.ceil(Math.max(word.length, folded.length) / 3)),
    )
    .sort((a, b) => a.distance - b.distance)
    .slice(0, 3)
    .map(({ word }) => word)
}

/** Levenshtein's: insertions, deletions and substitutions. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index)
  for (let i = 1; i <= from.length; i++) {
    const next = [i]
    for (let j = 1; j <= to.length; j++) {
      const substituted = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1)
      next.push(Math.min(substituted, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[to.length] ?? 0
}
