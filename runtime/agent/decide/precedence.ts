/** Which of two decisions on one subject goes on, everywhere alike. */
import type { OpenBody } from '../../wire/decide.ts'

interface Opened {
  readonly open: OpenBody
  readonly opener: string
}

/** How much must come together for a decision: devices that take part, and of `agree` devices that may lie. */
export function weightOf(open: Pick<OpenBody, 'what' | 'quorum'> & { readonly faulty?: number }): number {
  return open.what === 'agree' ? (open.faulty ?? 0) : open.quorum
}

/**
 * Of two on one subject the one that asks for more goes on, everywhere; of equals that of the opener whose name is first. Who lies
 * must not make a decision of its own by opening one that needs fewer.
 */
export function isBefore(one: Opened, other: Opened): boolean {
  const more = weightOf(one.open) - weightOf(other.open)
  return more === 0 ? one.opener < other.opener : more > 0
}
