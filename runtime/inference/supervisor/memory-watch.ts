/**
 * Whether an engine's memory has crept past what it may be: resident memory over that of the bare process, the models'
 * budget and an allowance. Native memory that was freed often stays with the process, so one high reading means little: it
 * is over its limit only after several readings in a row, and well again only clearly below it.
 */

export interface MemoryLimits {
  /** Beyond bare process and budget: inputs, outputs and native buffers of requests under way, megabytes. */
  readonly allowanceMb: number
  /** Readings over the limit, without one that is well between them, until the engine is replaced. */
  readonly readings: number
  /** After a replacement, or one that was called off, none follows for this long, milliseconds. */
  readonly restMs: number
}

/** Well again: this share of the limit. */
const wellShare = 0.9
/** Beyond this share of the machine's memory everything else on it suffers. */
const machineShare = 0.75

export class MemoryWatch {
  readonly #limits: MemoryLimits
  #bareMb: number | undefined
  #over = 0
  #restUntilMs = Number.NEGATIVE_INFINITY

  constructor(limits: MemoryLimits) {
    this.#limits = limits
  }

  /** A fresh process: its first reading is that of the bare process. */
  onStarted(): void {
    this.#bareMb = undefined
    this.#over = 0
  }

  rest(nowMs: number): void {
    this.#over = 0
    this.#restUntilMs = nowMs + this.#limits.restMs
  }

  /** Megabytes of resident memory that the process may have; undefined while nothing limits it. */
  limitMb(budgetMb: number | undefined): number | undefined {
    if (this.#bareMb === undefined || budgetMb === undefined) return undefined
    return this.#bareMb + budgetMb + this.#limits.allowanceMb
  }

  /**
   * Megabytes of resident memory past which the process is ended at once; undefined while nothing limits it. Reading a model and
   * packing its weights takes for a moment what it will have once more: so the budget counts twice, as far as the machine has that.
   */
  peakMb(budgetMb: number | undefined, machineMb: number): number | undefined {
    const limitMb = this.limitMb(budgetMb)
    if (limitMb === undefined || budgetMb === undefined) return undefined
    return Math.max(limitMb, Math.min(limitMb + budgetMb, machineMb * machineShare))
  }

  /** True when the engine should be replaced. */
  read(rssMb: number, budgetMb: number | undefined, nowMs: number): boolean {
    this.#bareMb ??= rssMb
    const limitMb = this.limitMb(budgetMb)
    if (limitMb === undefined || rssMb <= limitMb * wellShare) this.#over = 0
    else if (rssMb > limitMb) this.#over += 1
    return this.#over >= this.#limits.readings && nowMs >= this.#restUntilMs
  }
}
