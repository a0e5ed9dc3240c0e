/**
 * Models that a person puts into a folder: `NAME/model.yaml` and the files that it names. The folders are looked at every two
 * seconds (a few system calls; it works on every file system). What is still being copied is waited for; what cannot be
 * served says why, and is tried again when anything about it changes.
 */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type Clock, sleep } from '../../base/clock.ts'
import { messageOf } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import type { EngineModel, TensorSpec } from '../../wire/engine-protocol.ts'
import { InferError } from '../../wire/infer.ts'
import {
  type AddedManifest,
  digestFiles,
  manifestFile,
  placeFiles,
  readAddedManifest,
} from './added-manifest.ts'
import { type CheckedFacts, contentId, keepFacts, readFacts } from './checked-facts.ts'
import { engineModelOf } from './engine-model.ts'
import { StoreError } from './store-error.ts'

export interface AddedModel {
  readonly manifest: AddedManifest
  readonly folder: string
  readonly engine: EngineModel
  readonly inputs: readonly TensorSpec[]
  readonly outputs: readonly TensorSpec[]
  readonly memoryMb: number
  readonly bytes: number
  readonly sha256: Readonly<Record<string, string>>
  /** Changes whenever a file or what the manifest says of it does. */
  readonly revision: string
}

export interface AddedProblem {
  /** The model's folder. */
  readonly folder: string
  readonly name: string
  readonly reason: string
}

/** What loading a model showed. */
export interface FoundFacts {
  readonly inputs: readonly TensorSpec[]
  readonly outputs: readonly TensorSpec[]
  readonly memoryMb: number
  readonly loadMs: number
}

export interface AddedDeps {
  readonly clock: Clock
  readonly log: Log
  /** Loads a model where it can do no harm. Throws what is wrong with it. */
  readonly check: (model: EngineModel, signal: AbortSignal) => Promise<FoundFacts>
}

export interface AddedOptions {
  /** Folders that hold one folder a model; one that is not there is empty. */
  readonly folders: readonly string[]
  /** Where what was found out about models is kept. */
  readonly factsDir: string
  /** Names that are taken already. */
  readonly taken: (name: string) => boolean
  /** With everything that is served now; also when only a problem has changed. */
  readonly onChange: (models: readonly AddedModel[]) => void
  readonly everyMs?: number
}

/** As many as the engine's list leaves room for beside those that Ganglion knows. */
const modelsMax = 40
/** A file that was written to lately may still be on its way. */
const settleMs = 2_000
/** A check that failed for want of a process or of memory is tried again. */
const againMs = 60_000

interface Entry {
  readonly folder: string
  readonly name: string
  /** What was seen last, and what the result below is of. */
  seen: string
  done: string | undefined
  model: AddedModel | undefined
  problem: string | undefined
  /** It was not the model's fault: tried again then, although nothing changed. */
  againAtMs: number
}

export class AddedModels implements AsyncDisposable {
  readonly #deps: AddedDeps
  readonly #options: AddedOptions
  readonly #entries = new Map<string, Entry>()
  readonly #stop = new AbortController()
  #watching: Promise<void> = Promise.resolve()
  /** One look at a time. */
  #looking: Promise<void> = Promise.resolve()
  #crowded: string | undefined

  private constructor(deps: AddedDeps, options: AddedOptions) {
    this.#deps = deps
    this.#options = options
  }

  /** Looks once, then goes on looking. Models that were checked before are there at once. */
  static async open(deps: AddedDeps, options: AddedOptions, signal: AbortSignal): Promise<AddedModels> {
    signal.throwIfAborted()
    const added = new AddedModels(deps, options)
    added.#watching = added.#watch(added.#stop.signal)
    return added
  }

  /** In the order of folders and names; of two that claim one name the first has it. */
  get models(): readonly AddedModel[] {
    return this.#sorted().flatMap(({ model }) => model ?? [])
  }

  /** One line for each folder that cannot be served. */
  get problems(): readonly AddedProblem[] {
    const problems = this.#sorted().flatMap(({ folder, name, problem }) =>
      problem === undefined ? [] : [{ folder, name, reason: problem }],
    )
    const [folder = ''] = this.#options.folders
    return this.#crowded === undefined ? problems : [...problems, { folder, name: '', reason: this.#crowded }]
  }

  /** Looks now. Resolves when everything that has settled was looked into. */
  look(signal: AbortSignal): Promise<void> {
    const looked = this.#looking.then(() => this.#look(signal))
    this.#looking = looked.catch(() => {})
    return looked
  }

  async #look(signal: AbortSignal): Promise<void> {
    const present = new Set<string>()
    let changed = false
    for (const { folder, name } of await this.#folders()) {
      signal.throwIfAborted()
      present.add(folder)
      changed = (await this.#lookInto(folder, name, signal)) || changed
    }
    for (const [folder, entry] of this.#entries) {
      if (present.has(folder)) continue
      this.#entries.delete(folder)
      changed = changed || entry.model !== undefined || entry.problem !== undefined
    }
    if (changed) this.#options.onChange(this.models)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort()
    await this.#watching
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps
    while (!signal.aborted) {
      try {
        await this.look(signal)
      } catch (error) {
        if (!signal.aborted)
          log.warn('the folders of models could not be looked at', { reason: messageOf(error) })
      }
      await sleep(clock, this.#options.everyMs ?? settleMs, signal).catch(() => {})
    }
  }

  async #folders(): Promise<{ folder: string; name: string }[]> {
    const found: { folder: string; name: string }[] = []
    for (const root of this.#options.folders) {
      const dirents = await readdir(root, { withFileTypes: true }).catch(() => [])
      for (const { name } of dirents.filter((one) => !one.name.startsWith('.') && !one.isFile()))
        found.push({ folder: join(root, name), name })
    }
    found.sort((a, b) => (a.folder < b.folder ? -1 : 1))
    this.#crowded =
      found.length > modelsMax
        ? `${found.length} models are added, of which the first ${modelsMax} are served: remove some`
        : undefined
    return found.slice(0, modelsMax)
  }

  /** True when what is served, or why not, has changed. */
  async #lookInto(folder: string, name: string, signal: AbortSignal): Promise<boolean> {
    const { seen, changedMs } = await appearance(folder)
    const entry = this.#entries.get(folder) ?? {
      folder,
      name,
      seen: '',
      done: undefined,
      model: undefined,
      problem: undefined,
      againAtMs: Number.POSITIVE_INFINITY,
    }
    this.#entries.set(folder, entry)
    const nowMs = this.#deps.clock.monotonicMs()
    if (entry.done === seen && nowMs < entry.againAtMs) return false
    const settled = entry.seen === seen || changedMs < this.#deps.clock.nowMs() - settleMs
    entry.seen = seen
    if (!settled) return false
    entry.againAtMs = Number.POSITIVE_INFINITY
    try {
      entry.model = await this.#read(folder, signal)
      entry.problem = undefined
      this.#deps.log.info('an added model is served', { model: entry.model.manifest.name })
    } catch (error) {
      signal.throwIfAborted()
      entry.model = undefined
      entry.problem = messageOf(error)
      if (!(error instanceof StoreError)) entry.againAtMs = nowMs + againMs
      this.#deps.log.warn('an added model is not served', { folder, reason: entry.problem })
    }
    entry.done = seen
    return true
  }

  async #read(folder: string, signal: AbortSignal): Promise<AddedModel> {
    const manifest = readAddedManifest(folder)
    const { name } = manifest
    if (this.#options.taken(name))
      throw new StoreError(
        'malformed',
        `${join(folder, manifestFile)}: Ganglion knows a model named ${name}: choose another name`,
      )
    const rival = [...this.#entries.values()].find(
      (one) => one.folder !== folder && one.model?.manifest.name === name,
    )
    if (rival)
      throw new StoreError(
        'malformed',
        `${join(folder, manifestFile)}: ${rival.folder} has the name ${name} already`,
      )
    return addedModel(folder, manifest, this.#deps.check, this.#options.factsDir, signal)
  }

  #sorted(): Entry[] {
    return [...this.#entries.values()].sort((a, b) => (a.folder < b.folder ? -1 : 1))
  }
}

/** A model as it lies in its folder. Throws StoreError, InferError: one line that names the file. */
export async function addedModel(
  folder: string,
  manifest: AddedManifest,
  check: AddedDeps['check'],
  factsDir: string,
  signal: AbortSignal,
): Promise<AddedModel> {
  const placed = await placeFiles(folder, manifest)
  const sha256 = await digestFiles(manifest, placed, signal)
  const files = Object.fromEntries(placed.map(({ role, path }) => [role, path]))
  const id = contentId(manifest, sha256)
  const draft = engineModelOf(factsOf(manifest), files)
  const { memoryMb: _, ...undeclared } = draft
  const facts = await factsFor(undeclared, manifest, factsDir, id, check, signal)
  const memoryMb = manifest.memoryMb ?? facts.memoryMb
  return {
    manifest,
    folder,
    engine: { ...draft, memoryMb },
    inputs: facts.inputs,
    outputs: facts.outputs,
    memoryMb,
    bytes: placed.reduce((sum, file) => sum + file.bytes, 0),
    sha256,
    revision: `${id}${placed.map(({ changedMs }) => `-${changedMs}`).join('')}`,
  }
}

async function factsFor(
  model: EngineModel,
  manifest: AddedManifest,
  dir: string,
  id: string,
  check: AddedDeps['check'],
  signal: AbortSignal,
): Promise<CheckedFacts> {
  const kept = await readFacts(dir, id)
  if (kept) return kept
  try {
    const { inputs, outputs, memoryMb, loadMs } = await check(model, signal)
    const found = { inputs: [...inputs], outputs: [...outputs], memoryMb, loadMs }
    await keepFacts(dir, id, found)
    return found
  } catch (error) {
    signal.throwIfAborted()
    const isItsOwn = error instanceof InferError && ['model-load', 'memory'].includes(error.code)
    if (!isItsOwn) throw error
    const paths = manifest.files.map(({ path }) => path).join(', ')
    // The engine names files with their whole path, which may be a temporary one; one name is enough.
    const reason = messageOf(error)
      .replaceAll(/\/\S*\//g, '')
      .replace(/^(\S+: )?Load model from \S+ failed:\s*/, '')
    throw new StoreError('malformed', `${paths} cannot be loaded: ${reason}`, { cause: error })
  }
}

function factsOf(manifest: AddedManifest) {
  const { memoryMb = 1, inputs = [], outputs = [], ...rest } = manifest
  return { ...rest, memoryMb, inputs, outputs }
}

/** What a folder looks like from outside: changes whenever a file in it does. */
async function appearance(folder: string): Promise<{ seen: string; changedMs: number }> {
  const names = await readdir(folder, { recursive: true }).catch(() => [])
  let changedMs = 0
  const parts: string[] = []
  for (const name of names.sort().slice(0, 256)) {
    const stats = await stat(join(folder, name)).catch(() => undefined)
    changedMs = Math.max(changedMs, stats?.mtimeMs ?? 0)
    parts.push(`${name}:${stats?.ino}:${stats?.size}:${stats?.mtimeMs}`)
  }
  return { seen: parts.join('|'), changedMs }
}
