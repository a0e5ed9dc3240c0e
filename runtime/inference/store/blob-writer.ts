/**
 * Writes one file into the store: bytes go to a part file, and only a part whose size and SHA-256 are those of the
 * manifest is synced and renamed to its final name. What has a final name is whole, whatever cut the power.
 */
import { createHash, type Hash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { syncDirectory } from '../../base/durable-file.ts'
import type { ModelFile } from './manifest.ts'
import { StoreError } from './store-error.ts'

export class BlobWriter implements AsyncDisposable {
  readonly #file: ModelFile
  readonly #partPath: string
  #handle: FileHandle | undefined
  #hash: Hash
  #bytes: number

  private constructor(file: ModelFile, partPath: string, handle: FileHandle, hash: Hash, bytes: number) {
    this.#file = file
    this.#partPath = partPath
    this.#handle = handle
    this.#hash = hash
    this.#bytes = bytes
  }

  /** Opens the part file, keeping what an earlier try left in it. */
  static async open(file: ModelFile, partPath: string): Promise<BlobWriter> {
    const handle = await open(partPath, 'a')
    try {
      const hash = createHash('sha256')
      for await (const chunk of createReadStream(partPath)) hash.update(chunk)
      return new BlobWriter(file, partPath, handle, hash, (await handle.stat()).size)
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  get bytes(): number {
    return this.#bytes
  }

  async restart(): Promise<void> {
    await this.#open.truncate(0)
    this.#hash = createHash('sha256')
    this.#bytes = 0
  }

  /** Throws StoreError `digest` when more comes than the manifest says. */
  async write(chunk: Uint8Array): Promise<void> {
    if (this.#bytes + chunk.byteLength > this.#file.bytes)
      throw await this.#refuse(`more than the ${this.#file.bytes} bytes of its manifest came`)
    await this.#open.appendFile(chunk)
    this.#hash.update(chunk)
    this.#bytes += chunk.byteLength
  }

  /** Gives the file its final name. Throws StoreError `digest`, leaving nothing behind. */
  async land(finalPath: string): Promise<void> {
    const { sha256, bytes } = this.#file
    const actual = this.#hash.copy().digest('hex')
    if (this.#bytes !== bytes || actual !== sha256)
      throw await this.#refuse(
        `expected sha256 ${sha256} (${bytes} bytes), got ${actual} (${this.#bytes} bytes)`,
      )
    await this.#open.sync()
    await this[Symbol.asyncDispose]()
    await rename(this.#partPath, finalPath)
    await syncDirectory(dirname(finalPath))
  }

  /** Gives the file its final name whatever it is, for files that nobody stated a digest of. Its digest. */
  async landAnything(finalPath: string): Promise<string> {
    await this.#open.sync()
    await this[Symbol.asyncDispose]()
    await rename(this.#partPath, finalPath)
    await syncDirectory(dirname(finalPath))
    return this.#hash.digest('hex')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const handle = this.#handle
    this.#handle = undefined
    await handle?.close()
  }

  get #open(): FileHandle {
    if (!this.#handle) throw new Error('the blob writer is closed')
    return this.#handle
  }

  async #refuse(why: string): Promise<StoreError> {
    await this[Symbol.asyncDispose]()
    await rm(this.#partPath, { force: true })
    return new StoreError(
      'digest',
      `${this.#file.path} from ${this.#file.source} is not the file that was asked for: ${why}; ` +
        'it was deleted: check the source, or the manifest',
    )
  }
}
