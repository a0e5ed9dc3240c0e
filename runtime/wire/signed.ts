/**
 * What devices of a site say to each other under their names: a JSON text and the Ed25519 signature (RFC 8032) of its sender. The
 * body travels as text, so that what is checked is, byte for byte, what was signed.
 */
import * as v from 'valibot'

export const deviceId = v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9_.-]{0,127}$/i, 'is not an id'))
/** A signature of 64 bytes in base64. */
export const signature = v.pipe(v.string(), v.regex(/^[A-Za-z0-9+/]{86}==$/, 'is not a signature'))

export const signedMessage = v.object({
  v: v.literal(1),
  from: deviceId,
  /** JSON of what is said. */
  body: v.string(),
  /** Of `ganglion-<purpose>-1`, a newline, and the body: words said for one purpose mean nothing for another. */
  sig: signature,
})
export type SignedMessage = v.InferOutput<typeof signedMessage>

/** Body of `<base>/<device>/identity`, retained, signed by the key that it names: who publishes a key has it. */
export const identityBody = v.object({
  device: deviceId,
  /** Raw Ed25519 public key, base64url. */
  key: v.pipe(v.string(), v.regex(/^[A-Za-z0-9_-]{43}$/, 'is not a public key')),
})
export type IdentityBody = v.InferOutput<typeof identityBody>

export const identityBytesMax = 1024
