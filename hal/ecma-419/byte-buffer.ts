/** The standard's Byte Buffers (ECMA-419, "Byte Buffer"): views and buffers alike, as bytes; and the `read` that fills one. */

/** The same memory, as bytes. Throws TypeError for what holds none. */
export function bytesOf(buffer: unknown): Uint8Array {
  if (buffer instanceof Uint8Array) return buffer
  if (ArrayBuffer.isView(buffer)) return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength)
  if (buffer instanceof ArrayBuffer || buffer instanceof SharedArrayBuffer) return new Uint8Array(buffer)
  throw new TypeError('not a buffer of bytes')
}

/** A new buffer of as many bytes as were asked for, or the number of bytes put into the buffer that was given. */
export function answerRead(wanted: unknown, read: (byteLength: number) => Uint8Array): ArrayBuffer | number {
  if (typeof wanted === 'number') return Uint8Array.from(read(wanted)).buffer
  const into = bytesOf(wanted)
  const bytes = read(into.byteLength)
  into.set(bytes)
  return bytes.byteLength
}
