/**
 * Makes true that what was deleted from a database is in no byte of its file and log. SQLite writes over a row that is deleted
 * (`secure_delete`) and not over copies of it that it left in a page when it moved rows about: these lie between the row pointers of the
 * page and its rows, where nothing is ever read (https://www.sqlite.org/fileformat2.html#b_tree_pages). They are zeroed here, in the file,
 * some pages at a time; making the file anew (`VACUUM`) would do the same in one go, and need as much room again.
 *
 * Invariants: [base-9] after `clear` no page has a byte of what was deleted before, also where rows were written meanwhile; [base-10] what
 * was marked and not cleared, as the power was cut or the disk was full, is still marked when the file is opened again.
 *
 * Rests on this: the connection is the only one (`locking_mode = EXCLUSIVE`), its log is a WAL, and a slice begins and ends outside of a
 * transaction. The file is opened a second time, and closed after the connection: closing it before would let go of SQLite's locks
 * (https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_).
 */
import {
  closeSync,
  fdatasyncSync,
  fstatSync,
  openSync,
  readFileSync,
  readSync,
  statSync,
  writeSync,
} from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'
import { setImmediate as tick } from 'node:timers/promises'
import { isDiskFault } from './database-file.ts'

const pageBytes = 4_096
/** A slice: a fraction of a millisecond. */
const pagesAtOnce = 64
/** So much is written meanwhile before the log is folded back. */
const logBytesMax = 4 * 1024 * 1024
/** Of the log: https://www.sqlite.org/fileformat2.html#walformat */
const logHeaderBytes = 32
const frameBytes = 24 + pageBytes
/** What is left of a file that is mostly room, to be made anew at once: a tenth of a second on a desk. */
const anewPagesMax = 2_048
/** Less room than this is not worth it. */
const roomPagesMin = 256
/** At the beginning of the first page. */
const fileHeaderBytes = 100

const zeros = Buffer.alloc(pageBytes)

export class Erasure {
  readonly #db: DatabaseSync
  readonly #path: string
  readonly #file: number
  #clearing: Promise<void> | undefined

  /** Of a database that `openDatabaseFile` has opened, with pages of 4 KB as SQLite makes them. Close it after that. */
  static open(db: DatabaseSync, path: string): Erasure {
    db.exec('PRAGMA secure_delete = ON; PRAGMA temp_store = MEMORY')
    // Later than the other tables, and so in files that were there before it.
    db.exec(`CREATE TABLE IF NOT EXISTS erasure (marked INTEGER NOT NULL, cleared INTEGER NOT NULL) STRICT;
      INSERT INTO erasure SELECT 0, 0 WHERE NOT EXISTS (SELECT 1 FROM erasure)`)
    makeSmaller(db)
    return new Erasure(db, path, openSync(path, 'r+'))
  }

  private constructor(db: DatabaseSync, path: string, file: number) {
    this.#db = db
    this.#path = path
    this.#file = file
  }

  /** In the transaction that deletes. */
  mark(): void {
    this.#db.exec('UPDATE erasure SET marked = marked + 1')
  }

  /** Whether something was deleted whose bytes may still be in the file. */
  get isMarked(): boolean {
    const { marked, cleared } = this.#marks
    return marked > cleared
  }

  /** Waits for the disk now and then. Throws what SQLite and the disk throw: then it is still marked. */
  async clear(): Promise<void> {
    const { marked } = this.#marks
    this.#clearing ??= this.#clear()
    await this.#clearing
    this.#db.prepare('UPDATE erasure SET cleared = max(cleared, ?)').run(marked)
  }

  close(): void {
    closeSync(this.#file)
  }

  get #marks() {
    const { marked, cleared } = this.#db.prepare('SELECT marked, cleared FROM erasure').get() ?? {}
    return { marked: Number(marked), cleared: Number(cleared) }
  }

  async #clear(): Promise<void> {
    const { wal_autocheckpoint: pages } = this.#db.prepare('PRAGMA wal_autocheckpoint').get() ?? {}
    try {
      // Which pages are written meanwhile the log says, as long as nobody else folds it back.
      this.#db.exec('PRAGMA wal_autocheckpoint = 0')
      this.#fold()
      for (let page = 0; page * pageBytes < fstatSync(this.#file).size; page += pagesAtOnce) {
        this.#zero(page, pagesAtOnce)
        await tick()
        if (!this.#db.isOpen) throw new Error('the file was closed')
        if (statSync(this.#log).size > logBytesMax) this.#settle()
      }
      this.#settle()
    } finally {
      // Whoever deletes from here on is not covered.
      this.#clearing = undefined
      if (this.#db.isOpen) this.#db.exec(`PRAGMA wal_autocheckpoint = ${Number(pages)}`)
    }
  }

  /** Pages that were written since the last time: rows of a page that was not looked at may have come into one that was. */
  #settle(): void {
    const log = readFileSync(this.#log)
    const written = new Set<number>()
    for (let at = logHeaderBytes; at < log.length; at += frameBytes) written.add(log.readUInt32BE(at) - 1)
    this.#fold()
    for (const page of written) this.#zero(page, 1)
    // What SQLite has of these pages is as it was before: it is to read them again.
    this.#db.exec('PRAGMA shrink_memory')
    fdatasyncSync(this.#file)
  }

  #fold(): void {
    const busy = this.#db.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get()?.['busy']
    if (busy !== 0) throw new Error(`the log of ${this.#path} is in use`)
  }

  get #log(): string {
    return `${this.#path}-wal`
  }

  #zero(first: number, count: number): void {
    const pages = Buffer.allocUnsafe(count * pageBytes)
    const bytes = readSync(this.#file, pages, 0, pages.length, first * pageBytes)
    for (let at = 0; at + pageBytes <= bytes; at += pageBytes) {
      const page = pages.subarray(at, at + pageBytes)
      const isFirst = first === 0 && at === 0
      for (const [from, to] of unusedOf(page, isFirst ? fileHeaderBytes : 0))
        if (page.compare(zeros, 0, to - from, from, to) !== 0)
          writeSync(this.#file, zeros, 0, to - from, first * pageBytes + at + from)
    }
  }
}

/** Bytes of the headers of leaves and others, by the first byte of a page; pages of other kinds hold no rows by halves. */
const headerBytes: Readonly<Record<number, number>> = { 2: 12, 5: 12, 10: 8, 13: 8 }

/** Where in a page nothing is: between the pointers and the rows, and where rows were; nothing where the page is not as it should be. */
function unusedOf(page: Buffer, header: number): [from: number, to: number][] {
  const bytes = headerBytes[page[header] ?? 0]
  if (bytes === undefined) return []
  const from = header + bytes + 2 * page.readUInt16BE(header + 3)
  const to = page.readUInt16BE(header + 5)
  if (from > to || to > pageBytes) return []
  const unused: [number, number][] = [[from, to]]
  let least = to
  for (let at = page.readUInt16BE(header + 1); at !== 0; at = page.readUInt16BE(at)) {
    if (at < least || at + 4 > pageBytes) return []
    least = at + page.readUInt16BE(at + 2)
    if (least < at + 4 || least > pageBytes) return []
    unused.push([at + 4, least])
  }
  return unused
}

/** Room that deleted rows left is used again, and given back here alone: when the file is opened, where most of it is that. */
function makeSmaller(db: DatabaseSync): void {
  const count = (pragma: string) => Number(db.prepare(`PRAGMA ${pragma}`).get()?.[pragma])
  const [all, free] = [count('page_count'), count('freelist_count')]
  if (free < roomPagesMin || free * 2 < all || all - free > anewPagesMax) return
  try {
    db.exec('VACUUM')
  } catch (error) {
    if (!isDiskFault(error)) throw error
  }
}
