/**
 * What a device must not forget of the blackboard: every fact it knows, what it promised and accepted when others compared and set,
 * and which calls of its agents have written what. The file is made with the first of these.
 *
 * Invariants: [board-store-1] what was put before `durable()` is on the disk when that resolves; [board-store-2] things put
 * together are kept together or not at all; [board-store-3] a file that cannot be read is put aside, and nothing of it is shown.
 */
import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import type { DatabaseSync, SQLInputValue } from 'node:sqlite'
import type { Cancel, Clock } from '../../base/clock.ts'
import { openDatabaseFile } from '../../base/database-file.ts'
import { syncDirectory } from '../../base/durable-file.ts'
import { messageOf } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import { WalSync } from '../../base/wal-sync.ts'
import type { Ballot } from '../../wire/board.ts'

const schema = `
  CREATE TABLE place (key TEXT PRIMARY KEY, envelope TEXT NOT NULL) STRICT, WITHOUT ROWID;
  CREATE TABLE register (key TEXT PRIMARY KEY, promised TEXT NOT NULL, ballot TEXT, envelope TEXT) STRICT, WITHOUT ROWID;
  CREATE TABLE written (seq INTEGER PRIMARY KEY AUTOINCREMENT, call TEXT NOT NULL UNIQUE, envelope TEXT NOT NULL) STRICT;
  CREATE TABLE opened (nowMs REAL NOT NULL) STRICT;
`

export interface KeptRegister {
  readonly promised: Ballot
  readonly accepted?: { readonly ballot: Ballot; readonly envelope: string } | undefined
}
export interface Kept {
  /** Signed facts. */
  readonly places: readonly string[]
  readonly registers: ReadonlyMap<string, KeptRegister>
  /** By call, oldest first. */
  readonly written: ReadonlyMap<string, string>
}

/** Where a board keeps what it must not forget. */
export interface BoardDisk extends AsyncDisposable {
  /** Undefined: it is forgotten. */
  place(key: string, envelope: string | undefined): void
  register(key: string, register: KeptRegister | undefined): void
  written(call: string, envelope: string): void
  durable(): Promise<void>
}

/** Calls of which it is known what they wrote: many times what the agents of a device have open at a time. */
const writtenMax = 2_048
/** What others wrote is kept so soon: a power cut costs asking the broker again. */
const flushMs = 1_000
/** Folded back into the file at 4 MB. */
const walPagesMax = 1_024

interface Opened {
  readonly db: DatabaseSync
  readonly sync: WalSync
}

export class BoardStore implements BoardDisk {
  readonly #clock: Clock
  readonly #log: Log
  readonly #path: string
  /** What is to be done for each row: the latest wins. */
  readonly #pending = new Map<string, readonly [sql: string, ...values: SQLInputValue[]]>()
  #opened: Promise<Opened> | undefined
  #cancelFlush: Cancel | undefined
  #closed = false

  /** Throws where the disk cannot be used. */
  static async open(
    { clock, log }: { readonly clock: Clock; readonly log: Log },
    path: string,
  ): Promise<{ readonly store: BoardStore; readonly kept: Kept }> {
    const store = new BoardStore(clock, log, path)
    const nothing = { places: [], registers: new Map(), written: new Map() }
    if (!existsSync(path)) return { store, kept: nothing }
    const { db } = await store.#database()
    return { store, kept: readAll(db) }
  }

  private constructor(clock: Clock, log: Log, path: string) {
    this.#clock = clock
    this.#log = log
    this.#path = path
  }

  place(key: string, envelope: string | undefined): void {
    if (envelope === undefined) this.#put(`place ${key}`, 'DELETE FROM place WHERE key = ?', key)
    else this.#put(`place ${key}`, 'INSERT OR REPLACE INTO place VALUES (?, ?)', key, envelope)
  }

  register(key: string, register: KeptRegister | undefined): void {
    if (!register) {
      this.#put(`register ${key}`, 'DELETE FROM register WHERE key = ?', key)
      return
    }
    const { promised, accepted } = register
    const values = [
      JSON.stringify(promised),
      accepted ? JSON.stringify(accepted.ballot) : null,
      accepted?.envelope ?? null,
    ]
    this.#put(`register ${key}`, 'INSERT OR REPLACE INTO register VALUES (?, ?, ?, ?)', key, ...values)
  }

  written(call: string, envelope: string): void {
    const sql = 'INSERT OR REPLACE INTO written (call, envelope) VALUES (?, ?)'
    this.#put(`written ${call}`, sql, call, envelope)
  }

  /** Resolves when everything that was put before is on the disk. */
  async durable(): Promise<void> {
    const { sync } = await this.#flush()
    await sync.durable()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return
    this.#cancelFlush?.()
    if (this.#pending.size > 0) await this.#flush().catch((error) => this.#notKept(error))
    this.#closed = true
    const opened = await this.#opened?.catch(() => undefined)
    await opened?.sync.close()
    opened?.db.close()
  }

  #put(row: string, sql: string, ...values: SQLInputValue[]): void {
    if (this.#closed) return
    this.#pending.set(row, [sql, ...values])
    this.#cancelFlush ??= this.#clock.after(flushMs, () => {
      this.#flush().catch((error) => this.#notKept(error))
    })
  }

  async #flush(): Promise<Opened> {
    const opened = await this.#database()
    this.#cancelFlush?.()
    this.#cancelFlush = undefined
    if (this.#pending.size === 0 || this.#closed) return opened
    const { db } = opened
    db.exec('BEGIN IMMEDIATE')
    try {
      for (const [sql, ...values] of this.#pending.values()) db.prepare(sql).run(...values)
      db.prepare('DELETE FROM written WHERE seq <= (SELECT max(seq) FROM written) - ?').run(writtenMax)
      db.exec('COMMIT')
    } catch (error) {
      // What could not be kept is tried again with the next.
      db.exec('ROLLBACK')
      throw error
    }
    this.#pending.clear()
    return opened
  }

  #database(): Promise<Opened> {
    this.#opened ??= this.#openFile().catch((error) => {
      this.#opened = undefined
      throw error
    })
    return this.#opened
  }

  async #openFile(): Promise<Opened> {
    const nowMs = this.#clock.nowMs()
    const file = { what: 'the blackboard', path: this.#path, schema, version: 1, walPagesMax }
    const { db, recoveredFrom } = openDatabaseFile({ ...file, synchronous: 'normal' }, nowMs)
    if (recoveredFrom !== undefined)
      this.#log.error('the blackboard of this device could not be read: it was put aside', { recoveredFrom })
    // The log exists from the first write on.
    db.exec('DELETE FROM opened')
    db.prepare('INSERT INTO opened VALUES (?)').run(nowMs)
    await syncDirectory(dirname(this.#path))
    return { db, sync: await WalSync.open(this.#path) }
  }

  #notKept(error: unknown): void {
    this.#log.error('the blackboard is not kept', { reason: messageOf(error) })
  }
}

function readAll(db: DatabaseSync): Kept {
  const places = db.prepare('SELECT envelope FROM place').all()
  const registers = db.prepare('SELECT key, promised, ballot, envelope FROM register').all()
  const written = db.prepare('SELECT call, envelope FROM written ORDER BY seq').all()
  return {
    places: places.map(({ envelope }) => String(envelope)),
    registers: new Map(
      registers.map(({ key, promised, ballot, envelope }) => {
        const accepted =
          ballot === null ? undefined : { ballot: JSON.parse(String(ballot)), envelope: String(envelope) }
        return [String(key), { promised: JSON.parse(String(promised)), accepted }]
      }),
    ),
    written: new Map(written.map(({ call, envelope }) => [String(call), String(envelope)])),
  }
}
