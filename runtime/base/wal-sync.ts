/**
 * Syncs the log of a database opened with `synchronous: 'normal'` beside the event loop: a commit returns at once, and is on the disk
 * when `durable()` resolves. All who ask while one sync is under way share the next one.
 *
 * [base-8] Where the disk has refused once, nothing is called durable any more: after a failed fsync the kernel may have dropped
 * what it could not write, and a second one that succeeds says nothing about it (Rebello et al., "Can Applications Recover from fsync
 * Failures?", USENIX ATC 2020).
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

  /** Resolves when everything written before this call is on the disk. Rejects once and for all where the disk has refused. */
  durable(): Promise<void> {
    if (!this.#syncing) {
      this.#syncing = this.#sync()
      return this.#syncing
    }
    // What was written since that sync began may have missed it: the next one serves all who ask meanwhile.
    this.#next ??= this.#after(this.#syncing)
    return this.#next
  }

  async close(): Promise<void> {
    await this.durable().catch(() => {})
    await this.#file.close()
  }

  async #after(syncing: Promise<void>): Promise<void> {
    await syncing
    this.#next = undefined
    this.#syncing = this.#sync()
    await this.#syncing
  }

  /** One that failed stays in its place, and so every later one fails. */
  async #sync(): Promise<void> {
    await this.#file.datasync()
    this.#syncing = undefined
  }
}
