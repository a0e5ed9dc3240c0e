/**
 * The highest fencing token that was seen of each agent. An agent that was carried to another device, or begun again elsewhere, has
 * a higher one there; what its old copy still asks for is refused (Kleppmann, "How to do distributed locking", 2016).
 *
 * Rule: the first command under a token is handed over only after that token is on the disk, so no restart of the device lets an
 * old copy in again; where the disk cannot be used, no agent commands. [things-8] The file is opened by the first command of an
 * agent: a device without agents has none.
 */
import type { DatabaseSync } from 'node:sqlite'
import type { Clock } from '../base/clock.ts'
import { openDatabaseFile } from '../base/database-file.ts'
import { messageOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { Fence } from './actuation.ts'

const schema = `
  CREATE TABLE fence (
    principal TEXT PRIMARY KEY,
    token INTEGER NOT NULL,
    raisedMs REAL NOT NULL
  ) STRICT, WITHOUT ROWID;
`
/** Agents come and go; the ones that were raised longest ago are forgotten first. */
const principalsMax = 1_000

export interface FencesDeps {
  readonly clock: Pick<Clock, 'nowMs'>
  readonly log: Log
}

export class Fences implements Fence, Disposable {
  readonly #deps: FencesDeps
  readonly #directory: string
  #db: DatabaseSync | undefined
  #tokens = new Map<string, number>()

  /** Does no I/O. */
  constructor(deps: FencesDeps, directory: string) {
    this.#deps = deps
    this.#directory = directory
  }

  refusal(principal: string, token: number, kept = token): string | undefined {
    try {
      const db = this.#opened()
      // No token is lower than 0: to keep that would only push another out.
      const highest = this.#tokens.get(principal) ?? 0
      if (token < highest)
        return `${principal.split(' ', 1)} goes on elsewhere: what comes under an old token commands nothing any more`
      if (kept > highest) this.#raise(db, principal, kept)
      return undefined
    } catch (error) {
      this.#deps.log.error('no agent may command', { reason: messageOf(error) })
      return `which copy of ${principal} may command is not known: ${messageOf(error)}`
    }
  }

  [Symbol.dispose](): void {
    if (this.#db?.isOpen) this.#db.close()
  }

  #opened(): DatabaseSync {
    if (this.#db) return this.#db
    const file = { what: 'the fences of agents', path: `${this.#directory}/fences.db`, schema, version: 1 }
    const { db, recoveredFrom } = openDatabaseFile(
      { ...file, synchronous: 'full', walPagesMax: 64 },
      this.#deps.clock.nowMs(),
    )
    if (recoveredFrom)
      this.#deps.log.error('the fences of agents could not be read: they begin anew', { recoveredFrom })
    const rows = db.prepare('SELECT principal, token FROM fence').all()
    this.#tokens = new Map(rows.map((row) => [String(row['principal']), Number(row['token'])]))
    this.#db = db
    return db
  }

  #raise(db: DatabaseSync, principal: string, token: number): void {
    const raisedMs = this.#deps.clock.nowMs()
    db.prepare('INSERT OR REPLACE INTO fence VALUES (?, ?, ?)').run(principal, token, raisedMs)
    this.#tokens.set(principal, token)
    if (this.#tokens.size <= principalsMax) return
    const oldest = 'SELECT principal FROM fence ORDER BY raisedMs LIMIT 1'
    const gone = db.prepare(`DELETE FROM fence WHERE principal = (${oldest}) RETURNING principal`).get()
    this.#tokens.delete(String(gone?.['principal']))
  }
}
