/**
 * The database file of what agents leave: statements, transactions, and the promise that what was written is on the disk.
 *
 * [agent-store-2] `durable()` resolves when all that was written before is on the disk, and blocks nothing meanwhile;
 * [agent-store-5] after a sync that failed nothing more is written or promised: what the kernel kept of it nobody knows, and a second
 * sync may claim success (Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020).
 *
 * SQLite's log is synced here and not by each commit: one sync serves all turns that gathered while the last one ran, and it
 * runs beside the control loop (fdatasync in Node's thread pool), which an SD card would otherwise hold up for 20 ms a turn.
 * https://www.sqlite.org/wal.html: a commit whose frames are not whole in the log is no commit when the file is next opened.
 */
import { dirname } from 'node:path'
import type { DatabaseSync, SQLOutputValue, StatementSync } from 'node:sqlite'
import { isDiskFault, type OpenedFile, openDatabaseFile } from '../../base/database-file.ts'
import { syncDirectory } from '../../base/durable-file.ts'
import { Erasure, openingBytesMax } from '../../base/erasure.ts'
import { CodedError, messageOf } from '../../base/errors.ts'
import { WalSync } from '../../base/wal-sync.ts'

export type StoreErrorCode = 'full' | 'broken' | 'closed'
/** `full` is retryable: nothing was written, and there may be room later. */
export class StoreError extends CodedError<StoreErrorCode> {
  override readonly name = 'StoreError'
}

export interface StoreFileOptions {
  /** What it is, for errors. */
  readonly what: string
  readonly path: string
  readonly schema: string
  readonly version: number
  /** Size of the file. More is refused as a full disk is. */
  readonly bytesMax: number
}

type Value = string | number | null | Uint8Array
type Row = Record<string, SQLOutputValue>

const pageBytes = 4_096

export class StoreFile implements AsyncDisposable {
  readonly #db: DatabaseSync
  readonly #sync: WalSync
  readonly #erasure: Erasure
  readonly #statements = new Map<string, StatementSync>()
  #refusal: StoreError | undefined
  #closing: Promise<void> | undefined

  private constructor(db: DatabaseSync, sync: WalSync, erasure: Erasure) {
    this.#db = db
    this.#sync = sync
    this.#erasure = erasure
  }

  /** `recoveredFrom`: where a file that could not be trusted was put. Throws where the disk cannot be used. */
  static async open(
    { bytesMax, ...file }: StoreFileOptions,
    nowMs: number,
  ): Promise<{ file: StoreFile; recoveredFrom?: string | undefined }> {
    const options = { ...file, walPagesMax: 1_024, synchronous: 'normal' } as const
    const { db, recoveredFrom }: OpenedFile = openDatabaseFile(options, nowMs)
    let sync: WalSync | undefined
    try {
      db.exec('PRAGMA foreign_keys = ON')
      const erasure = Erasure.open(db)
      db.exec(`PRAGMA max_page_count = ${Math.ceil(bytesMax / pageBytes)}`)
      // The log exists from the first write on.
      db.exec('BEGIN IMMEDIATE; DELETE FROM opened')
      db.prepare('INSERT INTO opened VALUES (?)').run(nowMs)
      db.exec('COMMIT')
      sync = await WalSync.open(file.path)
      const opened = new StoreFile(db, sync, erasure)
      await opened.durable()
      await syncDirectory(dirname(file.path))
      try {
        if (opened.isToClearAway) opened.clearAway(openingBytesMax)
      } catch {
        // A disk that is full still: another time.
      }
      return { file: opened, recoveredFrom }
    } catch (error) {
      // Else nobody could open it when there is room again: it would be in use.
      db.close()
      await sync?.close().catch(() => {})
      throw error
    }
  }

  /** Throws StoreError `broken`, `closed`. */
  async durable(): Promise<void> {
    if (this.#refusal) throw this.#refusal
    try {
      await this.#sync.durable()
    } catch (cause) {
      const reason = `what agents do cannot be kept: ${messageOf(cause)}`
      this.#refusal ??= new StoreError('broken', reason, { cause })
      throw this.#refusal
    }
  }

  /** All of it or nothing. Throws StoreError. */
  transaction<T>(work: () => T): T {
    if (this.#refusal) throw this.#refusal
    try {
      this.#db.exec('BEGIN IMMEDIATE')
      const result = work()
      this.#db.exec('COMMIT')
      return result
    } catch (error) {
      // A disk that is full has rolled it back already.
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK')
      throw asStoreError(error)
    }
  }

  /** In the transaction that deletes what is to be in no byte of the file: `clearAway` sees to that, or the next opening. */
  toClearAway(): void {
    this.#erasure.mark()
  }

  get isToClearAway(): boolean {
    return this.#erasure.isMarked
  }

  /** Of what was deleted no byte stays in the file or its log; of a large file that is when it is next opened. Waits for the disk. Throws StoreError. */
  clearAway(bytesMax?: number): void {
    if (this.#refusal) throw this.#refusal
    try {
      this.#erasure.clear(bytesMax)
    } catch (error) {
      throw this.#refusal ?? asStoreError(error)
    }
  }

  run(sql: string, ...values: Value[]): void {
    this.#prepare(sql).run(...values)
  }
  get(sql: string, ...values: (string | number)[]): Row | undefined {
    return this.#prepare(sql).get(...values)
  }
  all(sql: string, ...values: (string | number)[]): Row[] {
    return this.#prepare(sql).all(...values)
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await this.durable().catch(() => {})
    this.#refusal = new StoreError('closed', 'the device is stopping')
    await this.#sync.close().catch(() => {})
    this.#db.close()
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql)
    if (!statement) {
      statement = this.#db.prepare(sql)
      this.#statements.set(sql, statement)
    }
    return statement
  }
}

/** What the disk has not taken is `full`; anything else as it was. */
export function asStoreError(error: unknown): unknown {
  if (!isDiskFault(error)) return error
  const line = `the disk takes no more (${messageOf(error)}): free some space on it`
  return new StoreError('full', line, { retryable: true, cause: error })
}
