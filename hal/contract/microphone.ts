/** A microphone gives mono PCM with back-pressure: nothing is captured faster than it is read, beyond one bounded buffer. */

export interface MicrophoneInfo {
  readonly id: string
  readonly name: string
  readonly simulated: boolean
}

export interface Microphone extends AsyncDisposable {
  readonly info: MicrophoneInfo
  /**
   * Starts capturing. Yields chunks of samples in [-1, 1] at `sampleRateHz`, mono, until the signal aborts. When the
   * reader is slower than the hardware for longer than the buffer holds, the oldest samples are dropped and
   * `droppedSamples` of the next chunk says how many. Throws HalError (`not-present`, `busy`, `permission`).
   */
  capture(options: { sampleRateHz: number }, signal: AbortSignal): AsyncIterable<AudioChunk>
}

export interface AudioChunk {
  readonly samples: Float32Array
  readonly droppedSamples: number
}
