/** Where the screenshots of a run go: into the folder that GANGLION_SCREENSHOTS names, else into a new one. */
import { mkdir, mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export async function picturesFolder(): Promise<string> {
  const wanted = process.env['GANGLION_SCREENSHOTS']
  if (wanted) await mkdir(wanted, { recursive: true })
  return wanted ?? (await mkdtemp(join(tmpdir(), 'ganglion-screenshots-')))
}
