/** What an emulated part is exposed to, by quantity, in the channels' units. */
import { HalError } from '../contract/errors.ts'

export class Exposure {
  readonly #values: Record<string, number>

  constructor(initial: Readonly<Record<string, number>>) {
    this.#values = { ...initial }
  }

  /** Throws HalError `unsupported` for a quantity that the part has not, `out-of-range` for what is not a number. */
  set(quantity: string, value: number): void {
    if (!Object.hasOwn(this.#values, quantity))
      throw new HalError(
        'unsupported',
        `${quantity}: not among what this part is exposed to (${Object.keys(this.#values).join(', ')})`,
      )
    if (!Number.isFinite(value)) throw new HalError('out-of-range', `${quantity}: ${value} is not a number`)
    this.#values[quantity] = value
  }

  get(quantity: string): number {
    return this.#values[quantity] ?? 0
  }

  all(): Readonly<Record<string, number>> {
    return { ...this.#values }
  }
}
