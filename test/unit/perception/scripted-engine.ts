/**
 * An engine whose models are rules: loud frames are speech, and a transcript counts the loud samples. It stands in for
 * the engine process, and can be told to be slow, to die, or to hold its answers back.
 */
import type { AudioChunk, Microphone } from '../../../hal/contract/microphone.ts'
import { InferError, type Inference } from '../../../runtime/inference/inference.ts'
import type { InferChunk, InferRequest, Tensor } from '../../../runtime/wire/infer.ts'

export class ScriptedEngine implements Inference {
  readonly requests: Omit<InferRequest, 'id'>[] = []
  /** Transcriptions that were cancelled before their answer. */
  cancelled = 0
  /** Errors for the next transcriptions, in order. */
  readonly failures: InferError[] = []
  /** The transcript; by default the seconds of sound asked about. */
  textOf: (audio: Float32Array) => string = (audio) => `${(audio.length / 16_000).toFixed(1)} seconds`
  /** What the next transcriptions wait for, in order. */
  readonly gates: Promise<void>[] = []

  async *infer(request: Omit<InferRequest, 'id'>, signal: AbortSignal): AsyncGenerator<InferChunk> {
    this.requests.push(request)
    const input = request.inputs[0]
    if (input?.datatype !== 'FP32') throw new InferError('bad-input', 'no audio')
    if (request.model === 'silero-vad') yield speechIn(input.data)
    else yield* this.#transcribe(input.data, signal)
  }

  transcriptions(): number {
    return this.requests.filter((request) => request.model === 'moonshine-tiny-en').length
  }

  async *#transcribe(audio: Float32Array, signal: AbortSignal): AsyncGenerator<InferChunk> {
    const failure = this.failures.shift()
    if (failure) throw failure
    const cancelled = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
    await Promise.race([this.gates.shift(), cancelled])
    if (signal.aborted) {
      this.cancelled += 1
      throw new InferError('cancelled', 'cancelled')
    }
    const text = this.textOf(audio)
    const outputs = (said: string): Tensor[] => [
      { name: 'text', datatype: 'BYTES', shape: [1], data: [said] },
    ]
    yield { id: '1', final: false, outputs: outputs(text.slice(0, 3)) }
    yield { id: '1', final: true, outputs: outputs(text) }
  }
}

function speechIn(audio: Float32Array): InferChunk {
  const speech = new Float32Array(Math.ceil(audio.length / 512))
  for (let frame = 0; frame < speech.length; frame += 1)
    speech[frame] = Math.abs(audio[frame * 512] ?? 0) > 0.1 ? 0.95 : 0.05
  const state = { name: 'state', datatype: 'FP32', shape: [1], data: new Float32Array(1) } as const
  const outputs = [{ name: 'speech', datatype: 'FP32', shape: [speech.length], data: speech } as const, state]
  return { id: '1', final: true, outputs }
}

/** Sound as `[seconds, loud]` stretches, at 16 kHz. */
export function sound(...stretches: readonly (readonly [seconds: number, loud: boolean])[]): Float32Array {
  return Float32Array.from(
    stretches.flatMap(([seconds, loud]) =>
      new Array<number>(Math.round(seconds * 16_000)).fill(loud ? 0.5 : 0),
    ),
  )
}

/** A microphone that gives `samples` in chunks as fast as it is read, then ends or fails. */
export function microphoneOf(
  samples: Float32Array,
  options: { chunkSamples?: number; droppedAt?: number; failure?: Error; endless?: boolean } = {},
): Microphone {
  const { chunkSamples = 1_600, droppedAt, failure, endless = false } = options
  return {
    info: { id: 'microphone.test', name: 'test', simulated: true },
    async *capture(_options, signal): AsyncGenerator<AudioChunk> {
      for (let at = 0; at < samples.length && !signal.aborted; at += chunkSamples) {
        const droppedSamples =
          droppedAt !== undefined && at <= droppedAt && droppedAt < at + chunkSamples ? 99 : 0
        yield { samples: samples.subarray(at, at + chunkSamples), droppedSamples }
      }
      if (failure) throw failure
      if (endless && !signal.aborted)
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
    },
    async [Symbol.asyncDispose]() {},
  }
}
