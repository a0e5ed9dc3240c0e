/** The models of this machine in one list: those that Ganglion knows, here or not, and those that people added. */

import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '../base/errors.ts'
import { digestFiles, placeFiles, readAddedManifest } from '../inference/store/added-manifest.ts'
import { contentId, readFacts } from '../inference/store/checked-facts.ts'
import { specOf } from '../inference/store/engine-model.ts'
import { addedFolder, factsFolder } from '../inference/store/models-dir.ts'
import type { ModelStore } from '../inference/store/store.ts'
import type { TensorSpec } from '../wire/engine-protocol.ts'
import type { LiveModel, LiveModels } from './live-models.ts'

export interface ListedModel {
  readonly name: string
  readonly version: string
  readonly state: LiveModel['state']
  readonly reason?: string
  readonly description: string
  readonly licence: string
  /** `ganglion`, or the folder that a person put it into. */
  readonly from: string
  readonly present: boolean
  /** On disk; what is to be fetched, where it is absent. */
  readonly bytes: number
  readonly memoryMb?: number
  readonly memoryIs?: 'declared' | 'measured'
  readonly inputs?: readonly TensorSpec[]
  readonly outputs?: readonly TensorSpec[]
  readonly files: readonly {
    readonly role: string
    readonly path: string
    readonly sha256?: string | undefined
  }[]
  /** What the running device says of it. */
  readonly live?: LiveModel
}

/** `folders`: more folders of added models. */
export async function listModels(
  store: ModelStore,
  folders: readonly string[],
  live: LiveModels | undefined,
  signal: AbortSignal,
): Promise<ListedModel[]> {
  const liveOf = (name: string, from: string) =>
    live?.models.find((model) => model.name === name && (model.from ?? from) === from)
  const known = (await store.list()).map(({ manifest, present, bytes }): ListedModel => {
    const { name, version, description, licence, files, memoryMb } = manifest
    const one = liveOf(name, 'ganglion')
    return {
      ...{ name, version, description, licence, from: 'ganglion', present, bytes, files },
      state: one?.state ?? (present ? 'present' : 'absent'),
      ...(one?.reason === undefined ? {} : { reason: one.reason }),
      ...memoryOf(one, memoryMb, 'measured'),
      ...{ inputs: manifest.inputs.map(specOf), outputs: manifest.outputs.map(specOf) },
      ...(one && { live: one }),
    }
  })
  const added: ListedModel[] = []
  for (const root of [join(store.dir, addedFolder), ...folders])
    for (const name of (await readdir(root).catch(() => [])).sort())
      if (!name.startsWith('.')) {
        const folder = join(root, name)
        const listed = await ofFolder(folder, name, join(store.dir, factsFolder), signal)
        added.push(withLive(listed, liveOf(listed.name, folder)))
      }
  return [...known, ...added]
}

async function ofFolder(
  folder: string,
  name: string,
  factsDir: string,
  signal: AbortSignal,
): Promise<ListedModel> {
  const nothing = {
    version: '',
    description: '',
    licence: '',
    from: folder,
    present: false,
    bytes: 0,
    files: [],
  }
  try {
    const manifest = readAddedManifest(folder)
    const placed = await placeFiles(folder, manifest)
    const sha256 = await digestFiles(manifest, placed, signal)
    const facts = await readFacts(factsDir, contentId(manifest, sha256))
    const { version, description, licence } = manifest
    return {
      ...{
        name: manifest.name,
        version,
        description,
        licence,
        from: folder,
        present: true,
        state: 'present',
      },
      bytes: placed.reduce((sum, file) => sum + file.bytes, 0),
      files: placed.map(({ role, path }) => ({ role, path, sha256: sha256[role] })),
      ...memoryOf(
        undefined,
        manifest.memoryMb ?? facts?.memoryMb,
        manifest.memoryMb === undefined ? 'measured' : 'declared',
      ),
      ...(facts && { inputs: facts.inputs, outputs: facts.outputs }),
    }
  } catch (error) {
    signal.throwIfAborted()
    return { ...nothing, name, state: 'failed', reason: messageOf(error) }
  }
}

function withLive(listed: ListedModel, live: LiveModel | undefined): ListedModel {
  if (!live || listed.state === 'failed') return listed
  return {
    ...listed,
    state: live.state,
    ...(live.reason === undefined ? {} : { reason: live.reason }),
    ...memoryOf(live, listed.memoryMb, listed.memoryIs),
    live,
  }
}

function memoryOf(
  live: LiveModel | undefined,
  memoryMb: number | undefined,
  is: ListedModel['memoryIs'] = 'declared',
): Pick<ListedModel, 'memoryMb' | 'memoryIs'> {
  if (live?.measured) return { memoryMb: live.megabytes, memoryIs: 'measured' }
  return memoryMb === undefined ? {} : { memoryMb, memoryIs: is }
}
