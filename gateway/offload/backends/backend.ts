/** What a backend is: somewhere the gateway can have a model run. One file each, and a line in `index.ts`. */
import type { TensorSpec } from '../../../runtime/wire/engine-protocol.ts'
import type { InferChunk, InferRequest, Privacy } from '../../../runtime/wire/infer.ts'

export interface ServedModel {
  readonly name: string
  readonly version: string
  /** What runs it, as the Open Inference Protocol names platforms: `onnxruntime_onnx`. */
  readonly platform?: string | undefined
  /** What it does for those who ask by task and not by tensor: `transcription`, `embeddings`, `chat`. */
  readonly task?: string | undefined
  readonly inputs: readonly TensorSpec[]
  readonly outputs: readonly TensorSpec[]
  /** The same inputs give the same outputs: a request may be tried again elsewhere. */
  readonly idempotent: boolean
  /** How long an answer may be kept for the same inputs, seconds; absent: not at all. */
  readonly cacheS?: number | undefined
  /** False: the first request has to load it. Absent: it is always ready. */
  readonly loaded?: boolean | undefined
  /** What loading it takes, milliseconds, as it took last; absent before the first time. */
  readonly loadMs?: number | undefined
  /** Of one request, in the currency that all prices of a site are in; absent: nobody pays by the request. */
  readonly price?: number | undefined
}

export interface BackendHealth {
  readonly state: 'ok' | 'starting' | 'away'
  /** One line, unless it is well. */
  readonly reason?: string
  readonly running: number
  readonly queued: number
}

export interface Backend extends AsyncDisposable {
  /** As the configuration names it; `pool` for the gateway's own engines. */
  readonly id: string
  /** Where it computes: what is labelled stricter never goes there. */
  readonly reach: Exclude<Privacy, 'device'>
  /** Requests for one model that it takes at once; more wait at the gateway. */
  readonly concurrency: number
  /** How many of those really run side by side, for estimates: the workers of a pool. */
  readonly parallel: number
  /** What it offers now; empty while it cannot be reached. */
  models(): readonly ServedModel[]
  /** Offers it, or would if it could be reached: by its configuration, or because it did before. */
  knows(model: string): boolean
  /** Streams the answer; the last chunk is `final`. Throws InferError. Aborting cancels there too, where it can. */
  infer(request: InferRequest, signal: AbortSignal): AsyncIterable<InferChunk>
  health(): BackendHealth
}
