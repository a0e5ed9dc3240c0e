/** Quantiles of measured values, by the nearest-rank method: every quantile is a value that was measured. */

/** The smallest value that at least `share` (0 to 1) of all values do not exceed. Throws when there is no value. */
export function quantile(values: Iterable<number>, share: number): number {
  const sorted = Float64Array.from(values).sort()
  const found = sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]
  if (found === undefined) throw new Error('no quantile of no values')
  return found
}

export function median(values: Iterable<number>): number {
  return quantile(values, 0.5)
}
