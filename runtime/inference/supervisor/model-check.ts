/**
 * Looks at a model by loading it, in an engine process of its own that ends afterwards: whatever the file does, it does it
 * there. What it takes and gives, how much memory it needs, how long loading takes.
 */
import type { Clock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import type { EngineModel } from '../../wire/engine-protocol.ts'
import { EngineSupervisor } from './engine-supervisor.ts'
import type { ModelSignature } from './engines.ts'
import { machineLimits } from './machine-limits.ts'
import type { EngineSupervisorOptions } from './supervisor-options.ts'

export interface CheckedModel extends ModelSignature {
  /** What the engine's own memory grew by, megabytes, 1 at least. */
  readonly memoryMb: number
  readonly loadMs: number
}

/** A slow card and a large graph; a file that takes longer is not one for this board. */
const checkMsMax = 120_000

/** Of the machine's memory: what the others on it leave, at the least. */
const memoryShare = 0.5

/** Throws InferError with the engine's reason: `model-load`, or `memory` where it takes more than half of this machine's. */
export async function checkModel(
  deps: { readonly clock: Clock; readonly log: Log },
  model: EngineModel,
  signal: AbortSignal,
  options: Pick<EngineSupervisorOptions, 'entry' | 'execArgv' | 'memoryMaxMb'> = {},
): Promise<CheckedModel> {
  const { pin: _, memoryMb: __, ...plain } = model
  const memoryMaxMb = (await machineLimits()).memoryMb * memoryShare
  const restart = { firstMs: 1, maxMs: 1 }
  const each = { memoryMaxMb, ...options, models: [plain], loadDeadlineMs: checkMsMax, restart }
  await using engine = await EngineSupervisor.open(deps, { ...each, start: 'eager' }, signal)
  const startMs = deps.clock.monotonicMs()
  await engine.preload(model.name, signal)
  const loadMs = deps.clock.monotonicMs() - startMs
  // As the engine measured it, and never less than the files.
  const memoryMb = engine.outlook(model.name)?.memoryMb ?? 0
  const signature = engine.signatureOf(model.name) ?? {
    inputs: model.inputs ?? [],
    outputs: model.outputs ?? [],
  }
  return { ...signature, memoryMb: Math.max(1, Math.ceil(memoryMb)), loadMs }
}
