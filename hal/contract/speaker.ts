/** A speaker plays mono PCM; writing waits while its bounded buffer is full. */

export interface Speaker extends AsyncDisposable {
  readonly info: { readonly id: string; readonly name: string; readonly simulated: boolean }
  /** Plays the chunks to their end. Throws HalError (`not-present`, `busy`, `permission`). */
  play(
    chunks: AsyncIterable<Float32Array>,
    options: { sampleRateHz: number },
    signal: AbortSignal,
  ): Promise<void>
}
