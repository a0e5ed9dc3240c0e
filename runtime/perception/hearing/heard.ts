/** What hearing gives for a recording or an utterance. */
export interface Heard {
  /** As the model writes it, capitals and punctuation included; empty when nobody spoke. */
  readonly text: string
  /** Where speech was, from the start of the recording or of listening; of a recording also what was said there. */
  readonly segments: readonly { readonly startMs: number; readonly endMs: number; readonly text?: string }[]
  readonly audioMs: number
  /** Time spent finding speech. */
  readonly vadMs: number
  /** Time spent transcribing. Live, most of it passes before the end of speech is certain. */
  readonly transcribeMs: number
  /** When speech ended, on the monotonic clock: for a recording, when it arrived. */
  readonly speechEndedMonotonicMs: number
}
