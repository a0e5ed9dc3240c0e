/** Exponential back-off with equal jitter (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015). */
export interface BackoffOptions {
  readonly firstMs: number
  readonly maxMs: number
}

/** Delay before attempt `attempt` (0 is the first retry), milliseconds. `random` in [0, 1). */
export function backoffMs(attempt: number, options: BackoffOptions, random: number): number {
  const ceiling = Math.min(options.maxMs, options.firstMs * 2 ** Math.min(attempt, 30))
  return Math.round(ceiling / 2 + (ceiling / 2) * random)
}
