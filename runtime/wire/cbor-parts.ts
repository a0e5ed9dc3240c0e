/**
 * CBOR in parts, for messages with large arrays: each large array is a part of its own, the caller's very bytes, so that a
 * megabyte of input is not copied to be written. The parts in a row are what `encodeCbor` gives, but for the width of some
 * heads (RFC 8949, section 4.1, leaves it to the encoder): they are widened until a large array's elements lie aligned, and a
 * reader whose buffer starts aligned can use them where they are.
 */
import { encodeCbor } from './cbor.ts'

/** Copying less is quicker than another part. */
const largeBytes = 16 * 1024
const major = { bytes: 2, text: 3, array: 4, map: 5, tag: 6 } as const
/** RFC 8746, section 2.1: little-endian, as every machine that runs this. */
const tags = new Map<unknown, number>([
  [Int8Array, 72],
  [Uint16Array, 69],
  [Int16Array, 77],
  [Uint32Array, 70],
  [Int32Array, 78],
  [BigUint64Array, 71],
  [BigInt64Array, 79],
  [Float32Array, 85],
  [Float64Array, 86],
])
/** Bytes of a head's argument that its low five bits announce. */
const widths = [
  { bytes: 0, info: 0 },
  { bytes: 1, info: 24 },
  { bytes: 2, info: 25 },
  { bytes: 4, info: 26 },
  { bytes: 8, info: 27 },
] as const
const alignment = 8

/** Small messages are one part. Large arrays must stay as they are until the parts are written. */
export function encodeCborParts(value: unknown): Uint8Array[] {
  if (!holdsLarge(value)) return [encodeCbor(value)]
  const parts = new Parts()
  parts.write(value)
  return parts.done()
}

class Parts {
  readonly #parts: Uint8Array[] = []
  #small: Uint8Array[] = []
  #bytes = 0

  write(value: unknown): void {
    if (!holdsLarge(value)) this.#add(encodeCbor(value))
    else if (ArrayBuffer.isView(value)) this.#large(value, '')
    else if (Array.isArray(value)) {
      this.#add(head(major.array, value.length))
      for (const item of value) this.write(item)
    } else this.#map(Object.entries(value as object))
  }

  done(): Uint8Array[] {
    this.#flush()
    return this.#parts
  }

  #map(entries: readonly (readonly [string, unknown])[]): void {
    this.#add(head(major.map, entries.length))
    for (const [key, value] of entries)
      if (ArrayBuffer.isView(value) && holdsLarge(value)) this.#large(value, key)
      else {
        this.#add(encodeCbor(key))
        this.write(value)
      }
  }

  /** An array, and before it the key that it has in a map: another head that can be widened. */
  #large(view: ArrayBufferView, key: string): void {
    const text = new TextEncoder().encode(key)
    const tag = tags.get(view.constructor)
    const heads = [
      ...(key === '' ? [] : [{ type: major.text, argument: text.byteLength }]),
      ...(tag === undefined ? [] : [{ type: major.tag, argument: tag }]),
      { type: major.bytes, argument: view.byteLength },
    ]
    const least = heads.map(({ argument }) => widthOf(argument))
    const chosen = alignedWidths(this.#bytes + text.byteLength + heads.length, least)
    for (const [at, { type, argument }] of heads.entries()) {
      this.#add(head(type, argument, chosen[at]))
      if (type === major.text) this.#add(text)
    }
    this.#flush()
    this.#parts.push(new Uint8Array(view.buffer, view.byteOffset, view.byteLength))
    this.#bytes += view.byteLength
  }

  #add(bytes: Uint8Array): void {
    this.#small.push(bytes)
    this.#bytes += bytes.byteLength
  }

  #flush(): void {
    if (this.#small.length > 0) this.#parts.push(Buffer.concat(this.#small))
    this.#small = []
  }
}

/** Widths of some heads' arguments, each its least or more, that end on an aligned place; the least ones where none do. */
function alignedWidths(start: number, least: readonly number[]): readonly number[] {
  let choices: number[][] = [[]]
  for (const width of least) {
    const wider = widths.filter(({ bytes }) => bytes >= width)
    choices = choices.flatMap((choice) => wider.map(({ bytes }) => [...choice, bytes]))
  }
  const end = (choice: readonly number[]) => choice.reduce((sum, width) => sum + width, start)
  return choices.find((choice) => end(choice) % alignment === 0) ?? least
}

/** Bytes that an argument takes at least. */
function widthOf(argument: number): number {
  return widths.find(({ bytes }) => (bytes === 0 ? argument < 24 : argument < 2 ** (8 * bytes)))?.bytes ?? 8
}

/** A head whose argument takes `width` bytes. */
function head(type: number, argument: number, widthBytes = widthOf(argument)): Uint8Array {
  const width = widths.find(({ bytes }) => bytes === widthBytes) ?? widths[4]
  const bytes = new Uint8Array(1 + width.bytes)
  bytes[0] = (type << 5) | (width.bytes === 0 ? argument : width.info)
  const view = new DataView(bytes.buffer)
  if (width.bytes === 1) view.setUint8(1, argument)
  else if (width.bytes === 2) view.setUint16(1, argument)
  else if (width.bytes === 4) view.setUint32(1, argument)
  else if (width.bytes === 8) view.setBigUint64(1, BigInt(argument))
  return bytes
}

function holdsLarge(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (ArrayBuffer.isView(value)) return value.byteLength >= largeBytes
  return (Array.isArray(value) ? value : Object.values(value)).some(holdsLarge)
}
