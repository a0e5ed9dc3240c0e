/**
 * What listeners know of inference at the gateway, whether they speak MQTT, the Open Inference Protocol or OpenAI's: one
 * request in, a stream of chunks out, whichever backend answers. Admission, retries, circuits and the cache are behind it.
 */
import type { InferChunk, InferRequest, Privacy } from '../../runtime/wire/infer.ts'
import type { ServedModel } from './backends/backend.ts'

export interface ServingRequest extends Omit<InferRequest, 'id'> {
  /** Who asks: a device's id, `http` for those who come over HTTP. Shares are per caller. */
  readonly caller: string
}

/** Load of one model, for the advert. */
export interface ModelLoad {
  readonly model: string
  readonly queued: number
  readonly running: number
  /** Expected wait of a request that comes now, milliseconds. */
  readonly queueMs: number
  /** Time in the model, milliseconds, of the last minutes; absent before the first answer. */
  readonly p50Ms?: number
  readonly p95Ms?: number
  readonly loaded: boolean
  /** What loading it first is expected to take, milliseconds. */
  readonly loadMs?: number
  /** The nearest place where it runs: `cloud` when no backend on this site has it. Absent: `site`. */
  readonly reach?: Exclude<Privacy, 'device'>
  /** Of one request, in the currency of the configuration. Absent: nobody pays by the request. */
  readonly price?: number
}

export interface Serving {
  models(): readonly ServedModel[]
  /** Throws InferError; `overloaded` carries `retryAfterMs`. Aborting the signal cancels. */
  infer(request: ServingRequest, signal: AbortSignal): AsyncIterable<InferChunk>
  load(): readonly ModelLoad[]
}
