/**
 * An accelerator with another one, the CPU, behind it: what the first cannot do because it is lost, given up or cannot load a
 * model runs on the second. The reason is kept and shown for as long as that lasts. A caller's own mistake (a wrong input, an
 * abort) is not tried again elsewhere, and neither is a run that failed: it would hide a broken chip.
 */
import type {
  Accelerator,
  AcceleratorCapabilities,
  AcceleratorFailure,
  AcceleratorHealth,
  AcceleratorModel,
  AcceleratorTensor,
  LoadedModel,
} from '../contract/accelerator.ts'
import type { HostLog } from '../contract/host.ts'

export class FallbackAccelerator implements Accelerator {
  readonly id: string
  readonly name: string
  readonly #first: Accelerator
  readonly #second: Accelerator
  readonly #log: HostLog
  /** Models that the first one has not; why. */
  readonly #elsewhere = new Map<string, string>()
  #reason: string | undefined
  #runs = 0

  /** Closes the first with itself; the second belongs to others too. */
  constructor(first: Accelerator, second: Accelerator, log: HostLog) {
    this.id = first.id
    this.name = first.name
    this.#first = first
    this.#second = second
    this.#log = log
  }

  async probe(signal: AbortSignal): ReturnType<Accelerator['probe']> {
    return this.#first.probe(signal)
  }

  async capabilities(signal: AbortSignal): Promise<AcceleratorCapabilities> {
    try {
      return await this.#first.capabilities(signal)
    } catch (error) {
      if (!isAway(error)) throw error
      this.#note(error.message)
      return this.#second.capabilities(signal)
    }
  }

  /** On both: the second must have the model when the first is lost. One of the two is enough. */
  async load(model: AcceleratorModel, signal: AbortSignal): Promise<LoadedModel> {
    const [first, second] = await Promise.allSettled([
      this.#first.load(model, signal),
      this.#second.load(model, signal),
    ])
    if (first.status === 'fulfilled') {
      this.#elsewhere.delete(model.name)
      return first.value
    }
    if (second.status === 'rejected' || !(isAway(first.reason) || isUnloadable(first.reason)))
      throw first.reason
    if (isUnloadable(first.reason)) this.#elsewhere.set(model.name, first.reason.message)
    this.#note(first.reason.message)
    return second.value
  }

  async run(
    model: string,
    inputs: readonly AcceleratorTensor[],
    options: { readonly deadlineMs: number },
    signal: AbortSignal,
  ): Promise<readonly AcceleratorTensor[]> {
    const elsewhere = this.#elsewhere.get(model)
    if (elsewhere !== undefined) return this.#runOnSecond(elsewhere, model, inputs, options, signal)
    try {
      const outputs = await this.#first.run(model, inputs, options, signal)
      this.#reason = this.#elsewhere.values().next().value
      return outputs
    } catch (error) {
      if (!isAway(error) && !isUnloadable(error)) throw error
      return this.#runOnSecond(error.message, model, inputs, options, signal)
    }
  }

  async unload(model: string, signal: AbortSignal): Promise<void> {
    this.#elsewhere.delete(model)
    await this.#second.unload(model, signal)
    try {
      await this.#first.unload(model, signal)
    } catch (error) {
      // Lost with everything that it had loaded.
      if (!isAway(error)) throw error
    }
  }

  async health(): Promise<AcceleratorHealth> {
    const health = await this.#first.health()
    if (this.#reason === undefined) return health
    return { ...health, fallback: { to: this.#second.id, reason: this.#reason, runs: this.#runs } }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#first[Symbol.asyncDispose]()
  }

  #runOnSecond(reason: string, ...run: Parameters<Accelerator['run']>): ReturnType<Accelerator['run']> {
    this.#note(reason)
    this.#runs += 1
    return this.#second.run(...run)
  }

  #note(reason: string): void {
    if (this.#reason === undefined)
      this.#log.warn('accelerator falls back', { accelerator: this.id, to: this.#second.id, reason })
    this.#reason = reason
  }
}

function isAway(error: unknown): error is AcceleratorFailure {
  return codeOf(error) === 'engine-lost'
}

function isUnloadable(error: unknown): error is AcceleratorFailure {
  return codeOf(error) === 'model-load'
}

function codeOf(error: unknown): unknown {
  return error instanceof Error ? (error as Partial<AcceleratorFailure>).code : undefined
}
