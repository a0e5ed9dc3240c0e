/**
 * A place where a model can run, as the router sees it: the engine on this device, an accelerator's adapter, a worker of the
 * gateway. Looking at a route costs nothing and asks nobody: it answers from what it knows.
 */
import type { InferChunk, InferErrorCode, InferRequest, Privacy } from '../../wire/infer.ts'

export interface Route {
  /** `engine`, `accelerator/hailo`, `gateway/<worker>`: shown by `ganglion why`. */
  readonly id: string
  /** How far a request travels that goes there. Values labelled stricter never take it. */
  readonly reach: Privacy
  /** What it offers for a model now, or one line why it does not. */
  offer(model: string): RouteOffer | RouteRefusal
  /** Names of the models that it offers now for a task (`chat`); absent: it knows of no tasks. */
  modelsFor?(task: string): readonly string[]
  /**
   * Streams the answer as `Inference.infer` does. Throws InferError. `streamed` nothing and a retryable error: the router may
   * go on with the next route.
   */
  infer(request: Omit<InferRequest, 'id'>, signal: AbortSignal): AsyncIterable<InferChunk>
}

export interface RouteOffer {
  readonly usable: true
  /** Expected wait before a request that comes now would run, milliseconds, as the route itself says. */
  readonly queueMs: number
  /** The model is not loaded there: what loading it first is expected to take, milliseconds. */
  readonly loadMs: number
  /** Time in the model that the route itself advertises (p95), where it does, milliseconds. */
  readonly modelMs?: number
  /** Price of one request, in the currency of the configuration; 0 where nobody pays by the request. */
  readonly price: number
  /** Joules of this device for one request, by the stated model; absent: not known. */
  readonly energyJ?: number
  /** Power of this device while a request and its answer are under way, watts: joules by the expected time of the way. */
  readonly transferWatts?: number
  /** The same inputs give the same outputs: it may be asked again, twice, or of two at once. */
  readonly idempotent: boolean
  /** The link to there, where the route measures it; absent: the router goes by the answers that came over it. */
  readonly link?: RouteLink
  /** Memory of this device that it would have to take first, megabytes; absent or 0: none. */
  readonly memoryMb?: number
  /** Largest request it takes, bytes of its tensors; absent: any that the envelope allows. */
  readonly bytesMax?: number
}

/** A link as it was measured lately: quantiles, since one lost packet makes a mean mean nothing. */
export interface RouteLink {
  /** Median time of a small message there and back, milliseconds. */
  readonly rttMs: number
  /** The same, 95th percentile; absent: twice the median. */
  readonly rttP95Ms?: number
  /** Towards the route. */
  readonly bytesPerS: number
}

export interface RouteRefusal {
  readonly usable: false
  readonly whyNot: string
  /** What the caller is told when no other route takes it; absent: `unavailable`. */
  readonly code?: InferErrorCode
}
