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

/** The most urgent first. */
export const priorities = ['control', 'interactive', 'background'] as const
export type Priority = (typeof priorities)[number]
/** How far a value may travel. Strictest first: `device` never leaves it, `site` stays in the home, `cloud` may go anywhere. */
export const privacies = ['device', 'site', 'cloud'] as const
export type Privacy = (typeof privacies)[number]

/** The strictest of some labels: what is made of several values travels no further than the most private of them. */
export function strictest(first: Privacy, ...others: readonly Privacy[]): Privacy {
  return others.reduce((a, b) => (privacies.indexOf(b) < privacies.indexOf(a) ? b : a), first)
}

/** True when something labelled `label` may go to a place as far away as `reach`. */
export function mayTravel(label: Privacy, reach: Privacy): boolean {
  return privacies.indexOf(label) >= privacies.indexOf(reach)
}

export interface InferRequest {
  readonly id: string
  readonly model: string
  readonly priority: Priority
  /** Time left when sent, milliseconds: a relative limit, so no two clocks need to agree. */
  readonly deadlineMs: number
  readonly privacy: Privacy
  /** Not to be written to before the answer is there: they are sent, and sent again, as they are. */
  readonly inputs: readonly Tensor[]
  readonly parameters?: Readonly<Record<string, string | number | boolean>>
}

/** What a gateway itself decided for a request, for `ganglion why`. Names and numbers, nothing of what was in it. */
export interface ServedBy {
  /** Id of the backend that answered; of an answer that was kept, the one that gave it then. */
  backend: string
  /** Tries before that, which gave no answer: their backends, in order, and why. */
  failed: { backend: string; code: InferErrorCode }[]
  /** Kept from an earlier request with the same inputs: nothing ran. */
  cached: boolean
  /** Waited until the first try, and from there until the answer, milliseconds; both 0 where nothing ran. */
  queueMs: number
  runMs: number
}

/** One piece of an answer. A plain model gives one, `final`; a pipeline streams several, the last one `final`. */
export interface InferChunk {
  readonly id: string
  readonly final: boolean
  readonly outputs: readonly Tensor[]
  /** Time spent in the models themselves, milliseconds; on the final chunk. */
  readonly modelMs?: number
  /** Label of the outputs: that of the inputs, or stricter. Absent: that of the request. */
  readonly privacy?: Privacy
  /** Where it ran: id of a route, of a worker and its backend behind it (`gateway/pool`, `gateway/second/pool`); on the final chunk. */
  readonly route?: string
  /** Id of the router's decision, for `ganglion why`; on the final chunk. */
  readonly decision?: string
  /** It was computed elsewhere than on the device that asked; on each chunk. */
  readonly away?: true
  /** What the whole costs, in the money that prices of the site are in; on each chunk, where anybody asks for money. */
  readonly price?: number
  /** The answer was kept from an earlier request with the same inputs; on the final chunk. */
  readonly cached?: boolean
  /** What the gateway decided that gave the answer, where it says so; on the final chunk. */
  readonly served?: ServedBy
}

/**
 * Parameter of a chat whose body says `stream`: `true` where its caller also takes the whole at once, as `response`, from a server that
 * cannot stream.
 */
export const wholeToo = 'whole_too'

export type InferErrorCode =
  | 'model-unknown'
  | 'model-load'
  | 'bad-input'
  | 'deadline'
  | 'cancelled'
  | 'engine-lost'
  | 'engine-stopped'
  | 'overloaded'
  /** It does not fit into the memory that models may use here, whatever is unloaded. */
  | 'memory'
  /** Policy leaves no place where it may run: privacy, or what the user allows. */
  | 'refused'
  /** No place where it may run can be reached now. */
  | 'unavailable'
  | 'run'

export class InferError extends CodedError<InferErrorCode> {
  override readonly name = 'InferError'
  /** For `overloaded`: when trying again makes sense, milliseconds from now. */
  readonly retryAfterMs: number | undefined

  constructor(
    code: InferErrorCode,
    message: string,
    options: { readonly retryable?: boolean; readonly cause?: unknown; readonly retryAfterMs?: number } = {},
  ) {
    super(code, message, options)
    this.retryAfterMs = options.retryAfterMs
  }
}

export interface InferFailure {
  readonly id: string
  readonly final: true
  readonly error: {
    readonly code: InferErrorCode
    readonly message: string
    readonly retryAfterMs?: number | undefined
  }
}

export type InferResponse = InferChunk | InferFailure
