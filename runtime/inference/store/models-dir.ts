/** Where models live unless the configuration says otherwise: one cache for all runs and processes of a user. */
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'

/** `GANGLION_MODELS_DIR`, else `$XDG_CACHE_HOME/ganglion/models`, else `~/.cache/ganglion/models`. */
export function defaultModelsDir(env: Readonly<Record<string, string | undefined>> = process.env): string {
  if (env['GANGLION_MODELS_DIR']) return resolve(env['GANGLION_MODELS_DIR'])
  return join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'ganglion', 'models')
}

/** Below it: models that people added. */
export const addedFolder = 'added'
/** Below it: what was found out about them. */
export const factsFolder = 'checked'
