/**
 * Live microphone through `arecord` (alsa-utils, man arecord(1)): signed 16-bit little-endian mono on its standard
 * output. A slow reader loses the oldest samples beyond a bounded buffer, and is told how many.
 */
import { HalError } from '../contract/errors.ts'
import type { Host } from '../contract/host.ts'
import type { AudioChunk, Microphone, MicrophoneInfo } from '../contract/microphone.ts'
import { captureFrom } from './child-capture.ts'
import { pcmArguments, pcmRateFault } from './pcm.ts'
import { SampleBuffer } from './sample-buffer.ts'

/** Speech has to wait this long for its reader at most before the oldest samples go. */
const bufferSeconds = 10

export class ArecordMicrophone implements Microphone {
  readonly info: MicrophoneInfo
  readonly #device: string
  readonly #host: Host
  readonly #stop = new AbortController()

  /** `device` is an ALSA name such as `default` or `plughw:1,0`. Opens nothing. */
  constructor(device: string, host: Host) {
    this.#device = device
    this.#host = host
    this.info = { id: `microphone.${device}`, name: `ALSA ${device}`, simulated: false }
  }

  async *capture(options: { sampleRateHz: number }, signal: AbortSignal): AsyncGenerator<AudioChunk> {
    const { sampleRateHz: rate } = options
    const { id } = this.info
    if (this.#stop.signal.aborted) throw new HalError('closed', `${id}: the board is closed`)
    const fault = pcmRateFault(rate)
    if (fault) throw new HalError('out-of-range', `${id}: ${fault}`)
    yield* captureFrom(
      id,
      { program: 'arecord', args: pcmArguments(this.#device, rate), debianPackage: 'alsa-utils' },
      'samples',
      new SampleBuffer(rate * bufferSeconds),
      this.#host,
      AbortSignal.any([signal, this.#stop.signal]),
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
  }
}
