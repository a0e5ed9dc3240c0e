/** The running hub, as a small file in the state directory: how `say`, `hear`, `entities` and `watch` find it. */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import { UsageError } from '../base/errors.ts'

const hubSchema = v.object({
  pid: v.number(),
  http: v.string(),
  mqtt: v.string(),
  device: v.optional(v.string()),
})
export type Hub = v.InferOutput<typeof hubSchema>

const nameOf = (stateDir: string) => join(stateDir, 'hub.json')

export function writeHub(stateDir: string, hub: Hub): void {
  const file = nameOf(stateDir)
  writeFileSync(`${file}.new`, `${JSON.stringify(hub)}\n`, { mode: 0o600 })
  renameSync(`${file}.new`, file)
}

/** Removes the file if it is still ours. */
export function removeHub(stateDir: string, pid: number): void {
  if (readHub(stateDir)?.pid === pid) rmSync(nameOf(stateDir), { force: true })
}

/** The hub whose process is alive, if there is one. */
export function readHub(stateDir: string): Hub | undefined {
  let text: string
  try {
    text = readFileSync(nameOf(stateDir), 'utf8')
  } catch {
    return undefined
  }
  try {
    const hub = v.parse(hubSchema, JSON.parse(text))
    process.kill(hub.pid, 0)
    return hub
  } catch {
    // Half a file or a dead process: the hub that wrote it is gone.
    return undefined
  }
}

/** HTTP address of the hub to talk to. Throws UsageError that says how to get one. */
export function hubUrl(options: { url?: string; stateDir: string }): string {
  if (options.url !== undefined) {
    if (!URL.canParse(options.url))
      throw new UsageError(`--url ${options.url}: not a URL, for example http://127.0.0.1:8650`)
    return options.url
  }
  const hub = readHub(options.stateDir)
  if (hub) return hub.http
  throw new UsageError(
    `no hub is running with the state directory ${options.stateDir}: start one with "ganglion up", or name one with --url`,
  )
}
