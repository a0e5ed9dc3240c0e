/**
 * What an agent that comes would find missing: of what it may do, the things, models, language models and outside tools that this
 * device cannot reach.
 * It is asked before anything is carried, so that an agent is not moved to where it can only fail.
 *
 * [move-8] And what of it this device does not let agents of the other one do: who may not command a thing from afar does not come here
 * to command it either.
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
  /** Names of the servers of outside tools that this device knows. */
  readonly tools: readonly string[]
  /** Whether some language model can be reached. */
  readonly thinks: () => boolean
  /** Why agents of another device may not command one of this device's things, in a line. */
  readonly refuses: (from: string, entity: string) => string | undefined
}

/** One line; undefined where nothing is missing. `from`: whose agent it is. Throws PermissionError where the grants cannot be read. */
export function lacks(here: Here, grants: string, from: string): string | undefined {
  for (const { capability } of parseGrants(grants)) {
    const { kind, pattern } = capability
    const refused = kind === 'command' ? refusal(here, pattern, from) : undefined
    if (refused !== undefined) return refused
    if ((kind === 'read' || kind === 'command') && !reaches(here, pattern))
      return `it has nothing called ${pattern}, which the agent may ${kind}`
    if (kind === 'infer' && !infers(here, pattern)) return `it cannot run the model ${pattern}`
    if (kind === 'mcp' && !here.tools.some((server) => overlaps(pattern.split('/')[0] ?? '', server)))
      return `it knows no outside tools called ${pattern} (device.agents.mcp)`
    if (kind === 'think' && !here.thinks()) return 'it reaches no language model'
  }
  return undefined
}

function refusal({ device, entities, refuses }: Here, pattern: string, from: string): string | undefined {
  const [things = '', of = device] = pattern.split('@')
  if (!overlaps(of, device)) return undefined
  for (const id of entities()) {
    const refused = overlaps(things, id) ? refuses(from, id) : undefined
    if (refused !== undefined) return refused
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
