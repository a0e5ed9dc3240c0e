/**
 * The same as heard by a microphone, in real time: from the moment at which the voice in the recording ends until the
 * command leaves. Most of it is the silence that has to pass before speech is over.
 */
import type { AudioChunk, Microphone } from '../../hal/contract/microphone.ts'
import { realClock, sleep } from '../../runtime/base/clock.ts'
import { segmentDefaults } from '../../runtime/perception/hearing/segment.ts'
import type { BareRun } from './bare-speech.ts'
import type { Benchmark } from './benchmark.ts'
import { DevicePath, NotDone, type SpokenRun } from './device-path.ts'
import { median } from './quantiles.ts'
import { openBareSpeech } from './speech.bench.ts'
import { recordingSamples } from './speech-files.ts'

const rateHz = 16_000
/** What a sound card gives at a time. */
const chunkSamples = rateHz / 50
/** Silence before the voice, by run: where it meets the detector's frames of 32 ms changes what the model writes down. */
const quietBeforeMs = [320, 300, 340, 360, 380] as const

export const speechLive: Benchmark = {
  name: 'speech.live-end-to-command',
  async run({ quick, signal }) {
    await using device = await DevicePath.open(signal)
    await using bare = await openBareSpeech()
    const samples = await recordingSamples()
    const voiceEnd = endOfVoice(samples)
    const live: SpokenRun[] = []
    const models: number[] = []
    const misheard: string[] = []
    for (const quietMs of quick ? quietBeforeMs.slice(0, 1) : quietBeforeMs) {
      const microphone = new PlayedMicrophone(samples, quietMs)
      try {
        live.push(await device.sayLive(microphone, () => microphone.playedAtMs(voiceEnd), signal))
      } catch (error) {
        if (!(error instanceof NotDone)) throw error
        misheard.push(error.message)
      }
      const { encodeMs, decodeMs } = await bare.ask<BareRun>({})
      models.push(encodeMs + decodeMs)
    }
    if (live.length === 0) throw new Error(misheard.join('; '))
    const { silenceMsMin, pauseMs } = segmentDefaults
    const value = median(live.map((run) => run.sentMs))
    const transcribeMs = median(live.map((run) => run.transcribeMs))
    return [
      {
        name: 'speech.live-end-to-command',
        value,
        unit: 'ms',
        baseline: silenceMsMin + median(models),
        against: `waiting for the same ${silenceMsMin} ms of silence, then the bare encoder and decoder`,
        limit: `the ${silenceMsMin} ms of silence that end an utterance; transcription starts on a guess after ${pauseMs} ms of them`,
        note:
          `of it ${silenceMsMin} ms silence, ${(value - silenceMsMin).toFixed(0)} ms all else (detector frames of 32 ms, ` +
          `a soft end that the detector still takes for speech); transcription ${transcribeMs.toFixed(0)} ms, hidden in the silence where it fits; ` +
          [`done in ${live.length} of ${models.length} runs`, ...misheard].join('; '),
      },
    ]
  },
}

/** The end of the last 10 ms that are louder than a tenth of the loudest 10 ms, in samples. */
function endOfVoice(samples: Float32Array): number {
  const step = rateHz / 100
  const levels = Array.from({ length: Math.floor(samples.length / step) }, (_, at) =>
    Math.sqrt(
      samples.subarray(at * step, (at + 1) * step).reduce((sum, sample) => sum + sample * sample, 0) / step,
    ),
  )
  const loudest = Math.max(...levels)
  return (levels.findLastIndex((level) => level > loudest / 10) + 1) * step
}

/** Plays the samples once in real time: no chunk is there before its last sample was heard. Silence goes before and after. */
class PlayedMicrophone implements Microphone {
  readonly info = { id: 'microphone.played', name: 'a recording, played in real time', simulated: true }
  readonly #samples: Float32Array
  readonly #quietMs: number
  #startedMs = 0

  constructor(samples: Float32Array, quietMs: number) {
    this.#samples = samples
    this.#quietMs = quietMs
  }

  /** When sample number `at` of the recording is heard, on the monotonic clock. */
  playedAtMs(at: number): number {
    return this.#startedMs + this.#quietMs + (at / rateHz) * 1000
  }

  async *capture(_options: { sampleRateHz: number }, signal: AbortSignal): AsyncGenerator<AudioChunk> {
    this.#startedMs = realClock.monotonicMs()
    const first = -(this.#quietMs / 1000) * rateHz
    for (let at = first; !signal.aborted; at += chunkSamples) {
      await sleep(
        realClock,
        Math.max(0, this.playedAtMs(at + chunkSamples) - realClock.monotonicMs()),
        signal,
      )
      const samples = new Float32Array(chunkSamples)
      if (at >= 0) samples.set(this.#samples.subarray(at, at + chunkSamples))
      yield { samples, droppedSamples: 0 }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
