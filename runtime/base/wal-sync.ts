/**
 * Syncs the log of a database opened with `synchronous: 'normal'` beside the event loop: a commit returns at once, and is on the disk
 * when `durable()` resolves. All who ask while one sync is under way share the next one.
 */
import { type FileHandle, open } from 'node:fs/promises'

export class WalSync {
  readonly #file: FileHandle
  #syncing: Promise<void> | undefined
  #next: Promise<void> | undefined

  private constructor(file: FileHandle) {
    this.#file = file
  }

  /** Of the database at `path`, which has been written to: its log exists from the first write on. */
  static async open(path: string): Promise<WalSync> {
    return new WalSync(await open(`${path}-wal`, 'r+'))
  }

  /** Resolves when everything written before this call is on the disk. Rejects where the disk refuses. */
  durable(): Promise<void> {
    if (!this.#syncing) {
      this.#syncing = this.#sync()
      return this.#syncing
    }
    // What was written since that sync began may have missed it.
    this.#next ??= this.#syncing
      .catch(() => {})
      .then(() => {
        this.#next = undefined
        this.#syncing = this.#sync()
        return this.#syncing
      })
    return this.#next
  }

  async close(): Promise<void> {
    await this.durable().catch(() => {})
    await this.#file.close()
  }

  async #sync(): Promise<void> {
    try {
      await this.#file.datasync()
    } finally {
      this.#syncing = undefined
    }
  }
}
