/**
 * The model store: a folder of verified files, named by their SHA-256, shared by runs and processes.
 * - A file with a final name is whole and was verified when it landed; its size is checked at every use.
 * - What is local works offline; nothing is fetched unless `ensure` is called for something missing.
 * - One fetch at a time per store (lock.ts); what a killed process left behind is used (HTTPS parts) or deleted.
 */
import { mkdir, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type Clock, sleep } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import { backoffMs } from '../../base/retry.ts'
import { fetchFiles, type Progress } from './fetch.ts'
import { acquireLock } from './lock.ts'
import { type ModelFile, type ModelManifest, parseManifest } from './manifest.ts'
import { cancelledError, diskError, StoreError } from './store-error.ts'

/** A fetch that breaks off is tried this often in all; HTTPS goes on where it stopped. */
const attemptsMax = 3
/** However slowly bytes keep coming, and whoever holds the lock: after this, somebody should look. */
const ensureMsMax = 2 * 60 * 60_000
const backoff = { firstMs: 500, maxMs: 5_000 }

export interface StoreDeps {
  readonly clock: Clock
  readonly log: Log
}

export interface StoreOptions {
  readonly dir: string
  readonly manifests: readonly unknown[]
}

/** A model whose files are here. Passes as the engine's `{name, pipeline, files}`. */
export interface LocalModel {
  readonly name: string
  readonly version: string
  readonly pipeline: ModelManifest['pipeline']
  /** Absolute path of each role's file. */
  readonly files: Readonly<Record<string, string>>
  readonly bytes: number
  readonly memoryMb: number
}

export interface ModelStatus {
  readonly manifest: ModelManifest
  readonly present: boolean
  readonly bytes: number
}

export interface EnsureOptions {
  readonly signal: AbortSignal
  readonly onProgress?: (progress: Progress) => void
}

export class ModelStore implements AsyncDisposable {
  readonly dir: string
  readonly #deps: StoreDeps
  readonly #manifests: ReadonlyMap<string, ModelManifest>
  readonly #closed = new AbortController()

  private constructor(deps: StoreDeps, dir: string, manifests: ReadonlyMap<string, ModelManifest>) {
    this.#deps = deps
    this.dir = dir
    this.#manifests = manifests
  }

  /** Checks the manifests; touches no disk. Throws StoreError `malformed`. */
  static async open(deps: StoreDeps, options: StoreOptions, signal: AbortSignal): Promise<ModelStore> {
    signal.throwIfAborted()
    const manifests = new Map<string, ModelManifest>()
    for (const manifest of options.manifests.map(parseManifest)) {
      if (manifests.has(manifest.name))
        throw new StoreError('malformed', `two model manifests are named ${manifest.name}`)
      manifests.set(manifest.name, manifest)
    }
    return new ModelStore(deps, options.dir, manifests)
  }

  async list(): Promise<ModelStatus[]> {
    const statuses: ModelStatus[] = []
    for (const manifest of this.#manifests.values()) {
      statuses.push({
        manifest,
        present: (await this.#missing(manifest)).length === 0,
        bytes: totalBytes(manifest),
      })
    }
    return statuses
  }

  /** The model if all its files are here; never uses the network. Throws StoreError `not-found` for an unknown name. */
  async local(name: string): Promise<LocalModel | undefined> {
    const manifest = this.#manifest(name)
    return (await this.#missing(manifest)).length === 0 ? this.#localModel(manifest) : undefined
  }

  /** The model, fetched first if need be. Throws StoreError. */
  async ensure(name: string, options: EnsureOptions): Promise<LocalModel> {
    const manifest = this.#manifest(name)
    const limit = new AbortController()
    const signal = AbortSignal.any([options.signal, this.#closed.signal, limit.signal])
    const cancelLimit = this.#deps.clock.after(ensureMsMax, () => limit.abort(tooSlow(name)))
    try {
      signal.throwIfAborted()
      if ((await this.#missing(manifest)).length > 0) await this.#fetch(manifest, signal, options.onProgress)
      return this.#localModel(manifest)
    } catch (error) {
      if (signal.aborted) throw cancelledError(name, signal)
      throw diskError(error, this.dir)
    } finally {
      cancelLimit()
    }
  }

  /** Deletes the model's files, except those that another manifest also names. */
  async remove(name: string): Promise<void> {
    const manifest = this.#manifest(name)
    const kept = new Set<string>()
    for (const other of this.#manifests.values())
      if (other !== manifest) for (const file of other.files) kept.add(file.sha256)
    try {
      for (const file of manifest.files)
        if (!kept.has(file.sha256)) await rm(this.#blobPath(file), { force: true })
    } catch (error) {
      throw diskError(error, this.dir)
    }
  }

  /** Cancels what is being fetched. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed.abort(new StoreError('cancelled', 'the model store was closed'))
  }

  async #fetch(
    manifest: ModelManifest,
    signal: AbortSignal,
    onProgress: EnsureOptions['onProgress'] = () => {},
  ): Promise<void> {
    const { clock, log } = this.#deps
    await mkdir(join(this.dir, 'blobs'), { recursive: true })
    await mkdir(this.#tmpDir, { recursive: true })
    using _lock = await acquireLock(clock, join(this.dir, 'lock.sqlite'), signal, () =>
      onProgress({ model: manifest.name, file: '', receivedBytes: 0, phase: 'waiting' }),
    )
    await this.#sweep()
    for (let attempt = 1; ; attempt += 1) {
      // Another process may have landed them while this one waited for the lock.
      const missing = await this.#missing(manifest)
      if (missing.length === 0) return
      try {
        const paths = { tmpDir: this.#tmpDir, blobPath: (file: ModelFile) => this.#blobPath(file) }
        await fetchFiles({ clock, manifest, files: missing, paths, onProgress }, signal)
      } catch (error) {
        const again = error instanceof StoreError && error.retryable && attempt < attemptsMax
        if (!again || signal.aborted) throw error
        log.warn('a model fetch broke off and is tried again', { model: manifest.name, attempt })
        await sleep(clock, backoffMs(attempt - 1, backoff, clock.random()), signal)
      }
    }
  }

  /** Deletes what an earlier process left in the temporary folder, but for parts that a fetch can go on with. */
  async #sweep(): Promise<void> {
    const resumable = new Set<string>()
    for (const manifest of this.#manifests.values())
      for (const file of manifest.files) resumable.add(`${file.sha256}.part`).add(`${file.sha256}.etag`)
    for (const name of await readdir(this.#tmpDir))
      if (!resumable.has(name)) await rm(join(this.#tmpDir, name), { recursive: true, force: true })
  }

  async #missing(manifest: ModelManifest): Promise<ModelFile[]> {
    const missing: ModelFile[] = []
    for (const file of manifest.files) {
      const stats = await stat(this.#blobPath(file)).catch(() => undefined)
      if (stats?.size !== file.bytes) missing.push(file)
    }
    return missing
  }

  #manifest(name: string): ModelManifest {
    const manifest = this.#manifests.get(name)
    if (manifest) return manifest
    const known = [...this.#manifests.keys()].join(', ') || 'none'
    throw new StoreError('not-found', `there is no model named ${name}; known models: ${known}`)
  }

  #localModel(manifest: ModelManifest): LocalModel {
    const { name, version, pipeline, memoryMb } = manifest
    const files = Object.fromEntries(manifest.files.map((file) => [file.role, this.#blobPath(file)]))
    return { name, version, pipeline, memoryMb, files, bytes: totalBytes(manifest) }
  }

  #blobPath(file: ModelFile): string {
    return join(this.dir, 'blobs', file.sha256)
  }

  get #tmpDir(): string {
    return join(this.dir, 'tmp')
  }
}

function tooSlow(name: string): StoreError {
  const line = `fetching ${name} took more than ${ensureMsMax / 60_000} minutes: check the network and try again`
  return new StoreError('source-unreachable', line, { retryable: true })
}

function totalBytes(manifest: ModelManifest): number {
  return manifest.files.reduce((sum, file) => sum + file.bytes, 0)
}
