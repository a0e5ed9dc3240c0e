/** The gateways as routes of the router: one for models that run on this site, one for those that run in the cloud only. */
import type { InferChunk, InferRequest } from '../../wire/infer.ts'
import { radioWatts } from '../energy.ts'
import type { Route, RouteOffer, RouteRefusal } from '../router/route.ts'
import type { OffloadReach } from './job.ts'
import type { OffloadClient } from './offload-client.ts'

class OffloadRoute implements Route {
  readonly id: string
  readonly reach: OffloadReach
  readonly #client: OffloadClient

  constructor(id: string, reach: OffloadReach, client: OffloadClient) {
    this.id = id
    this.reach = reach
    this.#client = client
  }

  offer(model: string): RouteOffer | RouteRefusal {
    const offer = this.#client.offer(model, this.reach)
    return offer.usable ? { ...offer, transferWatts: radioWatts } : offer
  }

  modelsFor(task: string): readonly string[] {
    return this.#client.modelsFor(task, this.reach)
  }

  infer(request: Omit<InferRequest, 'id'>, signal: AbortSignal): AsyncIterable<InferChunk> {
    return this.#client.infer(request, signal, this.reach)
  }
}

/** Which worker takes a request is the client's to choose: it alone sees credits, and moves what a worker lost. */
export function offloadRoutes(client: OffloadClient): readonly Route[] {
  return [new OffloadRoute('gateway', 'site', client), new OffloadRoute('gateway-cloud', 'cloud', client)]
}
