/**
 * What a pipeline is: the way one kind of model is driven. It runs in steps, at most one long native call each: between
 * steps the engine reads its pipe, cancels, and lets more urgent work go first. State of a request lives in its steps, so
 * that several requests can be under way on one model.
 */
import type { Clock } from '../../../base/clock.ts'
import type { EngineModel, TensorSpec } from '../../../wire/engine-protocol.ts'
import { InferError, type Tensor } from '../../../wire/infer.ts'
import { type Meter, Session } from '../session.ts'

/** Each yield ends a step, with outputs to stream or none; the return value is the final answer. */
export type Steps = AsyncGenerator<readonly Tensor[] | undefined, readonly Tensor[], undefined>

export interface Pipeline {
  /** What the graph itself takes and gives, where the pipeline hands tensors through. */
  readonly signature?: ModelSignature
  /**
   * Inputs are unchecked, and read no more after the last step. Outputs are never written to again: they may still wait to
   * be sent. Steps throw InferError `bad-input` or `run`.
   */
  run(inputs: readonly unknown[], meter: Meter): Steps
  /**
   * Runs several requests as one, where the model's `batch` allows. Their inputs are unchecked, but agree in names,
   * datatypes and all axes but the first (`batch.ts`). Gives each its outputs, in their order, or the mistake in its own
   * inputs. Throws when the run itself fails; then each is run alone. `load` refuses a model whose graph cannot.
   */
  runTogether?(requests: readonly (readonly unknown[])[], meter: Meter): Promise<readonly Together[]>
  release(): Promise<void>
}

/** Of one request among several: its outputs, or why it was not run. */
export type Together = readonly Tensor[] | InferError

export interface ModelSignature {
  readonly inputs: readonly TensorSpec[]
  readonly outputs: readonly TensorSpec[]
}

export interface PipelineKind {
  readonly name: string
  /** Files that it needs, by role. */
  readonly roles: readonly string[]
  /** Throws InferError `model-load`. */
  load(source: ModelSource): Promise<Pipeline>
}

/** Where a pipeline gets its sessions and options from. */
export interface ModelSource {
  readonly model: EngineModel
  /** Opens the file of a role. What was opened is released again when the load fails. */
  open(role: string): Promise<Session>
}

/** Runs `kind.load` so that a failure half way leaves no session behind. */
export async function loadPipeline(
  clock: Clock,
  kind: PipelineKind,
  model: EngineModel,
  threads: number,
): Promise<Pipeline> {
  const opened: Session[] = []
  const open = async (role: string) => {
    const path = model.files[role]
    if (path === undefined)
      throw new InferError(
        'model-load',
        `model ${model.name} names no file for ${role}; pipeline ${kind.name} needs ${kind.roles.join(', ')}`,
      )
    const session = await Session.open(clock, path, {
      intraOpThreads: numberOption(model, 'intraOpThreads', threads, { min: 1, max: 64 }),
    })
    opened.push(session)
    return session
  }
  try {
    const pipeline = await kind.load({ model, open })
    if (!model.batch || pipeline.runTogether) return pipeline
    throw new InferError('model-load', `model ${model.name}: pipeline ${kind.name} runs no batches`)
  } catch (error) {
    for (const session of opened) await session.release()
    throw error
  }
}

/** A number from the model's options. Throws InferError `model-load` when it is no number within bounds. */
export function numberOption(
  model: EngineModel,
  name: string,
  fallback: number,
  bounds: { readonly min: number; readonly max: number },
): number {
  const value = model.options?.[name] ?? fallback
  if (typeof value === 'number' && value >= bounds.min && value <= bounds.max) return value
  throw new InferError(
    'model-load',
    `model ${model.name}: option ${name} is ${JSON.stringify(value)}; expected a number from ${bounds.min} to ${bounds.max}`,
  )
}

/** True where the model's options say `allowNaN`: it knows what to do with what is no number. */
export function allowsNaN(model: EngineModel): boolean {
  const value = model.options?.['allowNaN'] ?? false
  if (typeof value === 'boolean') return value
  throw new InferError(
    'model-load',
    `model ${model.name}: option allowNaN is ${JSON.stringify(value)}; expected true or false`,
  )
}
