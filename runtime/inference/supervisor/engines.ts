/** What the rest of the runtime and the gateway know of engines, whether one process or several. */
import type { EngineMemory, EngineModel, EngineModelStatus, TensorSpec } from '../../wire/engine-protocol.ts'
import type { Inference } from '../inference.ts'

/** What a loaded model takes and gives. */
export interface ModelSignature {
  readonly inputs: readonly TensorSpec[]
  readonly outputs: readonly TensorSpec[]
}

export type EngineState = 'idle' | 'starting' | 'running' | 'restarting' | 'stopped'

export interface EngineProcess {
  /** `idle`: not started yet; `restarting`: waits before the next start. */
  readonly state: EngineState
  readonly pid: number | undefined
  /** Times that it was started again, replacements included. */
  readonly restarts: number
  /** Times that it was replaced because its memory had crept past its limit. */
  readonly replaced: number
  readonly inFlight: number
  /** Resident memory as the engine last said, megabytes; undefined when it did not answer. */
  readonly rssMb: number | undefined
}

/** Of several processes: the best state, the first pid, and sums. */
export interface EngineStatus extends EngineProcess {
  readonly models: readonly EngineModelStatus[]
  /** Of models, as the engine last said. */
  readonly memory: EngineMemory | undefined
  readonly processes: readonly EngineProcess[]
}

/** One model as it stands now, told from what is known already: nobody is asked. */
export interface ModelOutlook {
  readonly state: EngineModelStatus['state']
  readonly reason?: string
  /** Its requests that were taken and are not answered. */
  readonly queued: number
  /** Expected wait of one more request before it runs, milliseconds. */
  readonly queueMs: number
  /** What loading it takes, milliseconds: as it took last; absent before the first time. */
  readonly loadMs?: number
  /** Time in the model over the last requests, milliseconds; absent before the first answer. */
  readonly modelMs?: { readonly samples: number; readonly p50: number; readonly p95: number }
  /** Memory that it is counted with, megabytes. */
  readonly memoryMb?: number
}

/** Engine processes that run models: `EngineSupervisor` is one, `EnginePool` several behind one face. */
export interface Engines extends Inference, AsyncDisposable {
  /** Models that may run. */
  readonly models: readonly EngineModel[]
  /** Replaces the list of models. What is the same as before stays loaded. */
  setModels(models: readonly EngineModel[]): void
  /** What a model takes and gives: known once it was loaded, of pipelines that hand tensors through. */
  signatureOf(name: string): ModelSignature | undefined
  /** Loads a model now. Throws InferError `model-unknown`, `model-load`, `memory`, `engine-stopped`, `cancelled`. */
  preload(name: string, signal?: AbortSignal): Promise<void>
  /** Frees a model's memory until it is next used. */
  unload(name: string): void
  /** What all loaded models may take together, megabytes; undefined: no limit. */
  setBudget(budgetMb: number | undefined): void
  /** Undefined for a model that is not in the list. */
  outlook(name: string): ModelOutlook | undefined
  status(): Promise<EngineStatus>
}
