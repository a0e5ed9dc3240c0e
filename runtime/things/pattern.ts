/** Patterns of entity ids: `*` stands for any characters but a dot and `@`. Linear in the lengths: a pattern comes from an agent. */

export function matcherOf(pattern: string): (id: string) => boolean {
  const wanted = partsOf(pattern)
  return (id) => {
    const parts = partsOf(id)
    return parts.length === wanted.length && wanted.every((part, at) => isLike(parts[at] ?? '', part))
  }
}

/** At each dot and each `@`, which both are parts of their own. */
const partsOf = (text: string) => text.split(/([.@])/)

/** Greedy: on a mismatch the last star takes one character more. */
function isLike(text: string, pattern: string): boolean {
  let at = 0
  let star = -1
  let afterStar = 0
  for (let position = 0; position < text.length; ) {
    if (pattern[at] === '*') {
      star = at
      afterStar = position
      at += 1
    } else if (pattern[at] === text[position]) {
      at += 1
      position += 1
    } else if (star >= 0) {
      at = star + 1
      afterStar += 1
      position = afterStar
    } else return false
  }
  while (pattern[at] === '*') at += 1
  return at === pattern.length
}
