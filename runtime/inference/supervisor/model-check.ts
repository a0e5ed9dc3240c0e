/**
 * Looks at a model by loading it, in an engine process of its own that ends afterwards: whatever the file does, it does it
 * there. What it takes and gives, how much memory it needs, how long loading takes.
 */
import type { Clock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import type { EngineModel } from '../../wire/engine-protocol.ts'
import { EngineSupervisor } from './engine-supervisor.ts'
import type { ModelSignature } from './engines.ts'
import type { EngineSupervisorOptions } from './supervisor-options.ts'

export interface CheckedModel extends ModelSignature {
  /** Growth of the process's resident memory, megabytes, 1 at least. */
  readonly memoryMb: number
  readonly loadMs: number
}

/** A slow card and a large graph; a file that takes longer is not one for this board. */
const checkMsMax = 120_000

/** Throws InferError `model-load` with the engine's reason. */
export async function checkModel(
  deps: { readonly clock: Clock; readonly log: Log },
  model: EngineModel,
  signal: AbortSignal,
  options: Pick<EngineSupervisorOptions, 'entry' | 'execArgv'> = {},
): Promise<CheckedModel> {
  const { pin: _, memoryMb: __, ...plain } = model
  const each = { ...options, models: [plain], loadDeadlineMs: checkMsMax, restart: { firstMs: 1, maxMs: 1 } }
  await using engine = await EngineSupervisor.open(deps, { ...each, start: 'eager' }, signal)
  const before = await engine.status()
  const startMs = deps.clock.monotonicMs()
  await engine.preload(model.name, signal)
  const loadMs = deps.clock.monotonicMs() - startMs
  const after = await engine.status()
  const figures = after.models[0]?.figures
  const grownMb = (after.rssMb ?? 0) - (before.rssMb ?? 0)
  const memoryMb = figures?.measured ? figures.memoryMb : grownMb
  const signature = engine.signatureOf(model.name) ?? {
    inputs: model.inputs ?? [],
    outputs: model.outputs ?? [],
  }
  return { ...signature, memoryMb: Math.max(1, Math.ceil(memoryMb)), loadMs }
}
