/** What is said before an order and holds for all of it: a place, or a remark that gives a reason and names one. */
import { type Clause, hasAct } from './clause.ts'
import type { Item, TargetWord } from './tag.ts'

/** `in the den turn off the TV …`: the place that a part begins with. */
export function leading(items: readonly Item[]): { place?: readonly TargetWord[] } {
  const first = items.findIndex((item) => item.sense?.as !== 'glue' || /^(?:in|at|inside)$/.test(item.phrase))
  if (!/^(?:in|at|inside)$/.test(items[first]?.phrase ?? '')) return {}
  const words: TargetWord[] = []
  for (const item of items.slice(first)) {
    if (item.target) words.push(...item.target)
    else if (item.sense?.as !== 'glue') break
  }
  return words.length > 0 && words.every(({ bound }) => bound) ? { place: words } : {}
}

/** Takes away the parts that only set the scene, and gives what they say to those that follow. */
export function setting(parts: readonly Clause[]): Clause[] {
  const kept: Clause[] = []
  let place: readonly TargetWord[] | undefined
  let about: readonly TargetWord[] = []
  let tale = false
  parts.forEach((part, at) => {
    const more = parts.slice(at + 1).some(isOrder)
    if (more && kept.length === 0 && part.stop?.kind === 'statement') {
      tale ||= !isNow.test(part.stop.phrase)
      about = part.target.filter(({ known }) => known)
      return
    }
    if (more && part.place && !part.neutral && !hasAct(part) && part.target.length === part.place.length) {
      place = part.place
      return
    }
    place = part.place ?? place
    const own = part.it && part.target.length === 0 && about.length > 0
    const held = place ?? placeOf(about)
    kept.push({
      ...part,
      ...(own ? { target: [...about] } : {}),
      ...(held ? { place: held } : {}),
      ...(tale ? { doubt: true as const } : {}),
    })
  })
  return kept
}

/** `it is`, `I'm`: how things are now. */
const isNow = /(?:\bis|\bare|\bam|'s|'re|'m)$/i

/** Tells something to be done, by a verb of its own. */
function isOrder(clause: Clause): boolean {
  const { verb, direction } = clause.slots
  return (
    hasAct(clause) &&
    clause.stop === undefined &&
    (clause.neutral || verb !== undefined || direction !== undefined)
  )
}

/** The names in a remark, without the nouns: where it is dark. */
function placeOf(words: readonly TargetWord[]): readonly TargetWord[] | undefined {
  const names = words.filter(({ bound, noun }) => bound && !noun)
  return names.length > 0 ? names : undefined
}
