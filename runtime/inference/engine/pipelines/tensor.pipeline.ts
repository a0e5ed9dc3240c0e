/** `tensor`: runs the graph once, inputs and outputs as they are. File role: `model`. */
import { InferError, type Tensor } from '../../../wire/infer.ts'
import { fetched, fromOrt, type Meter, type OrtTensor, type Session, toOrt } from '../session.ts'
import { checkInputs, signatureFault } from '../signature.ts'
import type { ModelSignature, Pipeline, PipelineKind, Steps } from './pipeline.ts'

export const tensorPipeline: PipelineKind = {
  name: 'tensor',
  roles: ['model'],
  async load({ model, open }) {
    const session = await open('model')
    const fault =
      signatureFault('input', model.inputs ?? [], session.inputs) ??
      signatureFault('output', model.outputs ?? [], session.outputs)
    if (fault) throw new InferError('model-load', `model ${model.name}: ${fault}`)
    const fetches = (model.outputs ?? session.outputs).map((output) => output.name)
    return new TensorPipeline(session, fetches)
  },
}

class TensorPipeline implements Pipeline {
  readonly signature: ModelSignature
  readonly #session: Session
  readonly #fetches: readonly string[]

  constructor(session: Session, fetches: readonly string[]) {
    this.#session = session
    this.#fetches = fetches
    this.signature = {
      inputs: session.inputs,
      outputs: session.outputs.filter(({ name }) => fetches.includes(name)),
    }
  }

  // A single run has nothing to yield between.
  async *run(inputs: readonly unknown[], meter: Meter): Steps {
    const feeds: Record<string, OrtTensor> = {}
    for (const tensor of checkInputs(inputs, this.#session.inputs).values())
      feeds[tensor.name] = toOrt(tensor)
    const outputs = await this.#session.run(feeds, this.#fetches, meter)
    return this.#fetches.map((name): Tensor => fromOrt(name, fetched(outputs, name)))
  }

  async release(): Promise<void> {
    await this.#session.release()
  }
}
