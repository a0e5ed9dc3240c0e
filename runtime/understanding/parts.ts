/** Where one thing to do ends and the next begins, with or without `and`; and which parts only say what to leave out. */
import { type Clause, hasAct, hasTarget } from './clause.ts'
import type { Item } from './tag.ts'

/** Items of each part. An exception is a part of its own, and begins with the word that says so. */
export function partsOf(items: readonly Item[]): Item[][] {
  const parts: Item[][] = [[]]
  items.forEach((item, at) => {
    if (item.sense?.as === 'and') {
      parts.push([])
      return
    }
    if (beginsPart(items, at, parts.at(-1) ?? [])) parts.push([])
    parts.at(-1)?.push(item)
  })
  return parts
}

function beginsPart(items: readonly Item[], at: number, part: readonly Item[]): boolean {
  const item = items[at] as Item
  if (part.length === 0) return false
  if (item.sense?.as === 'but') return true
  // `kitchen light bathroom light`: two whole names, one after the other.
  if (item.entity && part.at(-1)?.entity) return true
  const acts = part.filter(isAct).length
  const named = part.some((other) => other.target)
  if (acts === 0 || !named) return false
  // `turn the light on turn the fan off`.
  if (item.sense?.as === 'neutral' && !part.at(-1)?.target)
    return part.some(({ sense }) => sense?.as === 'neutral')
  // `kitchen light off bathroom light off`.
  const first = part.find((other) => other.sense?.as !== 'glue')
  const next = items.slice(at + 1).find((other) => !other.target && other.sense?.as !== 'glue')
  const last = part.at(-1)
  return item.target !== undefined && first?.target !== undefined && isState(last) && isState(next)
}

function isAct({ sense }: Item): boolean {
  return sense?.as === 'slot'
}

function isState(item: Item | undefined): boolean {
  return item?.sense?.as === 'slot' && item.sense.fills.state !== undefined
}

/** Begins with `not` and names things. */
function isBareNot({ stop, text }: Clause): boolean {
  return stop?.kind === 'not' && stop.phrase.toLowerCase() === 'not' && text.startsWith(stop.phrase)
}

/** Gives each part the exceptions that follow it: `all lights except the kitchen and the hall`, `but not the lamp`. */
export function takeOut(parts: readonly Clause[]): Clause[] {
  const kept: Clause[] = []
  let open = false
  for (const part of parts) {
    const last = kept.at(-1)
    const namesOnly = !hasAct(part) && !part.neutral && hasTarget(part)
    if (part.out && part.neutral && !part.leaves) part.out = false
    // `the kitchen light, not the bedroom light`.
    if (namesOnly && !part.out && isBareNot(part)) part.out = true
    const isException = part.out && (namesOnly || part.leaves)
    if (last && hasAct(last) && (isException || (open && namesOnly && !part.stop))) {
      if (part.stop && !isBareNot(part)) last.stop ??= part.stop
      last.except.push({ ...part, slots: {} })
      last.text = `${last.text} … ${part.text}`
      last.words.push(...part.words)
      open = true
      continue
    }
    if (part.out) part.stop ??= { kind: 'except', phrase: part.text }
    open = false
    kept.push(part)
  }
  return kept
}
