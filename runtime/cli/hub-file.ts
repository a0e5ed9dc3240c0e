/**
 * The running hub, as small files in the state directory: one says how `say`, `hear`, `entities` and `watch` find it, the
 * other is locked by it, so that there is one at a time.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import { CodedError, messageOf, UsageError } from '../base/errors.ts'
import { tryFileLock } from '../base/file-lock.ts'
import { openStateDir } from '../base/state-dir.ts'

const hubSchema = v.object({
  pid: v.number(),
  /** When the process started, in the kernel's words: a process id alone is given again. */
  started: v.optional(v.string()),
  http: v.string(),
  mqtt: v.string(),
  device: v.optional(v.string()),
})
type HubFile = v.InferOutput<typeof hubSchema>
export type Hub = Omit<HubFile, 'started'>

const nameOf = (dir: string) => join(dir, 'hub.json')

export class HubRunningError extends CodedError<'already-running'> {
  override readonly name = 'HubRunningError'
}

/** Makes this process the only hub of the directory, until disposed. Throws HubRunningError and UsageError. */
export function lockHub(dir: string): Disposable {
  openStateDir(dir)
  const lock = lockOf(dir)
  if (lock) return lock
  const other = readHub(dir)
  throw new HubRunningError(
    'already-running',
    `a hub is already running here (${other ? `process ${other.pid}, ${other.http}` : dir}): stop it, or use another --state-dir`,
  )
}

function lockOf(dir: string): Disposable | undefined {
  const file = join(dir, 'hub.lock')
  try {
    return tryFileLock(file)
  } catch (error) {
    throw new UsageError(`cannot lock ${file} (${messageOf(error)}): delete it, or use another --state-dir`, {
      cause: error,
    })
  }
}

/** Says how this process's hub is reached, until disposed. */
export function announceHub(dir: string, hub: Omit<Hub, 'pid'>): Disposable {
  const file = nameOf(dir)
  const content: HubFile = { pid: process.pid, started: startOf(process.pid), ...hub }
  writeFileSync(`${file}.new`, `${JSON.stringify(content)}\n`, { mode: 0o600 })
  renameSync(`${file}.new`, file)
  return { [Symbol.dispose]: () => rmSync(file, { force: true }) }
}

/** The hub whose process is alive, if there is one. */
export function readHub(dir: string): Hub | undefined {
  try {
    const { started, ...hub } = v.parse(hubSchema, JSON.parse(readFileSync(nameOf(dir), 'utf8')))
    return isAlive(hub.pid) && started === startOf(hub.pid) ? hub : undefined
  } catch {
    // No file or half of one: no hub.
    return undefined
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // Another user's process is one too.
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Field 22 of /proc/PID/stat (proc_pid_stat(5)); undefined where there is no /proc. */
function startOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The name of the program, field 2, is in brackets and may hold anything; what follows begins with field 3.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[22 - 3]
  } catch {
    return undefined
  }
}

/** HTTP address of the hub to talk to. Throws UsageError that says how to get one. */
export function hubUrl(url: string | undefined, dir: string): string {
  if (url !== undefined) {
    if (!URL.canParse(url)) throw new UsageError(`--url ${url}: not a URL, for example http://127.0.0.1:8080`)
    return url
  }
  const hub = readHub(dir)
  if (hub) return hub.http
  throw new UsageError(
    `no hub is running with the state directory ${dir}: start one with "ganglion up", or name one with --url`,
  )
}
