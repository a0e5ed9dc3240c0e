/**
 * A look at CBOR bytes (RFC 8949, section 3) before they are decoded: [wire-3] every length lies inside the payload,
 * nesting is bounded, and the only tags are RFC 8746's typed arrays. The decoder would otherwise allocate what a
 * five-byte header announces, overflow the stack, or build dates, sets, errors and expressions that nobody sent for.
 */

/** Deeper than any message of ours, far from the end of the stack. */
const depthMax = 32
/** RFC 8746, section 2: tags 64 to 87 are typed arrays of byte strings. */
const typedArrayTags = { first: 64, last: 87 }
const major = { unsigned: 0, negative: 1, bytes: 2, text: 3, array: 4, map: 5, tag: 6, simple: 7 } as const

/** What is wrong with the bytes, in a few words, or undefined. */
export function cborFault(bytes: Uint8Array): string | undefined {
  const scan = new Scan(bytes)
  const fault = scan.item(0)
  if (fault !== undefined) return fault
  return scan.at === bytes.byteLength ? undefined : 'bytes follow the value'
}

class Scan {
  at = 0
  readonly #bytes: Uint8Array
  readonly #view: DataView

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get #left(): number {
    return this.#bytes.byteLength - this.at
  }

  item(depth: number): string | undefined {
    if (depth > depthMax) return `nested deeper than ${depthMax}`
    const first = this.#bytes[this.at]
    if (first === undefined) return 'it ends too early'
    const type = first >> 5
    const argument = this.#argument(first & 31)
    if (argument === undefined) return 'a length is missing or indefinite'
    if (type === major.bytes || type === major.text) return this.#skip(argument)
    if (type === major.array) return this.#items(argument, depth)
    if (type === major.map) return this.#items(argument * 2, depth)
    if (type === major.tag) return this.#typedArray(argument, depth)
    return undefined
  }

  /** Reads the head's argument and steps over it. Indefinite lengths have none: nothing of ours sends them. */
  #argument(info: number): number | undefined {
    this.at += 1
    if (info < 24) return info
    const size = { 24: 1, 25: 2, 26: 4, 27: 8 }[info]
    if (size === undefined || this.#left < size) return undefined
    const start = this.at
    this.at += size
    if (size === 1) return this.#view.getUint8(start)
    if (size === 2) return this.#view.getUint16(start)
    if (size === 4) return this.#view.getUint32(start)
    return Number(this.#view.getBigUint64(start))
  }

  #skip(length: number): string | undefined {
    if (length > this.#left) return 'a length reaches past the end'
    this.at += length
    return undefined
  }

  #items(count: number, depth: number): string | undefined {
    // Each item takes a byte at least.
    if (count > this.#left) return 'a length reaches past the end'
    for (let index = 0; index < count; index += 1) {
      const fault = this.item(depth + 1)
      if (fault !== undefined) return fault
    }
    return undefined
  }

  #typedArray(tag: number, depth: number): string | undefined {
    if (tag < typedArrayTags.first || tag > typedArrayTags.last) return `tag ${tag} is not a typed array`
    const content = this.#bytes[this.at]
    if (content === undefined || content >> 5 !== major.bytes) return `tag ${tag} is not on bytes`
    return this.item(depth + 1)
  }
}
