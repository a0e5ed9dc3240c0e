/** What the gateways offer now, for the router to judge and for requests to be sent by: looks, and asks nobody. */
import { InferError, mayTravel } from '../../wire/infer.ts'
import { wireLimits } from '../../wire/limits.ts'
import type { RouteOffer, RouteRefusal } from '../router/route.ts'
import type { CreditQueue } from './credit-queue.ts'
import type { GatewayAddresses } from './gateway-addresses.ts'
import { type Asked, type Job, late, type OffloadReach, retryAfterMsDefault } from './job.ts'
import { type Candidate, loadMsOf, type WorkerTable } from './worker-table.ts'

/** Around the tensors: model, topic, ids, parameters. */
export const envelopeBytes = 1024
/** A larger request goes by ticket. */
export const inlineBytesMax = wireLimits.mqttPayloadBytesMax - envelopeBytes

export interface OffersDeps {
  readonly link: { readonly connected: boolean }
  readonly table: WorkerTable
  readonly queue: CreditQueue<Job>
  readonly addresses: GatewayAddresses
}

export class Offers {
  readonly #link: OffersDeps['link']
  readonly #table: WorkerTable
  readonly #queue: CreditQueue<Job>
  readonly #addresses: GatewayAddresses

  constructor(deps: OffersDeps) {
    this.#link = deps.link
    this.#table = deps.table
    this.#queue = deps.queue
    this.#addresses = deps.addresses
  }

  /** What the best worker offers for a model that runs there, or one line why none does. */
  offer(model: string, reach: OffloadReach): RouteOffer | RouteRefusal {
    const found = this.candidates(model, reach)
    const best = found.toSorted((a, b) => a.waitMs - b.waitMs)[0]
    if (!best) {
      const whyNot = this.whyNot(model, reach)
      return this.#isUnknown(model)
        ? { usable: false, whyNot, code: 'model-unknown' }
        : { usable: false, whyNot }
    }
    const { model: offered, worker } = best
    const ahead = (this.#queue.waiting.length * (offered.p50Ms ?? 1)) / found.length
    const link = this.#table.meter(worker)?.link
    const byTicket = found.some((one) => this.#addresses.of(one.worker) !== undefined)
    return {
      usable: true,
      queueMs: offered.queueMs + ahead + this.#table.busyMs(worker),
      loadMs: loadMsOf(offered),
      ...(offered.p95Ms !== undefined && { modelMs: offered.p95Ms }),
      price: offered.price,
      idempotent: offered.idempotent,
      ...(link && { link }),
      bytesMax: byTicket ? wireLimits.ticketBytesMax : inlineBytesMax,
    }
  }

  modelsFor(task: string, reach: OffloadReach): string[] {
    return this.#link.connected ? this.#table.modelsFor(task, reach) : []
  }

  /** Who could take it; throws where nobody can, whatever is waited for. */
  check({ model, privacy, deadlineMs }: Asked, bytes: number, reach: OffloadReach): Candidate[] {
    if (!mayTravel(privacy, reach))
      throw new InferError('refused', `inputs labelled ${privacy} may not go where ${model} runs`)
    if (!(deadlineMs > 0)) throw late({ model, deadlineMs })
    if (bytes > wireLimits.ticketBytesMax)
      throw new InferError(
        'bad-input',
        `the inputs of ${model} have ${bytes} bytes, more than the ${wireLimits.ticketBytesMax} that may go to a gateway`,
      )
    const found = this.candidates(model, reach)
    if (found.length === 0)
      throw new InferError('unavailable', this.whyNot(model, reach), { retryable: true })
    if (bytes > inlineBytesMax && !this.#addresses.configured)
      throw new InferError(
        'unavailable',
        `the inputs of ${model} have ${bytes} bytes, too many for MQTT, and no HTTP address of a gateway is configured`,
      )
    if (found.every(({ worker }) => bytes > this.#queue.credits(worker).bytes))
      throw new InferError('overloaded', `no gateway takes ${bytes} bytes from this device`, {
        retryable: true,
        retryAfterMs: retryAfterMsDefault,
      })
    return found
  }

  /** Workers that may be asked for the job now, best first. */
  able(job: Job): string[] {
    return this.#table.ranked(this.#reachable(job).filter(({ worker }) => this.#table.busyMs(worker) === 0))
  }

  /** Whether anybody is left who did not say no, and who could take it with credits. */
  somebodyElse(job: Job): boolean {
    return this.#reachable(job).length > 0
  }

  #reachable(job: Job): Candidate[] {
    const large = job.bytes > inlineBytesMax
    return this.candidates(job.request.model, job.reach).filter(
      ({ worker }) => !job.refusedBy.has(worker) && !(large && this.#addresses.of(worker) === undefined),
    )
  }

  candidates(model: string, reach: OffloadReach): Candidate[] {
    if (!this.#link.connected) return []
    return this.#table
      .candidates(model, (worker) => this.#queue.unanswered(worker).requests)
      .filter((candidate) => candidate.model.reach === reach)
  }

  /** Workers are there, and none of them has it. */
  #isUnknown(model: string): boolean {
    if (!this.#link.connected || this.#table.workers.length === 0) return false
    return this.candidates(model, 'site').length === 0 && this.candidates(model, 'cloud').length === 0
  }

  /** Why nobody can take a request that was admitted. */
  whyNobody({ request: { model }, reach, bytes }: Job): string {
    return bytes > inlineBytesMax && this.candidates(model, reach).length > 0
      ? `the inputs of ${model} are too large for MQTT, and no gateway that offers it answers at a configured HTTP address`
      : this.whyNot(model, reach)
  }

  whyNot(model: string, reach: OffloadReach): string {
    if (!this.#link.connected) return 'there is no connection to the broker'
    if (this.#table.workers.length === 0) return 'no gateway says that it is there'
    const elsewhere = this.candidates(model, reach === 'site' ? 'cloud' : 'site')
    if (elsewhere.length === 0) return `no gateway offers ${model}`
    return `the gateways run ${model} ${reach === 'site' ? 'in the cloud' : 'on this site'}`
  }
}
