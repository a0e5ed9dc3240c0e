/** From single looks to what is said: several of the last looks must agree, and what was there is not gone at once. */

export interface AgreementOptions {
  /** Looks of the last `of` that must agree. */
  readonly need: number
  readonly of: number
}

/** A value that changes when `need` of the last `of` looks have the same new one. */
export class AgreedValue<T> {
  readonly #options: AgreementOptions
  readonly #keyOf: (value: T) => string
  #looks: { readonly key: string; readonly value: T }[] = []
  #agreed: { readonly key: string; readonly value: T } | undefined

  constructor(options: AgreementOptions, keyOf: (value: T) => string) {
    this.#options = options
    this.#keyOf = keyOf
  }

  get value(): T | undefined {
    return this.#agreed?.value
  }

  /** True when the value changed. */
  push(value: T): boolean {
    const look = { key: this.#keyOf(value), value }
    this.#looks = [...this.#looks, look].slice(-this.#options.of)
    const same = this.#looks.filter(({ key }) => key === look.key).length
    if (same < this.#options.need || this.#agreed?.key === look.key) return false
    this.#agreed = look
    return true
  }

  reset(): void {
    this.#looks = []
    this.#agreed = undefined
  }
}

/**
 * Somebody there or not. On when `need` of the last `of` looks say so; off when fewer do and nobody was seen for
 * `offAfterMs`. Undefined before enough was seen to say.
 */
export class Presence {
  readonly #options: AgreementOptions & { readonly offAfterMs: number }
  #looks: boolean[] = []
  #seenMs = Number.NEGATIVE_INFINITY
  #state: 'on' | 'off' | undefined

  constructor(options: AgreementOptions & { readonly offAfterMs: number }) {
    this.#options = options
  }

  get state(): 'on' | 'off' | undefined {
    return this.#state
  }

  look(seen: boolean, nowMs: number): 'on' | 'off' | undefined {
    this.#looks = [...this.#looks, seen].slice(-this.#options.of)
    if (seen) this.#seenMs = nowMs
    return this.pass(nowMs)
  }

  /** Time has passed without a look: the new state, where it changed. */
  pass(nowMs: number): 'on' | 'off' | undefined {
    const { need, of, offAfterMs } = this.#options
    const seen = this.#looks.filter(Boolean).length
    const was = this.#state
    if (seen >= need) this.#state = 'on'
    else if (was === 'on' ? nowMs - this.#seenMs >= offAfterMs : this.#looks.length - seen > of - need)
      this.#state = 'off'
    return this.#state === was ? undefined : this.#state
  }

  reset(): void {
    this.#looks = []
    this.#state = undefined
  }
}
