/**
 * Who gives a command, for the device to know: a name with a PIN, or, where nobody is named and the device is this machine's, whoever
 * may read its key; else a name that nothing proves.
 */
import { accessSync, constants } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { realClock } from '../base/clock.ts'
import { Identity } from '../base/identity.ts'
import { localBytes, type PersonParams } from '../wire/person.ts'
import type { Context } from './context.ts'
import { deviceStateDir } from './device-dir.ts'
import { readHub } from './hub-file.ts'
import { readSecret } from './secret.ts'

export interface PersonOptions {
  readonly by?: string
  readonly pin?: boolean
}

/** From the environment or the terminal, and never from the command line, which every process can read. */
export const pinVariable = 'GANGLION_PIN'

/** `what`: of the request, as `signedParts` says. Throws UsageError where there is no terminal to ask at. */
export async function personFor(
  { by, pin }: PersonOptions,
  device: string,
  what: readonly string[],
  context: Context,
): Promise<PersonParams> {
  if (by === undefined) return ofThisUser(device, what, context)
  const known = process.env[pinVariable]
  if (known) return { by, pin: known }
  return pin ? { by, pin: await readSecret(`PIN of ${by}: `, pinVariable, context.signal) } : { by }
}

function ofThisUser(device: string, what: readonly string[], context: Context): PersonParams {
  const by = userInfo().username
  const dir = stateDirOf(device, context)
  if (dir === undefined || !isReadable(join(dir, 'identity.key'))) return { by }
  const atMs = realClock.nowMs()
  const bytes = localBytes(device, by, atMs, what)
  return { by, local: { atMs, sig: Identity.open(device, dir).sign(bytes).toString('base64') } }
}

/** A device that runs as another user keeps it to itself. */
function isReadable(file: string): boolean {
  try {
    accessSync(file, constants.R_OK)
    return true
  } catch {
    return false
  }
}

/** Where a device of the hub in this state directory keeps its key. */
function stateDirOf(device: string, context: Context): string | undefined {
  const first = readHub(context.hubDir)?.device
  // No hub: a device may run here by itself. Where it is another, its key proves nothing there.
  if (first === undefined || device === first) return deviceStateDir(undefined, context)
  const [, part] = /^-(\d+)$/.exec(device.startsWith(first) ? device.slice(first.length) : '') ?? []
  return part === undefined ? undefined : join(context.hubDir, `device-${part}`)
}
