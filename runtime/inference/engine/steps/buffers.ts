/**
 * Arrays for what steps make, used again from request to request: a picture a second would otherwise be megabytes of garbage.
 * What an array holds when it is taken is undefined. An array that leaves the pipeline is never given back.
 */
import { typedArrays } from '../../../wire/tensor.ts'
import { type ArrayOf, type Buffers, fault, type Numbers, type Numeric } from './step.ts'

/** Kept for the next request, bytes: the intermediates of one picture of 640 × 480. */
const keptBytesMax = 16 * 2 ** 20

/** The arrays of one model that nobody uses now. */
export class FreeBuffers {
  readonly elementsMax: number
  readonly #free = new Map<string, Numbers[]>()
  #bytes = 0

  constructor(elementsMax: number) {
    this.elementsMax = elementsMax
  }

  take<D extends Numeric>(datatype: D, length: number): ArrayOf<D> {
    const type = typedArrays[datatype]
    const found = this.#free.get(`${type.name} ${length}`)?.pop()
    if (!found) return new type(length) as ArrayOf<D>
    this.#bytes -= found.byteLength
    return found as ArrayOf<D>
  }

  give(array: Numbers): void {
    if (array.byteLength > keptBytesMax) return
    // Sizes that changed leave nothing behind.
    if (this.#bytes + array.byteLength > keptBytesMax) this.clear()
    const key = `${array.constructor.name} ${array.length}`
    const same = this.#free.get(key)
    if (same) same.push(array)
    else this.#free.set(key, [array])
    this.#bytes += array.byteLength
  }

  clear(): void {
    this.#free.clear()
    this.#bytes = 0
  }
}

/** What one request has taken. */
export class RequestBuffers implements Buffers {
  readonly #free: FreeBuffers
  readonly #taken = new Set<unknown>()

  constructor(free: FreeBuffers) {
    this.#free = free
  }

  take<D extends Numeric>(datatype: D, length: number): ArrayOf<D> {
    this.bound(length)
    const array = this.#free.take(datatype, length)
    this.#taken.add(array)
    return array
  }

  bound(length: number): void {
    if (length > this.#free.elementsMax)
      fault(`it would make a tensor of ${length} elements; at most ${this.#free.elementsMax} here`)
  }

  /** Nothing happens to an array that was not taken here. */
  give(array: unknown): void {
    if (this.#taken.delete(array)) this.#free.give(array as Numbers)
  }

  /** Leaves the pipeline: never used again here. */
  keep(array: unknown): void {
    this.#taken.delete(array)
  }

  /** At the end of the request. */
  giveAll(): void {
    for (const array of this.#taken) this.#free.give(array as Numbers)
    this.#taken.clear()
  }
}
