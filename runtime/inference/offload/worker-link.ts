/** What the way to one worker takes, from the messages that went there and back lately. */
import type { RouteLink } from '../router/route.ts'

/** The last so many: a minute of a busy device, and small enough to sort at every question. */
const samplesMax = 64
/** Messages up to this say how long the way is, larger ones how wide. */
const smallBytesMax = 8 * 1024
/** Fewer uploads of this size say nothing about the width. */
const wideBytesMin = 64 * 1024

export class WorkerLink {
  readonly #rttMs: number[] = []
  readonly #bytesPerS: number[] = []

  /** `ms`: there and back, without what the worker itself took. */
  sample(bytes: number, ms: number): void {
    if (bytes <= smallBytesMax) add(this.#rttMs, Math.max(0, ms))
    else if (bytes >= wideBytesMin) add(this.#bytesPerS, (bytes / Math.max(0.1, ms)) * 1000)
  }

  /** Expected time of a small message one way, milliseconds; 0 before anything is known. */
  get oneWayMs(): number {
    return this.#rttMs.length === 0 ? 0 : quantile(this.#rttMs, 0.5) / 2
  }

  /** Absent before both length and width are known. */
  get link(): RouteLink | undefined {
    if (this.#rttMs.length === 0 || this.#bytesPerS.length === 0) return undefined
    return {
      rttMs: quantile(this.#rttMs, 0.5),
      rttP95Ms: quantile(this.#rttMs, 0.95),
      bytesPerS: quantile(this.#bytesPerS, 0.5),
    }
  }
}

function add(samples: number[], value: number): void {
  samples.push(value)
  if (samples.length > samplesMax) samples.shift()
}

/** Nearest rank. */
function quantile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] as number
}
