/** A backend that does what the test says; a stand-in for a server elsewhere, without one. */
import type { Backend, BackendHealth, ServedModel } from '../../../../gateway/offload/backends/backend.ts'
import type { InferChunk, InferRequest, Tensor } from '../../../../runtime/wire/infer.ts'

export const number = (value: number): Tensor => ({
  name: 'y',
  datatype: 'FP32',
  shape: [1],
  data: Float32Array.of(value),
})

export const model = (name: string, more: Partial<ServedModel> = {}): ServedModel => ({
  name,
  version: '1',
  inputs: [{ name: 'x', datatype: 'FP32', shape: ['n'] }],
  outputs: [{ name: 'y', datatype: 'FP32', shape: [1] }],
  idempotent: true,
  ...more,
})

/** Chunks to give, an error to throw, or `hang`: silent until it is cancelled. */
export type Step = number | { readonly final: number } | Omit<InferChunk, 'id'> | Error | 'hang' | 'end'
export type Script = (request: InferRequest, call: number) => readonly Step[]

export class ScriptedBackend implements Backend {
  readonly id: string
  readonly reach: Backend['reach']
  readonly concurrency = 4
  readonly parallel = 4
  readonly requests: InferRequest[] = []
  /** Requests whose signal aborted while they ran. */
  cancelled = 0
  /** Requests that are over, one way or another. */
  ended = 0
  closed = 0
  served: readonly ServedModel[]
  state: BackendHealth = { state: 'ok', running: 0, queued: 0 }
  script: Script

  constructor(
    id: string,
    options: { reach?: Backend['reach']; models?: readonly ServedModel[]; script?: Script } = {},
  ) {
    this.id = id
    this.reach = options.reach ?? 'site'
    this.served = options.models ?? [model('m')]
    this.script = options.script ?? (() => [{ final: 1 }])
  }

  models(): readonly ServedModel[] {
    return this.state.state === 'ok' ? this.served : []
  }

  knows(name: string): boolean {
    return this.served.some((one) => one.name === name)
  }

  health(): BackendHealth {
    return this.state
  }

  async *infer(request: InferRequest, signal: AbortSignal): AsyncGenerator<InferChunk, void, undefined> {
    this.requests.push(request)
    try {
      yield* this.#answer(request, signal)
    } finally {
      this.ended += 1
    }
  }

  async *#answer(request: InferRequest, signal: AbortSignal): AsyncGenerator<InferChunk, void, undefined> {
    const { id } = request
    for (const step of this.script(request, this.requests.length)) {
      if (step === 'end') return
      if (step instanceof Error) throw step
      if (step === 'hang') {
        await new Promise((_, reject) => {
          signal.addEventListener('abort', () => {
            this.cancelled += 1
            reject(signal.reason)
          })
        })
      } else if (typeof step === 'object' && 'outputs' in step) yield { ...step, id }
      else if (typeof step === 'number') yield { id, final: false, outputs: [number(step)] }
      else yield { id, final: true, outputs: [number(step.final)], modelMs: 5 }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.closed += 1
  }
}
