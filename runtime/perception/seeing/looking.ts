/** The models of seeing, as calls: is somebody there, where are faces, what is written. Knows their tensors, nothing else does. */
import type { Finding } from '../../config/perception.ts'
import { InferError, type Inference } from '../../inference/inference.ts'
import type { InferChunk, Privacy, Tensor } from '../../wire/infer.ts'
import type { Frame } from './frame-source.ts'

/** Over ten times what a small core needs for each; a page of text has many lines. */
const deadlineMs: Readonly<Record<Finding, number>> = { person: 3_000, face: 3_000, text: 20_000 }

export const seeingModels: Readonly<Record<Finding, string>> = {
  person: 'person',
  face: 'ultra-light-face-320',
  text: 'pp-ocr-v4',
}

/** Frames large enough for each: people and faces are shrunk to 96 × 96 and 320 × 240; letters must stay legible. */
export const frameSizes: Readonly<Record<Finding, { readonly width: number; readonly height: number }>> = {
  person: { width: 320, height: 240 },
  face: { width: 320, height: 240 },
  text: { width: 1280, height: 720 },
}

export interface Face {
  /** Left, top, right, bottom, pixels of the frame. */
  readonly box: readonly number[]
  readonly confidence: number
}

export interface Line {
  readonly text: string
  readonly confidence: number
}

export interface LookingOptions {
  readonly models: Readonly<Record<Finding, string>>
  readonly privacy: Privacy
}

export class Looking {
  readonly #inference: Inference
  readonly #options: LookingOptions

  constructor(inference: Inference, options: LookingOptions) {
    this.#inference = inference
    this.#options = options
  }

  /** How sure it is that somebody is in the picture, 0 to 1. Throws InferError. */
  async person(frame: Frame, signal: AbortSignal): Promise<number> {
    const answer = await this.#ask('person', frame, signal)
    return numbers(answer, 'person', 'person')[0] ?? 0
  }

  async faces(frame: Frame, signal: AbortSignal): Promise<Face[]> {
    const answer = await this.#ask('face', frame, signal)
    const boxes = numbers(answer, 'boxes', 'face')
    return [...numbers(answer, 'scores', 'face')].map((confidence, at) => ({
      box: [...boxes.subarray(at * 4, at * 4 + 4)],
      confidence,
    }))
  }

  /** In the order in which it is read. */
  async text(frame: Frame, signal: AbortSignal): Promise<Line[]> {
    const answer = await this.#ask('text', frame, signal)
    const sure = numbers(answer, 'confidence', 'text')
    const tensor = answer.outputs.find((each) => each.name === 'text')
    if (tensor?.datatype !== 'BYTES') throw missing('text', 'a BYTES output named text')
    return tensor.data.map((text, at) => ({ text, confidence: sure[at] ?? 0 }))
  }

  async #ask(finding: Finding, { rgb, width, height }: Frame, signal: AbortSignal): Promise<InferChunk> {
    const { models, privacy } = this.#options
    const image: Tensor = { name: 'image', datatype: 'UINT8', shape: [height, width, 3], data: rgb }
    const request = {
      model: models[finding],
      priority: 'background',
      deadlineMs: deadlineMs[finding],
      privacy,
      inputs: [image],
    } as const
    for await (const chunk of this.#inference.infer(request, signal)) if (chunk.final) return chunk
    throw new InferError('run', `model ${models[finding]} ended without an answer`)
  }
}

function numbers(chunk: InferChunk, name: string, finding: Finding): Float32Array {
  const tensor = chunk.outputs.find((each) => each.name === name)
  if (tensor?.datatype !== 'FP32') throw missing(finding, `an FP32 output named ${name}`)
  if (tensor.data.every(Number.isFinite)) return tensor.data
  throw new InferError('run', `the model for ${finding} answered with what is no number`)
}

function missing(finding: Finding, what: string): InferError {
  return new InferError('run', `the answer of the model for ${finding} lacks ${what}`)
}
