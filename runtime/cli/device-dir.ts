/**
 * Where the device of this machine keeps its state: where its configuration says, else in a folder of the hub's directory
 * under `up`, and in that directory itself under `ganglion device`.
 */
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { readConfigSection } from '../base/config-file.ts'
import type { Context } from './context.ts'

type Place = Pick<Context, 'stateDir' | 'hubDir'>

/** Under `up`. Undefined: where its configuration says. An option wins over the file. */
export function deviceDir(section: Readonly<Record<string, unknown>>, place: Place): string | undefined {
  return place.stateDir === undefined && section['stateDir'] !== undefined
    ? undefined
    : join(place.hubDir, 'device')
}

/**
 * For commands that look at a device from outside, however it was started: where both ways were used, the device that
 * started last; where none was, where `up` will have it. Throws UsageError.
 */
export function deviceStateDir(config: string | undefined, place: Place): string {
  const section = config === undefined ? {} : readConfigSection(config, 'device')
  const underUp = deviceDir(section, place)
  if (underUp === undefined) return resolve(String(section['stateDir']))
  return startedMs(place.hubDir) > startedMs(underUp) ? place.hubDir : underUp
}

/** The same, and those of the other devices that `up --devices` has had there. */
export function deviceStateDirs(place: Place): readonly string[] {
  const { hubDir } = place
  const names = existsSync(hubDir) ? readdirSync(hubDir) : []
  const others = names.filter((name) => /^device-\d+$/.test(name)).map((name) => join(hubDir, name))
  return [deviceStateDir(undefined, place), ...others]
}

/** When a device opened its outbox there last, about; 0: never. */
function startedMs(dir: string): number {
  return statSync(join(dir, 'outbox'), { throwIfNoEntry: false })?.mtimeMs ?? 0
}
