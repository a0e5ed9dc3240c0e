/** The standard's Byte Buffers (ECMA-419, "Byte Buffer"): views and buffers alike, as bytes; and the `read` that fills one. */
import { HalError } from '../contract/errors.ts'

/** The same memory, as bytes. Throws TypeError for what holds none. */
export function bytesOf(buffer: unknown): Uint8Array {
  if (buffer instanceof Uint8Array) return buffer
  if (ArrayBuffer.isView(buffer)) return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength)
  if (buffer instanceof ArrayBuffer || buffer instanceof SharedArrayBuffer) return new Uint8Array(buffer)
  throw new TypeError('not a buffer of bytes')
}

/** The bytes that a buffer's `bitLength` means, all of them where it has none (clause 10, SPI). */
export function wholeBytes(buffer: unknown): Uint8Array {
  const bytes = bytesOf(buffer)
  const { bitLength } = buffer as { readonly bitLength?: unknown }
  if (bitLength === undefined) return bytes
  const bits = Number(bitLength)
  if (!(Number.isInteger(bits) && bits >= 0 && bits <= bytes.byteLength * 8))
    throw new RangeError(`a bitLength of ${bitLength} in ${bytes.byteLength} bytes`)
  if (bits % 8 !== 0) throw new HalError('unsupported', `${bits} bits: only whole bytes are transferred here`)
  return bytes.subarray(0, bits / 8)
}

/** A new buffer of as many bytes as were asked for, or the number of bytes put into the buffer that was given. */
export function answerRead(wanted: unknown, read: (byteLength: number) => Uint8Array): ArrayBuffer | number {
  if (typeof wanted === 'number') {
    if (!Number.isInteger(wanted) || wanted < 0) throw new RangeError(`cannot read ${wanted} bytes`)
    return Uint8Array.from(read(wanted)).buffer
  }
  const into = bytesOf(wanted)
  const bytes = read(into.byteLength)
  into.set(bytes)
  return bytes.byteLength
}
