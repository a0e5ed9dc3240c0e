/**
 * The highest fencing token that was seen of each agent. An agent that was carried to another device, or begun again elsewhere, has
 * a higher one there; what its old copy still asks for is refused (Kleppmann, "How to do distributed locking", 2016).
 *
 * Rule: the first command under a token is handed over only after that token is on the disk, so no restart of the device lets an
 * old copy in again. [things-8]
 */
import type { DatabaseSync } from 'node:sqlite'
import { openDatabaseFile } from '../base/database-file.ts'
import type { Fence } from './actuation.ts'

const schema = `
  CREATE TABLE fence (
    principal TEXT PRIMARY KEY,
    token INTEGER NOT NULL,
    raisedMs REAL NOT NULL
  ) STRICT, WITHOUT ROWID;
`
/** Agents come and go; the ones that were quiet longest are forgotten first. */
const principalsMax = 1_000

export class Fences implements Fence, Disposable {
  readonly #db: DatabaseSync
  readonly #now: () => number
  readonly #tokens: Map<string, number>

  /** `recoveredFrom`: where a file that could not be trusted was put. Throws where the disk cannot be used. */
  static open(
    directory: string,
    clock: { nowMs(): number },
  ): { readonly fences: Fences; readonly recoveredFrom?: string | undefined } {
    const path = `${directory}/fences.db`
    const file = { what: 'the fences of agents', path, schema, version: 1, walPagesMax: 64 }
    const { db, recoveredFrom } = openDatabaseFile({ ...file, synchronous: 'full' }, clock.nowMs())
    return { fences: new Fences(db, () => clock.nowMs()), recoveredFrom }
  }

  private constructor(db: DatabaseSync, now: () => number) {
    this.#db = db
    this.#now = now
    const rows = db.prepare('SELECT principal, token FROM fence').all()
    this.#tokens = new Map(rows.map((row) => [String(row['principal']), Number(row['token'])]))
  }

  admits(principal: string, token: number): boolean {
    const highest = this.#tokens.get(principal) ?? Number.NEGATIVE_INFINITY
    if (token > highest) this.#raise(principal, token)
    return token >= highest
  }

  [Symbol.dispose](): void {
    if (this.#db.isOpen) this.#db.close()
  }

  #raise(principal: string, token: number): void {
    this.#db.prepare('INSERT OR REPLACE INTO fence VALUES (?, ?, ?)').run(principal, token, this.#now())
    this.#tokens.set(principal, token)
    if (this.#tokens.size <= principalsMax) return
    const oldest = 'SELECT principal FROM fence ORDER BY raisedMs LIMIT 1'
    const gone = this.#db.prepare(`DELETE FROM fence WHERE principal = (${oldest}) RETURNING principal`).get()
    this.#tokens.delete(String(gone?.['principal']))
  }
}
