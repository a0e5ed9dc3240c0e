/**
 * `silero-vad`: probability of speech for each 32 ms of sound. File role: `model`, Silero VAD v5 or v6 as ONNX
 * (https://github.com/snakers4/silero-vad, `OnnxWrapper`: 512 samples at 16 kHz, with the 64 before them in front).
 *
 * In: `audio` FP32 [n] at 16 kHz, -1 to 1; optionally `state` FP32 [320], as the last answer gave it, when the sound
 * goes on from there. Out: `speech` FP32 [ceil(n / 512)], `state` FP32 [320]. An unfinished last frame is filled with silence:
 * who goes on with `state` sends whole frames.
 */
import { InferError } from '../../../wire/infer.ts'
import { fetched, type Meter, OrtTensor, type Session } from '../session.ts'
import { checkInputs, type InputSpec, signatureFault } from '../signature.ts'
import type { Pipeline, PipelineKind, Steps } from './pipeline.ts'

const sampleRate = 16_000
const frameSamples = 512
const contextSamples = 64
const memoryShape = [2, 1, 128]
const memoryElements = 256
const stateElements = memoryElements + contextSamples
/** About 5 ms of work on a small core: often enough to let urgent work in. */
const framesPerStep = 8

const inputSpecs: readonly InputSpec[] = [
  { name: 'audio', datatype: 'FP32', shape: ['n'] },
  { name: 'state', datatype: 'FP32', shape: [stateElements], optional: true },
]

export const sileroVadPipeline: PipelineKind = {
  name: 'silero-vad',
  roles: ['model'],
  async load({ model, open }) {
    const session = await open('model')
    const fault =
      signatureFault(
        'input',
        [
          { name: 'input', datatype: 'FP32', shape: [1, frameSamples + contextSamples] },
          { name: 'state', datatype: 'FP32', shape: memoryShape },
          { name: 'sr', datatype: 'INT64', shape: [] },
        ],
        session.inputs,
      ) ??
      signatureFault(
        'output',
        [
          { name: 'output', datatype: 'FP32', shape: [1, 1] },
          { name: 'stateN', datatype: 'FP32', shape: memoryShape },
        ],
        session.outputs,
      )
    if (fault) throw new InferError('model-load', `model ${model.name} is not Silero VAD v5: ${fault}`)
    return new SileroVadPipeline(session)
  },
}

class SileroVadPipeline implements Pipeline {
  readonly #session: Session

  constructor(session: Session) {
    this.#session = session
  }

  async *run(inputs: readonly unknown[], meter: Meter): Steps {
    const given = checkInputs(inputs, inputSpecs)
    const audio = given.get('audio')?.data as Float32Array
    const carried = given.get('state')?.data as Float32Array | undefined
    const window = new Float32Array(contextSamples + frameSamples)
    if (carried) window.set(carried.subarray(memoryElements), frameSamples)
    let memory = new OrtTensor(
      'float32',
      carried?.slice(0, memoryElements) ?? new Float32Array(memoryElements),
      memoryShape,
    )
    const rate = new OrtTensor('int64', BigInt64Array.of(BigInt(sampleRate)), [])
    const speech = new Float32Array(Math.ceil(audio.length / frameSamples))
    for (let frame = 0; frame < speech.length; frame += 1) {
      if (frame > 0 && frame % framesPerStep === 0) yield undefined
      slide(window, audio.subarray(frame * frameSamples, (frame + 1) * frameSamples))
      const input = new OrtTensor('float32', window, [1, window.length])
      const outputs = await this.#session.run({ input, state: memory, sr: rate }, ['output', 'stateN'], meter)
      speech[frame] = (fetched(outputs, 'output').data as Float32Array)[0] ?? 0
      memory = fetched(outputs, 'stateN') as typeof memory
    }
    return [
      { name: 'speech', datatype: 'FP32', shape: [speech.length], data: speech },
      { name: 'state', datatype: 'FP32', shape: [stateElements], data: stateOf(memory, window) },
    ]
  }

  async release(): Promise<void> {
    await this.#session.release()
  }
}

/** Moves the window on: the end of the last frame becomes the context of this one. */
function slide(window: Float32Array, frame: Float32Array): void {
  window.copyWithin(0, frameSamples)
  window.set(frame, contextSamples)
  window.fill(0, contextSamples + frame.length)
}

function stateOf(memory: OrtTensor, window: Float32Array): Float32Array {
  const state = new Float32Array(stateElements)
  state.set(memory.data as Float32Array)
  state.set(window.subarray(frameSamples), memoryElements)
  return state
}
