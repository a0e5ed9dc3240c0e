/**
 * `tensor`: runs the graph once, inputs and outputs as they are. File role: `model`. Option: `allowNaN` (false). Several
 * requests run as one where the model has a `batch` and the first axis of every input and output may take any length.
 */
import type { EngineModel, TensorSpec } from '../../../wire/engine-protocol.ts'
import { InferError, type Tensor } from '../../../wire/infer.ts'
import { split, stack } from '../batch.ts'
import { fetched, fromOrt, type Meter, type OrtTensor, type Session, toOrt } from '../session.ts'
import { checkInputs, describe, signatureFault } from '../signature.ts'
import {
  allowsNaN,
  type ModelSignature,
  type Pipeline,
  type PipelineKind,
  type Steps,
  type Together,
} from './pipeline.ts'

type Checked = ReadonlyMap<string, Tensor>

export const tensorPipeline: PipelineKind = {
  name: 'tensor',
  roles: ['model'],
  async load({ model, open }) {
    const session = await open('model')
    const fault =
      countFault('inputs', session.inputs) ??
      countFault('outputs', session.outputs) ??
      signatureFault('input', model.inputs ?? [], session.inputs) ??
      signatureFault('output', model.outputs ?? [], session.outputs)
    if (fault) throw new InferError('model-load', `model ${model.name}: ${fault}`)
    const fetches = (model.outputs ?? session.outputs).map((output) => output.name)
    const signature = {
      inputs: session.inputs,
      outputs: session.outputs.filter(({ name }) => fetches.includes(name)),
    }
    checkFirstAxes(model, signature)
    return new TensorPipeline(session, signature, fetches, allowsNaN(model))
  },
}

/** As many as a manifest lists. */
const tensorsMax = 64

function countFault(what: 'inputs' | 'outputs', { length }: readonly TensorSpec[]): string | undefined {
  return length > tensorsMax
    ? `its graph has ${length} ${what}, more than the ${tensorsMax} allowed`
    : undefined
}

/** Throws InferError `model-load` where the model is to run batches and the graph has another number of rows than they. */
export function checkFirstAxes(model: EngineModel, { inputs, outputs }: ModelSignature): void {
  if (!model.batch) return
  const fixed = [...inputs, ...outputs].find(({ shape }) => typeof shape[0] !== 'string')
  if (!fixed) return
  throw new InferError(
    'model-load',
    `model ${model.name}: a batch needs a first axis of any length, but ${fixed.name} is ${describe(fixed)}`,
  )
}

class TensorPipeline implements Pipeline {
  readonly signature: ModelSignature
  readonly #session: Session
  readonly #fetches: readonly string[]
  readonly #nan: { readonly allowNaN: boolean }

  constructor(session: Session, signature: ModelSignature, fetches: readonly string[], allowNaN: boolean) {
    this.#session = session
    this.signature = signature
    this.#fetches = fetches
    this.#nan = { allowNaN }
  }

  // biome-ignore lint/correctness/useYield: a single run has nothing to yield between.
  async *run(inputs: readonly unknown[], meter: Meter): Steps {
    return this.#graph([...this.#checked(inputs).values()], meter)
  }

  async runTogether(requests: readonly (readonly unknown[])[], meter: Meter): Promise<readonly Together[]> {
    const checked = requests.map((inputs) => this.#checkedOrFault(inputs))
    const good = checked.filter((one): one is Checked => !(one instanceof InferError))
    const names = [...(good[0]?.keys() ?? [])]
    const rows = good.map((one) => one.get(names[0] ?? '')?.shape[0] ?? 0)
    const stacked = names.map((name) => stack(good.map((one) => one.get(name) as Tensor)))
    const outputs = good.length === 0 ? [] : await this.#graph(stacked, meter)
    const parts = outputs.map((output) => split(output, rows))
    let at = 0
    return checked.map((one) => {
      if (one instanceof InferError) return one
      const share = at++
      return parts.map((part) => part[share] as Tensor)
    })
  }

  async release(): Promise<void> {
    await this.#session.release()
  }

  async #graph(inputs: readonly Tensor[], meter: Meter): Promise<Tensor[]> {
    const feeds: Record<string, OrtTensor> = {}
    for (const tensor of inputs) feeds[tensor.name] = toOrt(tensor)
    const outputs = await this.#session.run(feeds, this.#fetches, meter)
    return this.#fetches.map((name): Tensor => fromOrt(name, fetched(outputs, name)))
  }

  #checked(inputs: readonly unknown[]): Checked {
    return checkInputs(inputs, this.#session.inputs, this.#nan)
  }

  #checkedOrFault(inputs: readonly unknown[]): Checked | InferError {
    try {
      return this.#checked(inputs)
    } catch (error) {
      if (error instanceof InferError) return error
      throw error
    }
  }
}
