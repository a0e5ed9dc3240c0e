/**
 * Loudspeaker through `aplay` (alsa-utils, man aplay(1)): one child per sound, fed through its standard input no faster than
 * the device plays. It has played to the end when it has ended by itself with 0.
 */
import { HalError } from '../contract/errors.ts'
import type { Host } from '../contract/host.ts'
import type { Speaker } from '../contract/speaker.ts'
import { ChildProgram } from './child-program.ts'
import { encodePcm, pcmArguments, pcmRateFault } from './pcm.ts'

/** Bytes that are handed over at once: a quarter of a second of speech. */
const pieceSamples = 4000
/** The pipe, its buffers and ALSA's hold up to 20 s at the lowest rate; a device that takes nothing for longer has stopped. */
const stuckMs = 30_000

export class AplaySpeaker implements Speaker {
  readonly info: Speaker['info']
  readonly #device: string
  readonly #host: Host
  readonly #stop = new AbortController()

  /** `device` is an ALSA name such as `default` or `plughw:1,0`. Opens nothing. */
  constructor(device: string, host: Host) {
    this.#device = device
    this.#host = host
    this.info = { id: `speaker.${device}`, name: `ALSA ${device}`, simulated: false }
  }

  async play(
    chunks: AsyncIterable<Float32Array>,
    options: { sampleRateHz: number },
    signal: AbortSignal,
  ): Promise<void> {
    const { id } = this.info
    const { sampleRateHz: rate } = options
    if (this.#stop.signal.aborted) throw new HalError('closed', `${id}: the board is closed`)
    const fault = pcmRateFault(rate)
    if (fault) throw new HalError('out-of-range', `${id}: ${fault}`)
    const ended = AbortSignal.any([signal, this.#stop.signal])
    ended.throwIfAborted()
    const args = pcmArguments(this.#device, rate)
    const child = new ChildProgram(id, { program: 'aplay', args, debianPackage: 'alsa-utils' }, 'write')
    try {
      await new Playing(id, child, this.#host, ended).play(chunks)
    } finally {
      await child.stop(this.#host)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
  }
}

/** One running `aplay`. */
class Playing {
  readonly #id: string
  readonly #child: ChildProgram
  readonly #host: Host
  readonly #signal: AbortSignal

  constructor(id: string, child: ChildProgram, host: Host, signal: AbortSignal) {
    this.#id = id
    this.#child = child
    this.#host = host
    this.#signal = signal
    // A child that has ended breaks the pipe; its end says why.
    child.process.stdin?.on('error', () => {})
  }

  async play(chunks: AsyncIterable<Float32Array>): Promise<void> {
    for await (const chunk of chunks)
      for (let from = 0; from < chunk.length; from += pieceSamples)
        await this.#write(chunk.subarray(from, from + pieceSamples))
    this.#child.process.stdin?.end()
    await this.#within(this.#child.closed)
    if (this.#child.process.exitCode !== 0) throw this.#child.failure()
  }

  async #write(samples: Float32Array): Promise<void> {
    const { stdin } = this.#child.process
    this.#signal.throwIfAborted()
    if (!stdin || this.#child.process.exitCode !== null) throw await this.#failure()
    if (stdin.write(encodePcm(samples))) return
    const drained = new Promise<void>((resolve) => stdin.once('drain', resolve))
    await this.#within(Promise.race([drained, this.#child.ended]))
    if (stdin.destroyed || !stdin.writable) throw await this.#failure()
  }

  async #failure(): Promise<HalError> {
    await this.#within(this.#child.closed)
    return this.#child.failure()
  }

  /** Waits for the child, but not for ever and not beyond the signal. */
  async #within(step: Promise<void>): Promise<void> {
    const { promise: given, reject } = Promise.withResolvers<never>()
    const onAbort = () => reject(this.#signal.reason)
    this.#signal.addEventListener('abort', onAbort, { once: true })
    const stuck = `${this.#id}: takes no samples for ${stuckMs / 1000} s`
    const cancel = this.#host.clock.after(stuckMs, () => reject(new HalError('timeout', stuck)))
    try {
      if (this.#signal.aborted) onAbort()
      await Promise.race([step, given])
    } finally {
      cancel()
      this.#signal.removeEventListener('abort', onAbort)
    }
  }
}
