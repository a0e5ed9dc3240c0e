/**
 * Who asks something of a device, and what proves it. A name alone is a claim, and is recorded as one; a PIN is held against what the
 * device knows of its people (`device.people`); a signature by the key in the device's state directory shows that somebody is at the
 * device. A PIN is never recorded, and is as secret on the way as the broker's and the gateway's connections are.
 */
import * as v from 'valibot'

/** No colon: what is recorded puts one between how a name is known and the name. */
const personName = v.pipe(v.string(), v.trim(), v.regex(/^[^\p{Cc}\p{Cf}:]{1,64}$/u, 'must say who it is'))

export const personParams = {
  by: v.optional(personName),
  pin: v.optional(v.pipe(v.string(), v.minLength(4), v.maxLength(64))),
  /**
   * Said by a gateway that knows this person by a token of their own (`gateway.people`): recorded as `gateway:Ada`. Where the device
   * has people it proves nothing, and their PIN is needed all the same.
   */
  gateway: v.optional(personName),
  /** Said by a gateway that knows its people and not who asks: a claim is not enough, also where the device has no people. */
  prove: v.optional(v.boolean()),
  local: v.optional(
    v.object({
      atMs: v.number(),
      /** Ed25519 over `localBytes`, base64. */
      sig: v.pipe(v.string(), v.regex(/^[A-Za-z0-9+/]{86}==$/, 'is no signature')),
    }),
  ),
}
const person = v.object(personParams)
export type PersonParams = v.InferOutput<typeof person>

/** What somebody at the device signs: `what` is all that matters of the request. */
export function localBytes(device: string, by: string, atMs: number, what: readonly string[]): Uint8Array {
  return new TextEncoder().encode(`ganglion-local-1\n${JSON.stringify([device, by, atMs, ...what])}`)
}
