/** The engine as functions: models by file, requests by call, where the pipe of a supervisor has messages. */
import type { Clock } from '../../../base/clock.ts'
import type { FromEngine } from '../../../wire/engine-protocol.ts'
import { InferError, type InferResponse, type Tensor } from '../../../wire/infer.ts'
import { Engine } from '../engine.ts'
import { nativeMemoryMb } from '../native-memory.ts'
import type { ModelSignature } from '../pipelines/pipeline.ts'

export interface FileModelsDeps {
  readonly clock: Clock
  readonly warn: (line: string) => void
}

interface Waiting<T> {
  readonly resolve: (value: T) => void
  readonly reject: (error: InferError) => void
}

/** As many as a supervisor's list may have. */
const modelsMax = 64

export class FileModels {
  readonly #engine: Engine
  readonly #clock: Clock
  readonly #paths = new Map<string, string>()
  readonly #signatures = new Map<string, ModelSignature>()
  readonly #loads = new Map<string, Waiting<ModelSignature>[]>()
  readonly #requests = new Map<string, Waiting<readonly Tensor[]>>()

  constructor(deps: FileModelsDeps, options: { readonly queueMax: number; readonly intraOpThreads: number }) {
    this.#clock = deps.clock
    this.#engine = new Engine(
      {
        clock: deps.clock,
        pid: process.pid,
        send: (message) => this.#onMessage(message),
        // Answers are whole and wait in memory for their connection: the queue bounds how many.
        drained: async () => {},
        rssBytes: () => process.memoryUsage.rss(),
        nativeMb: nativeMemoryMb,
        onStop: () => {},
        warn: deps.warn,
      },
      options,
    )
  }

  get names(): readonly string[] {
    return [...this.#signatures.keys()]
  }

  signatureOf(name: string): ModelSignature | undefined {
    return this.#signatures.get(name)
  }

  /** Throws InferError `model-load`; then the model is not there. */
  async load(name: string, path: string): Promise<ModelSignature> {
    if (this.#paths.size >= modelsMax && !this.#paths.has(name))
      throw new InferError('model-load', `${modelsMax} models are loaded, no more are taken`)
    this.#paths.set(name, path)
    this.#announce()
    try {
      const signature = await new Promise<ModelSignature>((resolve, reject) => {
        this.#loads.set(name, [...(this.#loads.get(name) ?? []), { resolve, reject }])
        this.#engine.handle({ t: 'load', model: name })
      })
      this.#signatures.set(name, signature)
      return signature
    } catch (error) {
      if (this.#paths.get(name) === path) this.unload(name)
      throw error
    }
  }

  unload(name: string): void {
    this.#signatures.delete(name)
    if (!this.#paths.delete(name)) return
    this.#announce()
    this.#settleLoad(name, (waiting) =>
      waiting.reject(new InferError('model-load', `model ${name} was unloaded while it loaded`)),
    )
  }

  /** Throws InferError. An aborted signal frees the engine at its next step. */
  async infer(
    model: string,
    inputs: readonly Tensor[],
    deadlineMs: number,
    signal: AbortSignal,
  ): Promise<readonly Tensor[]> {
    const id = this.#clock.newId()
    const onAbort = () => this.#engine.handle({ t: 'cancel', id })
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      return await new Promise<readonly Tensor[]>((resolve, reject) => {
        this.#requests.set(id, { resolve, reject })
        this.#engine.handle({
          t: 'infer',
          request: { id, model, priority: 'interactive', deadlineMs, privacy: 'device', inputs },
        })
        if (signal.aborted) onAbort()
      })
    } finally {
      signal.removeEventListener('abort', onAbort)
      this.#requests.delete(id)
    }
  }

  #announce(): void {
    const models = [...this.#paths].map(([name, path]) => ({
      name,
      pipeline: 'tensor',
      files: { model: path },
    }))
    this.#engine.handle({ t: 'models', models })
  }

  #onMessage(message: FromEngine): void {
    if (message.t === 'response') this.#onResponse(message.response as InferResponse)
    else if (message.t === 'failed')
      this.#settleLoad(message.model, (waiting) =>
        waiting.reject(new InferError('model-load', message.message)),
      )
    else if (message.t === 'loaded') {
      const { inputs = [], outputs = [] } = message
      this.#settleLoad(message.model, (waiting) => waiting.resolve({ inputs, outputs }))
    }
  }

  #settleLoad(name: string, settle: (waiting: Waiting<ModelSignature>) => void): void {
    const waiting = this.#loads.get(name) ?? []
    this.#loads.delete(name)
    for (const one of waiting) settle(one)
  }

  #onResponse(response: InferResponse): void {
    const waiting = this.#requests.get(response.id)
    if (!waiting) return
    if ('error' in response) waiting.reject(new InferError(response.error.code, response.error.message))
    else if (response.final) waiting.resolve(response.outputs)
  }
}
