/** What understanding an utterance gives. Nothing has moved yet. */
import type { Command } from '../../hal/contract/actuator.ts'
import type { Reading } from '../wire/messages.ts'

export interface UnderstandingContext {
  /** Area id where the speaker is, if known: "the lights" means those there. */
  readonly area?: string
  /** Local time of the speaker, milliseconds since the Unix epoch. */
  readonly nowMs: number
}

export type Understanding =
  /** Commands to send, and what to say once they are verified. */
  | {
      readonly kind: 'commands'
      readonly reading: Reading
      readonly commands: readonly { readonly entity: string; readonly command: Command }[]
      readonly reply: string
    }
  /** A question about the home, answered. */
  | {
      readonly kind: 'answer'
      readonly reading: Reading
      readonly reply: string
      readonly entities: readonly string[]
    }
  /** More than one reading is left, or something is missing: ask, move nothing. */
  | {
      readonly kind: 'question'
      readonly reading: Reading
      readonly reply: string
      readonly options: readonly string[]
    }
  /** Not possible here, or not understood: say why, move nothing. */
  | { readonly kind: 'refusal'; readonly reading: Reading; readonly reply: string }
