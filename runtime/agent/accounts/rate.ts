/** How much a second, lately: what happened `tauMs` ago counts a third of what happens now. */
export class Rate {
  readonly #tauMs: number
  #sum = 0
  #atMs: number
  readonly #sinceMs: number

  constructor(tauMs: number, nowMs: number) {
    this.#tauMs = tauMs
    this.#atMs = nowMs
    this.#sinceMs = nowMs
  }

  add(amount: number, nowMs: number): void {
    this.#decay(nowMs)
    this.#sum += amount
  }

  perS(nowMs: number): number {
    this.#decay(nowMs)
    // Young: weights do not yet add up to all of `tauMs`.
    const weighedMs = this.#tauMs * (1 - Math.exp(-Math.max(nowMs - this.#sinceMs, 1_000) / this.#tauMs))
    return (this.#sum * 1_000) / weighedMs
  }

  #decay(nowMs: number): void {
    this.#sum *= Math.exp(-(nowMs - this.#atMs) / this.#tauMs)
    this.#atMs = nowMs
  }
}
