/** The engine of this device as a place where the router may send a request. It answers from what is known, asks nobody. */

import type { InferChunk, InferRequest } from '../wire/infer.ts'
import { type EngineEnergy, engineJoules } from './energy.ts'
import type { Route, RouteOffer, RouteRefusal } from './router/route.ts'
import type { ServedModel, ServedModels } from './served-models.ts'

/** A load that was never timed: reading and preparing some tens of megabytes. */
const unknownLoadMs = 500

export class EngineRoute implements Route {
  readonly id = 'engine'
  readonly reach = 'device'
  readonly #served: ServedModels
  readonly #energy: EngineEnergy

  constructor(served: ServedModels, energy: EngineEnergy = { threads: 1 }) {
    this.#served = served
    this.#energy = energy
  }

  offer(model: string): RouteOffer | RouteRefusal {
    const one = this.#served.get(model)
    const outlook = one && this.#served.engines.outlook(model)
    if (!one || !outlook) return { usable: false, whyNot: this.#served.whyNot(model), code: 'model-unknown' }
    const { state, reason, queueMs, loadMs, modelMs, memoryMb } = outlook
    if (state === 'failed') return { usable: false, whyNot: `it failed: ${reason}`, code: 'model-load' }
    const loaded = state === 'loaded'
    return {
      usable: true,
      queueMs,
      loadMs: loaded ? 0 : (loadMs ?? unknownLoadMs),
      ...(modelMs === undefined ? {} : { modelMs: modelMs.p95, energyJ: this.#joules(one, modelMs.p50) }),
      price: 0,
      idempotent: one.idempotent,
      memoryMb: loaded ? 0 : (memoryMb ?? one.engine.memoryMb ?? 0),
    }
  }

  #joules({ engine }: ServedModel, modelMs: number): number {
    const { threads, wattsPerBusyCore } = this.#energy
    const own = Number(engine.options?.['intraOpThreads'] ?? threads)
    return engineJoules(modelMs, own, wattsPerBusyCore)
  }

  async *infer(
    request: Omit<InferRequest, 'id'>,
    signal: AbortSignal,
  ): AsyncGenerator<InferChunk, void, undefined> {
    for await (const chunk of this.#served.engines.infer(request, signal))
      yield chunk.final ? { ...chunk, route: this.id } : chunk
  }
}
