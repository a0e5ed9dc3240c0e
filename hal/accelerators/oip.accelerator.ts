/**
 * An accelerator behind an adapter process that speaks the Open Inference Protocol v2. What the adapter had loaded is loaded
 * again after it was replaced. Inputs are checked before they travel and outputs when they come: a wrong byte is an error.
 */
import type {
  Accelerator,
  AcceleratorCapabilities,
  AcceleratorHealth,
  AcceleratorModel,
  AcceleratorTensor,
  LoadedModel,
} from '../contract/accelerator.ts'
import type { Host } from '../contract/host.ts'
import { AcceleratorError } from './accelerator-error.ts'
import { AdapterHost, type AdapterHostOptions, type Running } from './adapter-host.ts'
import { checkInputs, checkOutputs } from './tensor-bytes.ts'
import { withSignal } from './waiting.ts'

export interface OipAcceleratorOptions extends AdapterHostOptions {
  readonly loadDeadlineMs?: number
  /** Runs under way; above it `overloaded`. */
  readonly runsMax?: number
}

const defaults = { loadDeadlineMs: 120_000, runsMax: 64 }

interface Entry {
  readonly model: AcceleratorModel
  /** What the adapter of this generation said when it loaded it. */
  loading: { readonly generation: number; readonly done: Promise<LoadedModel> } | undefined
}

export class OipAccelerator implements Accelerator {
  readonly id: string
  readonly name: string
  readonly #adapter: AdapterHost
  readonly #options: OipAcceleratorOptions & typeof defaults
  readonly #models = new Map<string, Entry>()
  readonly #stop = new AbortController()
  #runs = 0

  private constructor(adapter: AdapterHost, options: OipAcceleratorOptions) {
    this.#adapter = adapter
    this.#options = { ...defaults, ...options }
    this.id = options.name
    this.name = `adapter ${options.name}`
  }

  static async open(options: OipAcceleratorOptions, host: Host): Promise<OipAccelerator> {
    return new OipAccelerator(await AdapterHost.open(options, host), options)
  }

  async probe(signal: AbortSignal): ReturnType<Accelerator['probe']> {
    try {
      await this.capabilities(signal)
      return { usable: true }
    } catch (error) {
      return { usable: false, whyNot: error instanceof Error ? error.message : String(error) }
    }
  }

  async capabilities(signal: AbortSignal): Promise<AcceleratorCapabilities> {
    const { client } = await this.#adapter.ready(signal)
    return client.capabilities(signal)
  }

  async load(model: AcceleratorModel, signal: AbortSignal): Promise<LoadedModel> {
    const entry: Entry = { model, loading: undefined }
    this.#models.set(model.name, entry)
    try {
      return await this.#loaded(entry, await this.#adapter.ready(signal), signal)
    } catch (error) {
      // One that did not load is not tried again by itself; one whose adapter was lost is.
      if (!isLost(error) && this.#models.get(model.name) === entry) this.#models.delete(model.name)
      throw error
    }
  }

  async run(
    name: string,
    inputs: readonly AcceleratorTensor[],
    { deadlineMs }: { readonly deadlineMs: number },
    signal: AbortSignal,
  ): Promise<readonly AcceleratorTensor[]> {
    const entry = this.#models.get(name)
    if (!entry) {
      const known = [...this.#models.keys()].join(', ') || 'none'
      throw new AcceleratorError('model-unknown', `no model ${name} is loaded; there are: ${known}`)
    }
    if (this.#runs >= this.#options.runsMax)
      throw new AcceleratorError('overloaded', `${this.#runs} runs are under way, no more are taken`)
    this.#runs += 1
    try {
      const running = await this.#adapter.ready(signal)
      const { inputs: places, outputs: promised } = await this.#loaded(entry, running, signal)
      checkInputs(inputs, places)
      const outputs = await running.client.infer(name, inputs, deadlineMs, signal)
      checkOutputs(outputs, promised)
      this.#adapter.succeeded()
      return outputs
    } catch (error) {
      if (error instanceof AcceleratorError && error.code === 'deadline') this.#adapter.suspect()
      throw error
    } finally {
      this.#runs -= 1
    }
  }

  async unload(name: string, signal: AbortSignal): Promise<void> {
    if (!this.#models.delete(name)) return
    const { client } = await this.#adapter.ready(signal)
    await client.unload(name, signal)
  }

  async health(): Promise<AcceleratorHealth> {
    const { state, reason, restarts } = this.#adapter.status()
    const memoryCap = this.#adapter.memoryCap()
    return {
      state,
      ...(reason === undefined ? {} : { reason }),
      restarts,
      models: [...this.#models.keys()],
      ...(memoryCap === undefined ? {} : { memoryCap }),
    }
  }

  /** Pid of the adapter that runs now. */
  get pid(): number | undefined {
    return this.#adapter.status().pid
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    return this.#adapter[Symbol.asyncDispose]()
  }

  /** Loads once a generation, however many ask. */
  #loaded(entry: Entry, { client, generation }: Running, signal: AbortSignal): Promise<LoadedModel> {
    if (entry.loading?.generation !== generation) {
      const done = this.#load(entry.model, client)
      const loading = { generation, done }
      entry.loading = loading
      done.catch(() => {
        if (entry.loading === loading) entry.loading = undefined
      })
    }
    return withSignal(entry.loading.done, signal)
  }

  /** Under its own deadline: whoever asked first may leave. */
  async #load({ name, files }: AcceleratorModel, client: Running['client']): Promise<LoadedModel> {
    const { signal } = this.#stop
    const { formats } = await client.capabilities(signal)
    const format = formats.find((one) => files[one] !== undefined)
    const path = format === undefined ? undefined : files[format]
    if (format === undefined || path === undefined)
      throw new AcceleratorError(
        'model-load',
        `model ${name} is there as ${Object.keys(files).join(', ')}; ${this.id} takes ${formats.join(', ')}`,
      )
    return client.load(name, { path, format }, this.#options.loadDeadlineMs, signal)
  }
}

function isLost(error: unknown): boolean {
  return error instanceof AcceleratorError && error.code === 'engine-lost'
}
