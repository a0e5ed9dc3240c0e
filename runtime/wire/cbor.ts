/** CBOR (RFC 8949) with typed arrays (RFC 8746): the binary codec of our own wires. Decoding never trusts the sender's lengths. */
import { Decoder, Encoder } from 'cbor-x'
import { cborFault } from './cbor-scan.ts'
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

/** cbor-x keeps the largest buffer it ever wrote into, four times the message: after a message over this it gets a small one. */
const keptBytesMax = 64 * 1024
/** In cbor-x 1.6 but missing from its types. */
const resettable = encoder as unknown as { useBuffer(buffer: Uint8Array): void }

/** Encodes into a buffer of its own (cbor-x reuses its target buffer otherwise). */
export function encodeCbor(value: unknown): Uint8Array {
  const encoded = new Uint8Array(encoder.encode(value))
  if (encoded.byteLength > keptBytesMax) resettable.useBuffer(Buffer.allocUnsafeSlow(keptBytesMax / 8))
  return encoded
}

/** Decodes one value of at most `bytesMax` bytes. Never throws. */
export function decodeCbor(payload: Uint8Array, bytesMax: number): Parsed<unknown> {
  if (payload.byteLength > bytesMax)
    return { ok: false, reason: `${payload.byteLength} bytes, more than the ${bytesMax} allowed` }
  const fault = cborFault(payload)
  if (fault !== undefined) return { ok: false, reason: `not CBOR of ours: ${fault}` }
  try {
    return { ok: true, value: decoder.decode(payload) }
  } catch (error) {
    return { ok: false, reason: `not CBOR: ${error instanceof Error ? error.message : String(error)}` }
  }
}
