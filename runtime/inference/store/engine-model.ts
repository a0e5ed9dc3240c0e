/** What a manifest means to the engine: the same for models that Ganglion knows and models that a person added. */
import type { EngineModel, TensorSpec } from '../../wire/engine-protocol.ts'
import type { ModelManifest } from './manifest.ts'

export type EngineFacts = Pick<
  ModelManifest,
  'name' | 'pipeline' | 'steps' | 'options' | 'batch' | 'memoryMb' | 'inputs' | 'outputs'
> & { readonly pin?: boolean | undefined }

/** `files`: absolute path of each role's file. */
export function engineModelOf(facts: EngineFacts, files: Readonly<Record<string, string>>): EngineModel {
  const { name, pipeline, steps, options, batch, memoryMb, pin } = facts
  return {
    name,
    pipeline,
    files: { ...files },
    memoryMb,
    // Of steps only the manifest knows; a graph says itself what it takes, and is believed.
    ...(pipeline === 'steps' ? { inputs: facts.inputs.map(specOf), outputs: facts.outputs.map(specOf) } : {}),
    ...(steps === undefined ? {} : { steps: steps.map((step) => ({ ...step })) }),
    ...(options === undefined ? {} : { options: { ...options } }),
    ...(batch === undefined ? {} : { batch: { ...batch } }),
    ...(pin ? { pin } : {}),
  }
}

/** A dimension of any length is -1 in a manifest and a name in the engine. */
export function specOf({ name, datatype, shape }: ModelManifest['inputs'][number]): TensorSpec {
  return { name, datatype, shape: shape.map((length, axis) => (length < 0 ? `any${axis}` : length)) }
}
