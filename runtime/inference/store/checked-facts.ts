/**
 * What was found out by loading a model, kept by what its files are, so that it is loaded for that once and not at each start.
 * A fact that cannot be read is found out again.
 */
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as v from 'valibot'
import { tensorSpec } from '../../wire/engine-protocol.ts'
import type { AddedManifest } from './added-manifest.ts'

const facts = v.object({
  inputs: v.array(tensorSpec),
  outputs: v.array(tensorSpec),
  memoryMb: v.pipe(v.number(), v.minValue(1)),
  loadMs: v.number(),
})
export type CheckedFacts = v.InferOutput<typeof facts>

/** A kilobyte each; beyond this many all are found out again. */
const factsMax = 256

/** Id of what is loaded: files by digest, and how. */
export function contentId(manifest: AddedManifest, digests: Readonly<Record<string, string>>): string {
  const { pipeline, steps, options, inputs = [], outputs = [] } = manifest
  // Graphs say themselves what they take; of steps only the manifest knows.
  const places = pipeline === 'steps' ? [...inputs, null, ...outputs] : []
  const declared = places.map((one) => one && [one.name, one.datatype, one.shape])
  const what = JSON.stringify([digests, pipeline, steps, options, declared])
  return createHash('sha256').update(what).digest('hex')
}

export async function readFacts(dir: string, id: string): Promise<CheckedFacts | undefined> {
  try {
    const parsed = v.safeParse(facts, JSON.parse(await readFile(join(dir, `${id}.json`), 'utf8')))
    return parsed.success ? parsed.output : undefined
  } catch {
    return undefined
  }
}

/** Where they cannot be kept they are found out again. Never throws. */
export async function keepFacts(dir: string, id: string, found: CheckedFacts): Promise<void> {
  const temporary = join(dir, `.${id}.${process.pid}`)
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 })
    if ((await readdir(dir)).length >= factsMax) {
      await rm(dir, { recursive: true, force: true })
      await mkdir(dir, { mode: 0o700 })
    }
    await writeFile(temporary, JSON.stringify(found))
    await rename(temporary, join(dir, `${id}.json`))
  } catch {
    await rm(temporary, { force: true }).catch(() => {})
  }
}
