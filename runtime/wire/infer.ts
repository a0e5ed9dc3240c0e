/**
 * The one inference envelope, shaped as the Open Inference Protocol v2
 * (https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md) so that
 * translation is one to one. The same over a pipe to the local engine, over MQTT or HTTP to a gateway.
 */
import { CodedError } from '../base/errors.ts'

/** OIP v2 tensor datatypes and the typed array that carries each. BYTES carries strings. */
export interface TensorArrays {
  BOOL: Uint8Array
  UINT8: Uint8Array
  INT8: Int8Array
  INT16: Int16Array
  INT32: Int32Array
  INT64: BigInt64Array
  FP32: Float32Array
  FP64: Float64Array
  BYTES: string[]
}
export type Datatype = keyof TensorArrays

/** A named tensor, row-major. `data.length` equals the product of `shape`. */
export type Tensor = {
  [D in Datatype]: {
    readonly name: string
    readonly datatype: D
    readonly shape: readonly number[]
    readonly data: TensorArrays[D]
  }
}[Datatype]

export type Priority = 'control' | 'interactive' | 'background'
/** How far the inputs may travel. */
export type Privacy = 'device' | 'site' | 'cloud'

export interface InferRequest {
  readonly id: string
  readonly model: string
  readonly priority: Priority
  /** Time left when sent, milliseconds: a relative limit, so no two clocks need to agree. */
  readonly deadlineMs: number
  readonly privacy: Privacy
  readonly inputs: readonly Tensor[]
  readonly parameters?: Readonly<Record<string, string | number | boolean>>
}

/** One piece of an answer. A plain model gives one, `final`; a pipeline streams several, the last one `final`. */
export interface InferChunk {
  readonly id: string
  readonly final: boolean
  readonly outputs: readonly Tensor[]
  /** Time spent in the models themselves, milliseconds; on the final chunk. */
  readonly modelMs?: number
}

export type InferErrorCode =
  | 'model-unknown'
  | 'model-load'
  | 'bad-input'
  | 'deadline'
  | 'cancelled'
  | 'engine-lost'
  | 'engine-stopped'
  | 'overloaded'
  | 'run'

export class InferError extends CodedError<InferErrorCode> {
  override readonly name = 'InferError'
}

export interface InferFailure {
  readonly id: string
  readonly final: true
  readonly error: { readonly code: InferErrorCode; readonly message: string }
}

export type InferResponse = InferChunk | InferFailure
