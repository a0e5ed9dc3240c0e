/** CBOR (RFC 8949) with typed arrays (RFC 8746): the binary codec of our own wires. Decoding never trusts the sender's lengths. */
import { Decoder, Encoder } from 'cbor-x'
import type { Parsed } from './messages.ts'

// Plain maps, no record extension: any CBOR library can read what we write.
const options = {
  useRecords: false,
  mapsAsObjects: true,
  tagUint8Array: false,
  variableMapSize: true,
} as const
const encoder = new Encoder(options)
const decoder = new Decoder(options)

/** Encodes into a buffer of its own (cbor-x reuses its target buffer otherwise). */
export function encodeCbor(value: unknown): Uint8Array {
  return Uint8Array.prototype.slice.call(encoder.encode(value))
}

/** Decodes one value of at most `bytesMax` bytes. Never throws. */
export function decodeCbor(payload: Uint8Array, bytesMax: number): Parsed<unknown> {
  if (payload.byteLength > bytesMax)
    return { ok: false, reason: `${payload.byteLength} bytes, more than the ${bytesMax} allowed` }
  try {
    return { ok: true, value: decoder.decode(payload) }
  } catch (error) {
    return { ok: false, reason: `not CBOR: ${error instanceof Error ? error.message : String(error)}` }
  }
}
