/** Something extra that a share of requests may have: a second try at once, a copy to learn from. Saved up to a small number. */

export class Allowance {
  readonly #share: number
  readonly #max: number
  #saved = 0

  /** One for every 1 / `share` requests; at most `max` are saved up for bad times. */
  constructor(share: number, max: number) {
    this.#share = share
    this.#max = max
  }

  /** One more request came. */
  earn(): void {
    this.#saved = Math.min(this.#max, this.#saved + this.#share)
  }

  /** True, and one less, where one is left. */
  spend(): boolean {
    if (this.#saved < 1) return false
    this.#saved -= 1
    return true
  }
}
