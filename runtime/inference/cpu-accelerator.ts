/**
 * The CPU as an accelerator: models in the engine process, through its supervisor. What other accelerators fall back to. Its
 * errors are those of the inference envelope, which are the contract's.
 */
import type {
  Accelerator,
  AcceleratorCapabilities,
  AcceleratorHealth,
  AcceleratorModel,
  AcceleratorTensor,
  LoadedModel,
} from '../../hal/contract/accelerator.ts'
import { InferError, type Tensor } from '../wire/infer.ts'
import { datatypes } from '../wire/tensor.ts'
import type { EngineState, Engines } from './supervisor/engines.ts'

const format = 'onnx'
const states: Readonly<Record<EngineState, AcceleratorHealth['state']>> = {
  // Starts with its first model.
  idle: 'ok',
  running: 'ok',
  starting: 'starting',
  restarting: 'restarting',
  stopped: 'closed',
}

/** Its models are beside the runtime's own in one engine. */
const inEngine = (model: string) => `accelerator/${model}`

export class CpuAccelerator implements Accelerator {
  readonly id = 'cpu'
  readonly name = 'CPU'
  readonly #engine: Engines
  readonly #models = new Set<string>()

  /** The engine belongs to the caller: closing this frees its models and leaves the engine running. */
  constructor(engine: Engines) {
    this.#engine = engine
  }

  async probe(): ReturnType<Accelerator['probe']> {
    const { state } = await this.#engine.status()
    return state === 'stopped' ? { usable: false, whyNot: 'the engine was stopped' } : { usable: true }
  }

  async capabilities(): Promise<AcceleratorCapabilities> {
    return { device: 'cpu', formats: [format], precisions: datatypes }
  }

  async load({ name, files }: AcceleratorModel, signal: AbortSignal): Promise<LoadedModel> {
    const path = files[format]
    if (path === undefined)
      throw new InferError(
        'model-load',
        `model ${name} is there as ${Object.keys(files).join(', ')}; the CPU takes ${format}`,
      )
    const model = { name: inEngine(name), pipeline: 'tensor', files: { model: path } }
    this.#engine.setModels([...this.#others(name), model])
    try {
      await this.#engine.preload(model.name, signal)
      const signature = this.#engine.signatureOf(model.name)
      if (!signature) throw new InferError('model-load', `model ${name}: the engine does not describe it`)
      this.#models.add(name)
      return { name, ...signature }
    } catch (error) {
      this.#remove(name)
      if (!(error instanceof InferError) || error.code !== 'model-load') throw error
      throw new InferError('model-load', `model ${name}: ${error.message}`, { cause: error })
    }
  }

  async run(
    model: string,
    inputs: readonly AcceleratorTensor[],
    { deadlineMs }: { readonly deadlineMs: number },
    signal: AbortSignal,
  ): Promise<readonly AcceleratorTensor[]> {
    if (!this.#models.has(model)) {
      const known = [...this.#models].join(', ') || 'none'
      throw new InferError('model-unknown', `no model ${model} is loaded; there are: ${known}`)
    }
    // Datatypes that the engine has not are its to refuse: it names the input.
    const request = {
      model: inEngine(model),
      priority: 'interactive',
      deadlineMs,
      privacy: 'device',
      inputs: inputs as readonly Tensor[],
    } as const
    for await (const { final, outputs } of this.#engine.infer(request, signal)) if (final) return outputs
    throw new InferError('run', `model ${model} ended without an answer`)
  }

  async unload(model: string): Promise<void> {
    this.#remove(model)
  }

  async health(): Promise<AcceleratorHealth> {
    const { state, restarts } = await this.#engine.status()
    const health = states[state]
    return {
      state: health,
      ...(health === 'ok' ? {} : { reason: `the engine is ${state}` }),
      restarts,
      models: [...this.#models],
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const model of [...this.#models]) this.#remove(model)
  }

  #remove(model: string): void {
    this.#models.delete(model)
    this.#engine.setModels(this.#others(model))
  }

  #others(model: string) {
    return this.#engine.models.filter(({ name }) => name !== inEngine(model))
  }
}
