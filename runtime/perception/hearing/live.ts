/**
 * Listening to a microphone. While somebody speaks, each stretch of sound goes through the detector as it comes; at the
 * first short pause the transcription starts on a guess that this was all. Silence confirms the guess, more speech
 * cancels it: so the words are there when the end of speech is certain, not one transcription later.
 *
 * Bounds: the buffer holds one utterance of the longest length; at most `utterancesMax` wait for the listener, then
 * the microphone is not read, and its own buffer drops the oldest sound.
 */
import type { Microphone } from '../../../hal/contract/microphone.ts'
import type { Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import { Resampler } from '../../inference/engine/steps/resampler.ts'
import { InferError } from '../../inference/inference.ts'
import { Channel } from './channel.ts'
import type { Heard } from './heard.ts'
import { SampleBuffer } from './sample-buffer.ts'
import {
  frameSamples,
  inMilliseconds,
  type Segment,
  type SegmentEvent,
  Segmenter,
  type SegmentOptions,
} from './segment.ts'
import type { DetectorState } from './speech-models.ts'
import type { Wake } from './wake.ts'

const rateHz = 16_000
const samplesPerMs = rateHz / 1000
const utterancesMax = 4

export interface LiveDeps {
  readonly clock: Clock
  readonly log: Log
  readonly detect: (
    audio: Float32Array,
    state: DetectorState,
    signal: AbortSignal,
  ) => Promise<{ probabilities: Float32Array; state: DetectorState }>
  readonly words: (audio: Float32Array, signal: AbortSignal) => Promise<string>
  readonly segments: SegmentOptions
  readonly captureRateHz: number
  /** What stands before the detector; absent: it hears everything. */
  readonly wake?: Wake
  /** Somebody began to speak: words will be wanted soon. */
  readonly onSpeech?: () => void
}

type Outcome = { readonly heard: Heard } | { readonly error: unknown }

export async function* listenTo(
  deps: LiveDeps,
  microphone: Microphone,
  signal: AbortSignal,
): AsyncGenerator<Heard> {
  if (signal.aborted) return
  const left = new AbortController()
  const ends = AbortSignal.any([signal, left.signal])
  // Each item is wrapped: a bare promise would be unwrapped on its way.
  const channel = new Channel<{ readonly outcome: Promise<Outcome> }>(utterancesMax)
  ends.addEventListener('abort', () => channel.close(), { once: true })
  const capture = new Capture(deps, channel, ends)
  const captured = capture.run(microphone).then(
    () => channel.close(),
    (error) => channel.close(error),
  )
  try {
    for await (const { outcome } of channel.read()) {
      const settled = await outcome
      if (ends.aborted) return
      if ('heard' in settled) {
        if (settled.heard.text !== '') yield settled.heard
      } else if (settled.error instanceof InferError) {
        deps.log.warn('an utterance was lost', { reason: messageOf(settled.error) })
      } else throw settled.error
    }
  } finally {
    left.abort()
    await captured
  }
}

/** A transcription under way, for the segment as it is if nobody speaks on. */
interface Guess {
  readonly segment: Segment
  readonly outcome: Promise<Outcome>
  readonly controller: AbortController
}

class Capture {
  readonly #deps: LiveDeps
  readonly #channel: Channel<{ readonly outcome: Promise<Outcome> }>
  readonly #signal: AbortSignal
  readonly #segmenter: Segmenter
  readonly #buffer: SampleBuffer
  /** Samples that do not fill a frame yet. */
  #rest = new Float32Array(0)
  #state: DetectorState
  #guess: Guess | undefined
  /** Time spent in the detector since the last utterance. */
  #vadMs = 0
  /** Somebody is speaking, as far as the detector has heard. */
  #speaking = false
  /** Where speech began, until it was told. */
  #speechAt: number | undefined
  /** Samples that the detector never heard, because nothing had woken it. */
  #slept = 0
  #heard = 0

  constructor(deps: LiveDeps, channel: Channel<{ readonly outcome: Promise<Outcome> }>, signal: AbortSignal) {
    this.#deps = deps
    this.#channel = channel
    this.#signal = signal
    this.#segmenter = new Segmenter(deps.segments)
    const { speechMsMax, silenceMsMin, padMs } = deps.segments
    // A second more than the longest utterance: one chunk is taken whole before its frames are looked at.
    this.#buffer = new SampleBuffer((speechMsMax + silenceMsMin + 2 * padMs + 1_000) * samplesPerMs)
  }

  async run(microphone: Microphone): Promise<void> {
    const { captureRateHz, log } = this.#deps
    const resampler = new Resampler(captureRateHz, rateHz)
    try {
      for await (const chunk of microphone.capture({ sampleRateHz: captureRateHz }, this.#signal)) {
        if (chunk.droppedSamples > 0) {
          log.warn('the microphone was not read in time', { droppedSamples: chunk.droppedSamples })
          this.#state = undefined
        }
        await this.#hear(resampler.push(chunk.samples))
      }
      if (this.#signal.aborted) return
      await this.#hear(resampler.flush())
      for (const event of this.#segmenter.finish()) await this.#on(event)
    } catch (error) {
      if (!this.#signal.aborted) throw error
    }
  }

  /** What wakes goes on to the detector, with what was before it. */
  async #hear(samples: Float32Array): Promise<void> {
    const { wake } = this.#deps
    this.#heard += samples.length
    if (!wake) return this.#take(samples)
    const wasAwake = wake.awake
    const wanted = await wake.push(samples, this.#speaking, this.#signal)
    if (!wasAwake) {
      // The detector goes on somewhere else: it has no memory of that, and numbers of samples jump.
      this.#state = undefined
      this.#rest = new Float32Array(0)
      this.#slept = this.#heard - wanted.length - this.#buffer.end
    }
    await this.#take(wanted)
  }

  /** Whole frames go through the detector; what is left waits for the next chunk. */
  async #take(samples: Float32Array): Promise<void> {
    const joined = new Float32Array(this.#rest.length + samples.length)
    joined.set(this.#rest)
    joined.set(samples, this.#rest.length)
    // A second at a time, so that no chunk, however long, outgrows the buffer.
    const stepSamples = 31 * frameSamples
    let from = 0
    while (joined.length - from >= frameSamples) {
      const frames = Math.min(stepSamples, joined.length - from - ((joined.length - from) % frameSamples))
      await this.#detect(joined.subarray(from, from + frames))
      from += frames
    }
    this.#rest = joined.slice(from)
  }

  async #detect(frames: Float32Array): Promise<void> {
    const startedMs = this.#deps.clock.monotonicMs()
    this.#buffer.push(frames)
    const { probabilities, state } = await this.#deps.detect(frames, this.#state, this.#signal)
    this.#state = state
    this.#vadMs += this.#deps.clock.monotonicMs() - startedMs
    for (const probability of probabilities)
      for (const event of this.#segmenter.push(probability)) await this.#on(event)
    this.#tellSpeech()
  }

  /** Once for each stretch, as soon as it is too long for a mere noise. */
  #tellSpeech(): void {
    const { segments, onSpeech } = this.#deps
    if (this.#speechAt === undefined) return
    if (this.#buffer.end - this.#speechAt < segments.speechMsMin * samplesPerMs) return
    this.#speechAt = undefined
    onSpeech?.()
  }

  async #on(event: SegmentEvent): Promise<void> {
    this.#speaking = event.kind === 'start' || event.kind === 'pause' || event.kind === 'resume'
    if (event.kind === 'start') {
      this.#vadMs = 0
      this.#speechAt = event.start
    }
    if (event.kind === 'dropped' || event.kind === 'end') this.#speechAt = undefined
    if (event.kind === 'pause') this.#guess = this.#transcribe(event)
    if (event.kind === 'resume' || event.kind === 'dropped') this.#giveUpGuess()
    if (event.kind !== 'end') return
    const guess = this.#guess
    const right = guess?.segment.start === event.segment.start && guess.segment.end === event.segment.end
    if (!right) this.#giveUpGuess()
    const { outcome } = guess && right ? guess : this.#transcribe(event)
    this.#guess = undefined
    await this.#channel.send({ outcome })
  }

  #giveUpGuess(): void {
    this.#guess?.controller.abort()
    this.#guess = undefined
  }

  #transcribe({ segment, speechEnd }: { segment: Segment; speechEnd: number }): Guess {
    const { clock } = this.#deps
    const startedMs = clock.monotonicMs()
    const controller = new AbortController()
    const signal = AbortSignal.any([this.#signal, controller.signal])
    const audio = this.#buffer.slice(segment.start, segment.end)
    const vadMs = this.#vadMs
    const slept = this.#slept
    const speechEndedMonotonicMs = startedMs - Math.max(0, this.#buffer.end - speechEnd) / samplesPerMs
    const outcome = this.#deps.words(audio, signal).then(
      (text): Outcome => ({
        heard: {
          text,
          segments: [inMilliseconds({ start: segment.start + slept, end: segment.end + slept })],
          audioMs: audio.length / samplesPerMs,
          vadMs,
          transcribeMs: clock.monotonicMs() - startedMs,
          speechEndedMonotonicMs,
        },
      }),
      (error): Outcome => ({ error }),
    )
    return { segment, outcome, controller }
  }
}
