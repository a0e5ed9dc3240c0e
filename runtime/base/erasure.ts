/**
 * Makes true that what was deleted from a database is in no byte of its file and log. SQLite writes over a row that is deleted
 * (`secure_delete`) and not over copies of it that it left in a page when it moved rows about
 * (https://www.sqlite.org/fileformat2.html#b_tree_pages): only a file made anew is without. SQLite does that itself (`VACUUM`), so that a
 * power cut harms nothing; it takes 15 to 20 ms a megabyte in one go, as much room again, and as much memory: nothing of it goes into a file
 * that lies elsewhere.
 *
 * Invariants: [base-9] after `clear` neither file nor log has a byte of what was deleted before; [base-10] what was marked and not cleared,
 * as the power was cut, the disk was full or the file too large, is still marked when the file is opened again.
 */
import type { DatabaseSync } from 'node:sqlite'
import { isDiskFault } from './database-file.ts'

/** Less room than this, and less than half of the file, is not worth it. */
const roomPagesMin = 256
const pageBytes = 4_096
/** To make a larger file anew would hold up everything else for too long. */
const runningBytesMax = 8 * 1024 * 1024
/** The same where a device starts or a person waits for it: a second on a desk, and memory that a small board has. */
export const openingBytesMax = 64 * 1024 * 1024

export class Erasure {
  readonly #db: DatabaseSync

  /** Of a database that `openDatabaseFile` has opened. Made smaller where most of it is room; clearing what is marked is the caller's. */
  static open(db: DatabaseSync): Erasure {
    db.exec('PRAGMA secure_delete = ON; PRAGMA temp_store = MEMORY')
    // Later than the other tables, and so in files that were there before it.
    db.exec(`CREATE TABLE IF NOT EXISTS erasure (marked INTEGER NOT NULL, cleared INTEGER NOT NULL) STRICT;
      INSERT INTO erasure SELECT 0, 0 WHERE NOT EXISTS (SELECT 1 FROM erasure)`)
    const erasure = new Erasure(db)
    try {
      if (!erasure.isMarked && erasure.#isMostlyRoom) erasure.clear(openingBytesMax)
    } catch (error) {
      // Without room on the disk the device is to start all the same.
      if (!isDiskFault(error)) throw error
    }
    return erasure
  }

  private constructor(db: DatabaseSync) {
    this.#db = db
  }

  /** In the transaction that deletes. */
  mark(): void {
    this.#db.exec('UPDATE erasure SET marked = marked + 1')
  }

  /** Whether something was deleted whose bytes may still be in the file. */
  get isMarked(): boolean {
    const { marked, cleared } = this.#db.prepare('SELECT marked, cleared FROM erasure').get() ?? {}
    return Number(marked) > Number(cleared)
  }

  /**
   * Holds up everything else for as long as the whole file takes; a file of more than `bytesMax` stays as it is, and marked.
   * Throws what SQLite and the disk throw: then it is still marked.
   */
  clear(bytesMax = runningBytesMax): void {
    if (this.#count('page_count') * pageBytes > bytesMax) return
    this.#db.exec('VACUUM')
    const busy = this.#db.prepare('PRAGMA wal_checkpoint(TRUNCATE)').get()?.['busy']
    if (busy !== 0) throw new Error('the log of the database is in use')
    this.#db.exec('UPDATE erasure SET cleared = marked')
  }

  /** Room that deleted rows left is used again, and given back here alone. */
  get #isMostlyRoom(): boolean {
    const free = this.#count('freelist_count')
    return free >= roomPagesMin && free * 2 >= this.#count('page_count')
  }

  #count(pragma: 'page_count' | 'freelist_count'): number {
    return Number(this.#db.prepare(`PRAGMA ${pragma}`).get()?.[pragma])
  }
}
