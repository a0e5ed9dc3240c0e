/**
 * An accelerator runs models: the CPU in the engine process, or a vendor's chip behind an adapter process. Tensors are shaped
 * as in the Open Inference Protocol v2. A run that failed is an error, never zeros: what comes back was computed.
 */

/** OIP v2 datatypes and the array that carries each, row-major. FP16 travels as its bits, BYTES as text. */
export interface TensorArrays {
  BOOL: Uint8Array
  UINT8: Uint8Array
  UINT16: Uint16Array
  UINT32: Uint32Array
  UINT64: BigUint64Array
  INT8: Int8Array
  INT16: Int16Array
  INT32: Int32Array
  INT64: BigInt64Array
  FP16: Uint16Array
  FP32: Float32Array
  FP64: Float64Array
  BYTES: string[]
}
export type TensorDatatype = keyof TensorArrays

/** `data.length` equals the product of `shape`. */
export type AcceleratorTensor = {
  [D in TensorDatatype]: {
    readonly name: string
    readonly datatype: D
    readonly shape: readonly number[]
    readonly data: TensorArrays[D]
  }
}[TensorDatatype]

/** A tensor's place in a model; a text, or -1 on the wire, is a dimension of any length. */
export interface TensorPlace {
  readonly name: string
  readonly datatype: TensorDatatype
  readonly shape: readonly (number | string)[]
}

export interface AcceleratorModel {
  readonly name: string
  /** Absolute path of the same model in each format that there is: `{ onnx: …, hef: … }`. */
  readonly files: Readonly<Record<string, string>>
}

/** One adapter as a person configures it. */
export interface AcceleratorConfig {
  /** Name of the adapter, as boards name it: `hailo`. */
  readonly adapter: string
  /** Program and arguments; the path of its socket is added as the last one. */
  readonly command: readonly string[]
  /** Cap on the memory of its process, megabytes. */
  readonly memoryMbMax?: number | undefined
}

export interface LoadedModel {
  readonly name: string
  readonly inputs: readonly TensorPlace[]
  readonly outputs: readonly TensorPlace[]
}

export interface AcceleratorCapabilities {
  /** What computes: `cpu`, `hailo8`. */
  readonly device: string
  /** Formats of model files that it takes: `onnx`, `hef`, `rknn`, `engine`. */
  readonly formats: readonly string[]
  /** Precisions that it computes in. */
  readonly precisions: readonly string[]
  /** Memory for models, megabytes; absent where there is no limit of its own. */
  readonly memoryMb?: number
}

export interface AcceleratorHealth {
  /** `starting`: not ready yet; `restarting`: lost, waits before the next start; `failed`: given up for a while. */
  readonly state: 'ok' | 'starting' | 'restarting' | 'failed' | 'closed'
  /** One line, unless it is well. */
  readonly reason?: string
  readonly restarts: number
  /** Models that are loaded. */
  readonly models: readonly string[]
  /** Cap on the memory of its process, or why there is none; absent where it has no process of its own. */
  readonly memoryCap?: { readonly mb: number } | { readonly whyNot: string }
  /** Another accelerator does its work: which, why, and how many runs so far. */
  readonly fallback?: { readonly to: string; readonly reason: string; readonly runs: number }
}

/** The codes of the inference envelope (`runtime/wire/infer.ts`), so that one set reaches the caller. */
export type AcceleratorErrorCode =
  | 'model-unknown'
  | 'model-load'
  | 'bad-input'
  | 'deadline'
  | 'cancelled'
  | 'engine-lost'
  | 'engine-stopped'
  | 'overloaded'
  | 'run'

/** What every method throws. `message` is one line; for `bad-input` it names the input and what was expected. */
export interface AcceleratorFailure extends Error {
  readonly code: AcceleratorErrorCode
  /** True where trying the same again can help. */
  readonly retryable: boolean
}

export interface Accelerator extends AsyncDisposable {
  readonly id: string
  readonly name: string
  /** Whether it can be used now; starts what has to run for that. */
  probe(
    signal: AbortSignal,
  ): Promise<{ readonly usable: true } | { readonly usable: false; readonly whyNot: string }>
  capabilities(signal: AbortSignal): Promise<AcceleratorCapabilities>
  /** Loads a model, or replaces the one of the same name. Throws `model-load`. */
  load(model: AcceleratorModel, signal: AbortSignal): Promise<LoadedModel>
  /**
   * Runs a loaded model once; runs may overlap. Throws `model-unknown`, `bad-input`, `deadline`, `cancelled`, `engine-lost`,
   * `overloaded`, `run`.
   */
  run(
    model: string,
    inputs: readonly AcceleratorTensor[],
    options: { readonly deadlineMs: number },
    signal: AbortSignal,
  ): Promise<readonly AcceleratorTensor[]>
  /** Frees the model; one that is not loaded is left so. */
  unload(model: string, signal: AbortSignal): Promise<void>
  health(): Promise<AcceleratorHealth>
  /** Watts; absent where the hardware has no such lever. */
  setPowerLimit?(watts: number, signal: AbortSignal): Promise<void>
}
