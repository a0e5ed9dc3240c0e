/**
 * Patterns of capabilities: `*` stands for any characters but a dot and `@`, none included; everything else stands for itself. So a
 * pattern reaches things of other devices, `<entity>@<device>`, only where it says `@`.
 * What an agent asks for may be a pattern too (`ctx.on('light.*')`), so the question is whether all it could mean is allowed.
 */

export const patternLimits = { charsMax: 128, starsMax: 8 } as const

/** How much is looked at before a pattern counts as not covered: an agent must not hold the loop up with a clever one. */
const statesMax = 2_000

/**
 * Whether every name that `asked` can stand for is one that `granted` can stand for. Inclusion of the two as automata: `granted`
 * as the set of all positions it may be in, one bit each, `asked` one position at a time.
 */
export function covers(granted: string, asked: string): boolean {
  if (!isWithinLimits(granted) || !isWithinLimits(asked)) return false
  const reader = readerOf(granted.replace(/\*+/g, '*'))
  const symbols = new Set([...granted, ...asked, other].filter((symbol) => !unstarred.has(symbol)))
  const seen = new Set<string>()
  const open: [at: number, reached: bigint][] = [[0, reader.start]]
  for (let next = open.pop(); next; next = open.pop()) {
    const [at, reached] = next
    const key = `${at} ${reached}`
    if (seen.has(key)) continue
    seen.add(key)
    if (reached === 0n || seen.size > statesMax) return false
    const symbol = asked[at]
    if (symbol === undefined) {
      if (!reader.accepts(reached)) return false
    } else if (symbol === '*') {
      open.push([at + 1, reached])
      for (const one of symbols) open.push([at, reader.step(reached, one)])
    } else open.push([at + 1, reader.step(reached, symbol)])
  }
  return true
}

/** What a star does not stand for. */
const unstarred: ReadonlySet<string> = new Set(['*', '.', '@'])
/** Stands for every character that neither pattern names. */
const other = '\u0000'

function isWithinLimits(pattern: string): boolean {
  const { charsMax, starsMax } = patternLimits
  return pattern.length <= charsMax && pattern.split('*').length - 1 <= starsMax && !pattern.includes(other)
}

function readerOf(pattern: string) {
  let stars = 0n
  const literals = new Map<string, bigint>()
  for (let at = 0; at < pattern.length; at += 1) {
    const symbol = pattern[at] as string
    const bit = 1n << BigInt(at)
    if (symbol === '*') stars |= bit
    else literals.set(symbol, (literals.get(symbol) ?? 0n) | bit)
  }
  const end = 1n << BigInt(pattern.length)
  /** A star may also stand for nothing. */
  const closed = (reached: bigint) => reached | ((reached & stars) << 1n)
  return {
    start: closed(1n),
    accepts: (reached: bigint) => (reached & end) !== 0n,
    step: (reached: bigint, symbol: string) =>
      closed(
        ((reached & (literals.get(symbol) ?? 0n)) << 1n) | (unstarred.has(symbol) ? 0n : reached & stars),
      ),
  }
}

/** Whether some name is one that both can stand for. Too long ones count as if there were: who asks this is about to refuse. */
export function overlaps(one: string, second: string): boolean {
  if (!isWithinLimits(one) || !isWithinLimits(second)) return true
  const reached = new Set<string>()
  const open: [number, number][] = [[0, 0]]
  for (let next = open.pop(); next; next = open.pop()) {
    const [a, b] = next
    const key = `${a} ${b}`
    if (reached.has(key)) continue
    reached.add(key)
    const [left, right] = [one[a], second[b]]
    if (left === undefined && right === undefined) return true
    if (left === '*') open.push([a + 1, b])
    if (right === '*') open.push([a, b + 1])
    if (left === '*' && right !== undefined && !unstarred.has(right)) open.push([a, b + 1])
    if (right === '*' && left !== undefined && !unstarred.has(left)) open.push([a + 1, b])
    if (left !== undefined && left === right && left !== '*') open.push([a + 1, b + 1])
  }
  return false
}
