/**
 * Hearing: sound in, words out. A detector says where speech is; only that is transcribed, so silence, hum and music
 * cost little and say nothing. Sound is never logged, and never leaves the device (requests are marked so), unless `privacy` lets
 * what was found to be speech travel.
 */

import type { Microphone } from '../../../hal/contract/microphone.ts'
import type { Clock } from '../../base/clock.ts'
import { type Log, silentLog } from '../../base/log.ts'
import { Resampler } from '../../inference/engine/steps/resampler.ts'
import type { Inference } from '../../inference/inference.ts'
import type { Privacy } from '../../wire/infer.ts'
import type { Heard } from './heard.ts'
import { listenTo } from './live.ts'
import { PerceptionError } from './perception-error.ts'
import { isPlausible } from './plausible.ts'
import { inMilliseconds, type SegmentOptions, segmentDefaults, segmentsOf } from './segment.ts'
import { SpeechModels } from './speech-models.ts'
import { Wake, type WakeOptions } from './wake.ts'
import { openWav, type Recording, tooLong } from './wav.ts'

/** What both models take. */
export const hearingRateHz = 16_000

export interface HearingOptions {
  readonly detector: string
  readonly transcriber: string
  readonly keywords: string
  /** Longest recording: a person speaks to a device in seconds; two minutes are 7.7 MB of samples. */
  readonly audioSMax: number
  readonly segments: SegmentOptions
  /** Rate to ask of a microphone; another than 16 kHz is resampled. */
  readonly captureRateHz: number
  /** How far speech may travel to be written down. Sound in which none was found never leaves the device. */
  readonly privacy: Privacy
}

export const hearingDefaults: HearingOptions = {
  detector: 'silero-vad',
  transcriber: 'moonshine-tiny-en',
  keywords: 'keywords',
  audioSMax: 120,
  segments: segmentDefaults,
  captureRateHz: hearingRateHz,
  privacy: 'device',
}

/** What stands before the speech models when a microphone is listened to, and who is told. */
export interface WakeStage extends WakeOptions {
  readonly onWake: () => void
  readonly onSpeech: () => void
  readonly onSleep: () => void
}

export interface HearingDeps {
  readonly inference: Inference
  readonly clock: Clock
  readonly log?: Log
}

/**
 * The recording at the models' rate. Two minutes take a second or more of work: after each stretch of 100 ms the rest of
 * the process gets its turn, because this is the process that keeps things safe.
 */
async function samplesOf(recording: Recording, signal: AbortSignal): Promise<Float32Array> {
  const { sampleRateHz, frames } = recording
  const resampler = new Resampler(sampleRateHz, hearingRateHz)
  const samples = new Float32Array(Math.round((frames * hearingRateHz) / sampleRateHz))
  // A few milliseconds of work on a small board: a control loop runs beside it.
  const step = Math.ceil(sampleRateHz / 50)
  let filled = 0
  const take = (part: Float32Array) => {
    samples.set(part, filled)
    filled += part.length
  }
  for (let from = 0; from < frames; from += step) {
    take(resampler.push(recording.read(from, from + step)))
    await new Promise((resolve) => setImmediate(resolve))
    signal.throwIfAborted()
  }
  take(resampler.flush())
  return samples
}

export class Hearing {
  readonly #clock: Clock
  readonly #log: Log
  readonly #models: SpeechModels
  readonly #options: HearingOptions

  constructor(deps: HearingDeps, options: Partial<HearingOptions> = {}) {
    this.#options = { ...hearingDefaults, ...options }
    this.#clock = deps.clock
    this.#log = deps.log ?? silentLog
    this.#models = new SpeechModels(deps.inference, this.#options)
  }

  /** A WAVE recording of any usual format. Throws PerceptionError, InferError. */
  async hearWav(file: Uint8Array, signal: AbortSignal, onPartial?: (text: string) => void): Promise<Heard> {
    const recording = openWav(file, this.#options)
    return this.transcribe(await samplesOf(recording, signal), signal, onPartial)
  }

  /** 16 kHz mono samples in [-1, 1]. `onPartial` gets the text so far. Throws PerceptionError, InferError. */
  async transcribe(
    samples: Float32Array,
    signal: AbortSignal,
    onPartial?: (text: string) => void,
  ): Promise<Heard> {
    const { audioSMax } = this.#options
    if (samples.length === 0) throw new PerceptionError('empty', 'the recording is empty: it has no samples')
    if (samples.length / hearingRateHz > audioSMax) throw tooLong(samples.length / hearingRateHz, audioSMax)
    const startedMs = this.#clock.monotonicMs()
    const { probabilities } = await this.#models.detect(samples, undefined, signal)
    const segments = segmentsOf(probabilities, samples.length, this.#options.segments)
    const detectedMs = this.#clock.monotonicMs()
    const texts: string[] = []
    for (const { start, end } of segments) {
      const before = joined(texts)
      const partial = onPartial && ((text: string) => onPartial(before === '' ? text : `${before} ${text}`))
      texts.push(await this.#words(samples.subarray(start, end), signal, partial))
    }
    return {
      text: joined(texts),
      segments: segments.map((segment, index) => ({ ...inMilliseconds(segment), text: texts[index] ?? '' })),
      audioMs: samples.length / (hearingRateHz / 1000),
      vadMs: detectedMs - startedMs,
      transcribeMs: this.#clock.monotonicMs() - detectedMs,
      speechEndedMonotonicMs: startedMs,
    }
  }

  /**
   * Every utterance that the microphone hears, until the signal aborts or the microphone ends. With a stage before them
   * the speech models hear nothing until it wakes. An utterance whose
   * transcription fails is logged and left out. Throws HalError, and InferError when the detector fails.
   */
  listen(microphone: Microphone, signal: AbortSignal, stage?: WakeStage): AsyncGenerator<Heard> {
    const spot = (audio: Float32Array, spotSignal: AbortSignal) => this.#models.spot(audio, spotSignal)
    return listenTo(
      {
        clock: this.#clock,
        log: this.#log,
        detect: (audio, state, detectSignal) => this.#models.detect(audio, state, detectSignal),
        words: (audio, wordsSignal) => this.#words(audio, wordsSignal),
        segments: this.#options.segments,
        captureRateHz: this.#options.captureRateHz,
        ...(stage
          ? { wake: new Wake({ log: this.#log, spot, ...stage }, stage), onSpeech: stage.onSpeech }
          : {}),
      },
      microphone,
      signal,
    )
  }

  /** The words of one stretch of speech; empty when the model invented them. */
  async #words(
    audio: Float32Array,
    signal: AbortSignal,
    onPartial?: (text: string) => void,
  ): Promise<string> {
    const text = await this.#models.transcribe(audio, signal, onPartial)
    return isPlausible(text, audio.length / (hearingRateHz / 1000)) ? text : ''
  }
}

function joined(texts: readonly string[]): string {
  return texts.filter((text) => text !== '').join(' ')
}
