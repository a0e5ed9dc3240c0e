/** The models of hearing, as calls: is there a word, where is speech, and what was said. Knows their tensors, nothing else does. */
import { InferError, type Inference } from '../../inference/inference.ts'
import { keywordScores } from '../../inference/models/keywords.model.ts'
import type { InferChunk, InferRequest, Privacy, Tensor } from '../../wire/infer.ts'
import { frameSamples } from './segment.ts'
import type { Spotted } from './wake.ts'

export interface SpeechModelNames {
  readonly detector: string
  readonly transcriber: string
  readonly keywords: string
}

export interface SpeechModelOptions extends SpeechModelNames {
  /** How far sound may travel in which speech was found. All other sound stays on the device. */
  readonly privacy: Privacy
}

/** Several hundred times what it needs: it is asked while something else may load. */
const spotMsMax = 5_000

/** Samples a request: 10 s of sound, so that cancelling never waits for more; a multiple of the detector's frame. */
const detectSamplesMax = 312 * frameSamples
/** Over a hundred times what the detector needs for 10 s, on a small core that does something else too. */
const detectMsMax = 15_000
/** Some ten times what a small core needs for the longest utterance. */
const transcribeMsMax = 60_000

/**
 * Silence put around speech, samples: the transcriber was trained on clips that have some. Measured on two recordings in
 * 19 variants each (rate, level, noise, speed): 35 of 38 right with 200 and 600 ms, 11 without. README.md has the table.
 */
const leadSamples = 0.2 * 16_000
const tailSamples = 0.6 * 16_000

/**
 * A voice from across the room: below `quietPeak` speech is raised to `raisedPeak`, at which it is written down as well
 * as a loud one (measured; at a hundredth of full scale "lamp" had become "lamb").
 */
const quietPeak = 0.1
const raisedPeak = 0.3

/** Carries the detector's memory from one stretch of sound to the next. */
export type DetectorState = Tensor | undefined

export class SpeechModels {
  readonly #inference: Inference
  readonly #names: SpeechModelNames
  readonly #privacy: Privacy

  constructor(inference: Inference, { privacy, ...names }: SpeechModelOptions) {
    this.#inference = inference
    this.#names = names
    this.#privacy = privacy
  }

  /** What is in one second of sound. Throws InferError. */
  async spot(audio: Float32Array, signal: AbortSignal): Promise<Spotted> {
    const inputs = [audioTensor(audio, [audio.length])]
    const last = await this.#last({ model: this.#names.keywords, inputs, deadlineMs: spotMsMax }, signal)
    const tensor = last.outputs.find((each) => each.name === 'scores')
    if (tensor?.datatype !== 'FP32' || tensor.data.length !== keywordScores.length)
      throw new InferError('run', "the keyword model's answer has no FP32 output named scores of 12 numbers")
    const words = Object.fromEntries(keywordScores.map((word, at) => [word, tensor.data[at] ?? 0]))
    return { words, silence: words['silence'] ?? 0 }
  }

  /** Probability of speech in each frame. To go on from `state`, send whole frames. Throws InferError. */
  async detect(
    audio: Float32Array,
    state: DetectorState,
    signal: AbortSignal,
  ): Promise<{ probabilities: Float32Array; state: DetectorState }> {
    const probabilities = new Float32Array(Math.ceil(audio.length / frameSamples))
    let carried = state
    for (let from = 0; from < audio.length; from += detectSamplesMax) {
      const block = audio.subarray(from, from + detectSamplesMax)
      const inputs = [audioTensor(block, [block.length]), ...(carried ? [carried] : [])]
      const last = await this.#last({ model: this.#names.detector, inputs, deadlineMs: detectMsMax }, signal)
      probabilities.set(speechOf(last), from / frameSamples)
      carried = last.outputs.find((tensor) => tensor.name === 'state')
    }
    return { probabilities, state: carried }
  }

  /** What was said; `onPartial` gets the text so far. Throws InferError. */
  async transcribe(
    audio: Float32Array,
    signal: AbortSignal,
    onPartial?: (text: string) => void,
  ): Promise<string> {
    const prepared = prepare(audio)
    const inputs = [audioTensor(prepared, [1, prepared.length])]
    const onChunk = (chunk: InferChunk) => {
      if (!chunk.final && chunk.outputs.length > 0) onPartial?.(textOf(chunk))
    }
    const request = { model: this.#names.transcriber, inputs, deadlineMs: transcribeMsMax }
    const last = await this.#last({ ...request, privacy: this.#privacy }, signal, onChunk)
    return textOf(last).trim()
  }

  /** The final chunk. A request that died with its engine is asked once more: it changes nothing. */
  async #last(
    asked: Pick<InferRequest, 'model' | 'inputs' | 'deadlineMs'> & { readonly privacy?: Privacy },
    signal: AbortSignal,
    onChunk: (chunk: InferChunk) => void = () => {},
  ): Promise<InferChunk> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        const request = { priority: 'interactive', privacy: 'device', ...asked } as const
        for await (const chunk of this.#inference.infer(request, signal)) {
          onChunk(chunk)
          if (chunk.final) return chunk
        }
        throw new InferError('run', `model ${asked.model} ended without an answer`)
      } catch (error) {
        if (!(error instanceof InferError && error.code === 'engine-lost' && attempt === 1)) throw error
      }
    }
  }
}

/** Speech at a level and between silences as the transcriber likes it. */
function prepare(audio: Float32Array): Float32Array {
  const prepared = new Float32Array(leadSamples + audio.length + tailSamples)
  const peak = audio.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0)
  const gain = peak > 0 && peak < quietPeak ? raisedPeak / peak : 1
  prepared.set(gain === 1 ? audio : audio.map((sample) => sample * gain), leadSamples)
  return prepared
}

function audioTensor(data: Float32Array, shape: readonly number[]): Tensor {
  return { name: 'audio', datatype: 'FP32', shape, data }
}

function speechOf(chunk: InferChunk): Float32Array {
  const tensor = chunk.outputs.find((each) => each.name === 'speech')
  if (tensor?.datatype === 'FP32') return tensor.data
  throw new InferError('run', "the detector's answer has no FP32 output named speech")
}

function textOf(chunk: InferChunk): string {
  const tensor = chunk.outputs.find((each) => each.name === 'text')
  if (tensor?.datatype === 'BYTES') return tensor.data[0] ?? ''
  throw new InferError('run', "the transcriber's answer has no BYTES output named text")
}
