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
  /** Whether one more word that `sender` answers for may be checked; absent: always. */
  admits?(sender: string): boolean
}

/** Where something was heard, and so who answers for what checking it costs. */
export type Heard =
  /** On the topic of this device, and so of no other. */
  | { readonly on: string }
  /** Beside what this device said, and signed. */
  | { readonly beside: string }
  /** On a topic of all. */
  | 'open'

export type Purpose = 'identity' | 'board' | 'board-word' | 'decide' | 'lease' | 'command' | 'move' | 'call'

export interface Said<Body> {
  readonly ok: true
  readonly from: string
  readonly body: Body
  /** The body as it was signed. */
  readonly text: string
  /** Base64. */
  readonly sig: string
}
export interface Unheard {
  readonly ok: false
  readonly code: 'malformed' | 'unknown' | 'forged' | 'busy'
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
  /** Absent: it costs nobody's budget. */
  heard?: Heard,
): Said<Body> | Unheard {
  const message = parseJson(signedMessage, payload, bytesMax)
  if (!message.ok) return { ok: false, code: 'malformed', reason: message.reason }
  const { from, body: text, sig } = message.value
  const refused = refusal(signer, purpose, from, heard)
  if (refused) return refused
  const verdict = signer.verify(from, signedBytes(purpose, text), Buffer.from(sig, 'base64'))
  if (verdict === 'unknown') return { ok: false, code: 'unknown', reason: `${from} is not known here` }
  if (verdict === 'forged') return { ok: false, code: 'forged', reason: `${from} did not sign this` }
  const body = check(schema, parseOrUndefined(text))
  if (!body.ok) return { ok: false, code: 'malformed', reason: body.reason }
  return { ok: true, from, body: body.value, text, sig }
}

/** What is said, whoever signed it: only to see that it is not worth being checked. Undefined: nothing that can be read. */
export function unchecked(payload: Uint8Array, bytesMax: number): unknown {
  const message = parseJson(signedMessage, payload, bytesMax)
  return message.ok ? parseOrUndefined(message.value.body) : undefined
}

/** What need not be checked, or may not: that costs time. */
function refusal(
  signer: Signer,
  purpose: Purpose,
  from: string,
  heard: Heard | undefined,
): Unheard | undefined {
  if (heard === undefined) return undefined
  if (heard !== 'open' && 'on' in heard && heard.on !== from)
    return { ok: false, code: 'forged', reason: `it is signed by ${from}` }
  if (!signer.trusted.includes(from))
    return { ok: false, code: 'unknown', reason: `${from} is not known here` }
  const [way, sender] =
    heard === 'open' ? ['open', from] : 'on' in heard ? ['on', from] : ['beside', heard.beside]
  if (signer.admits?.(`${way} ${purpose} ${sender}`) ?? true) return undefined
  return { ok: false, code: 'busy', reason: `${sender} says more than is checked` }
}

function parseOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
