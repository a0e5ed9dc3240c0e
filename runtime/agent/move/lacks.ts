/**
 * What an agent that comes would find missing: of what it may do, the things, models and language models that this device cannot reach.
 * It is asked before anything is carried, so that an agent is not moved to where it can only fail.
 */
import { parseGrants } from '../permissions/grant.ts'
import { overlaps } from '../permissions/pattern.ts'

export interface Here {
  readonly device: string
  /** Ids of this device's things. */
  readonly entities: () => readonly string[]
  /** Whether some route of this device runs a model of that name now. */
  readonly runs: (model: string) => boolean
  /** Names of the models that this device serves itself. */
  readonly models: () => readonly string[]
  /** Whether some language model can be reached. */
  readonly thinks: () => boolean
}

/** One line; undefined where nothing is missing. Throws PermissionError where the grants cannot be read. */
export function lacks(here: Here, grants: string): string | undefined {
  for (const { capability } of parseGrants(grants)) {
    const { kind, pattern } = capability
    if ((kind === 'read' || kind === 'command') && !reaches(here, pattern))
      return `it has nothing called ${pattern}, which the agent may ${kind}`
    if (kind === 'infer' && !infers(here, pattern)) return `it cannot run the model ${pattern}`
    if (kind === 'think' && !here.thinks()) return 'it reaches no language model'
  }
  return undefined
}

/** Things of other devices are reached from everywhere. */
function reaches({ device, entities }: Here, pattern: string): boolean {
  const [things = '', of] = pattern.split('@')
  if (of !== undefined && of !== device) return true
  return entities().some((id) => overlaps(things, id))
}

function infers({ models, runs }: Here, pattern: string): boolean {
  if (!pattern.includes('*')) return runs(pattern)
  return models().some((name) => overlaps(pattern, name))
}
