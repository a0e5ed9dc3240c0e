/**
 * How long something took lately, as quantiles. Newer values weigh more: after a board got hot or a link got slow, half a
 * dozen answers say so, while one slow answer among many does not move the median.
 */

/** Values kept. With the weights below the oldest of them weighs 1 % of the newest. */
const valuesMax = 32
/** Weight of a value against the next newer one: the last seven make up two thirds. */
const decay = 0.86

export class LatencyWindow {
  /** Newest last. */
  readonly #values: number[] = []
  #newestMs = -Infinity

  /** `atMs` is monotonic time. */
  add(value: number, atMs: number): void {
    this.#values.push(value)
    if (this.#values.length > valuesMax) this.#values.shift()
    this.#newestMs = atMs
  }

  get size(): number {
    return this.#values.length
  }

  /** Monotonic time of the newest value. */
  get newestMs(): number {
    return this.#newestMs
  }

  /**
   * The smallest value with at least `share` (0 to 1) of the weight at or below it; undefined before the first value. `prior`
   * counts as so many older values where `times` is above 0.
   */
  quantile(share: number, prior = 0, times = 0): number | undefined {
    if (this.#values.length === 0 || times <= 0) return weightedQuantile(this.#values, share)
    return weightedQuantile([...Array<number>(times).fill(prior), ...this.#values], share)
  }
}

/** Quantile of values of which the last is the newest and weighs most (nearest rank, so always one of the values). */
export function weightedQuantile(values: readonly number[], share: number): number | undefined {
  const newest = values.length - 1
  const sorted = values
    .map((value, at) => ({ value, weight: decay ** (newest - at) }))
    .sort((a, b) => a.value - b.value)
  const total = sorted.reduce((sum, { weight }) => sum + weight, 0)
  let passed = 0
  for (const { value, weight } of sorted) {
    passed += weight
    if (passed >= share * total - 1e-9) return value
  }
  return sorted.at(-1)?.value
}
