/** Puts a device's name and signature on what it says to the others, and checks what they say. */
import type * as v from 'valibot'
import type { Verdict } from '../../base/identity.ts'
import { check, parseJson } from '../../wire/messages.ts'
import { signedMessage } from '../../wire/signed.ts'

/** Of `Identity`: signs as this device, and tells whether another signed. */
export interface Signer {
  readonly device: string
  readonly trusted: readonly string[]
  sign(bytes: Uint8Array): Uint8Array
  verify(device: string, bytes: Uint8Array, signature: Uint8Array): Verdict
}

export type Purpose = 'identity' | 'board' | 'board-word' | 'decide' | 'lease' | 'command' | 'move' | 'call'

export interface Said<Body> {
  readonly ok: true
  readonly from: string
  readonly body: Body
  /** The body as it was signed. */
  readonly text: string
}
export interface Unheard {
  readonly ok: false
  readonly code: 'malformed' | 'unknown' | 'forged'
  /** One line. */
  readonly reason: string
}

export function signedBytes(purpose: Purpose, text: string): Uint8Array {
  return Buffer.from(`ganglion-${purpose}-1\n${text}`)
}

/** What goes on the wire. */
export function seal(signer: Signer, purpose: Purpose, body: unknown): string {
  const text = JSON.stringify(body)
  const sig = Buffer.from(signer.sign(signedBytes(purpose, text))).toString('base64')
  return JSON.stringify({ v: 1, from: signer.device, body: text, sig })
}

/** Who said what. Never throws. */
export function unseal<Body>(
  signer: Signer,
  purpose: Purpose,
  schema: v.GenericSchema<unknown, Body>,
  payload: Uint8Array,
  bytesMax: number,
): Said<Body> | Unheard {
  const message = parseJson(signedMessage, payload, bytesMax)
  if (!message.ok) return { ok: false, code: 'malformed', reason: message.reason }
  const { from, body: text, sig } = message.value
  const verdict = signer.verify(from, signedBytes(purpose, text), Buffer.from(sig, 'base64'))
  if (verdict === 'unknown') return { ok: false, code: 'unknown', reason: `${from} is not known here` }
  if (verdict === 'forged') return { ok: false, code: 'forged', reason: `${from} did not sign this` }
  const body = check(schema, parseOrUndefined(text))
  if (!body.ok) return { ok: false, code: 'malformed', reason: body.reason }
  return { ok: true, from, body: body.value, text }
}

function parseOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
