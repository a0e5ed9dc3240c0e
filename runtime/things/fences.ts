/**
 * The highest fencing token that was seen of each agent. An agent that was carried to another device, or begun again elsewhere, has
 * a higher one there; what its old copy still asks for is refused (Kleppmann, "How to do distributed locking", 2016). Of leases of the
 * site the same.
 *
 * Rules: the first command under a token is handed over only after that token is on the disk, so no restart of the device lets an
 * old copy in again; where the disk cannot be used, no agent commands. [things-8] What one device names pushes out only what that device
 * was the first to name, and of that what no other has named, while that is more than half: a device that invents agents makes nothing forgotten of
 * those of others, and its tokens bind nobody else's. [things-14] The file is opened by the first command of an agent: a device
 * without agents has none.
 */
import type { DatabaseSync } from 'node:sqlite'
import { Bucket } from '../agent/scheduler/bucket.ts'
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
/** Came later: what is not in it counts as this device's own. */
const namedSchema = `
  CREATE TABLE IF NOT EXISTS named (
    principal TEXT PRIMARY KEY,
    device TEXT NOT NULL,
    alone INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
`
/**
 * Agents and leases come and go: of each kind so many that this device was the first to name, and that each of the others was, of
 * which 64 are believed at a time.
 */
const most = { own: 1_000, ofOther: 256 }
/** Keeping one holds the control loop up for a write to the disk: of each other device so many at once, and then eight a second. */
const writes = { max: 256, perMs: 32_000 }

export interface FencesDeps {
  readonly clock: Pick<Clock, 'nowMs'>
  readonly log: Log
}

interface Known {
  readonly token: number
  /** The device that named it first; '': this one. */
  readonly device: string
  /** No other device has named it. */
  readonly alone: boolean
}

export class Fences implements Fence, Disposable {
  readonly #deps: FencesDeps
  readonly #directory: string
  #db: DatabaseSync | undefined
  /** Of devices that are believed. */
  readonly #writes = new Map<string, Bucket>()
  /** What was raised longest ago comes first. */
  #known = new Map<string, Known>()

  /** Does no I/O. */
  constructor(deps: FencesDeps, directory: string) {
    this.#deps = deps
    this.#directory = directory
  }

  refusal(
    principal: string,
    token: number,
    { device = '', kept = token }: Parameters<Fence['refusal']>[2] = {},
  ): string | undefined {
    try {
      const db = this.#opened()
      const known = this.#known.get(principal)
      // No token is lower than 0: to keep that would only push another out.
      const highest = known?.token ?? 0
      if (token < highest)
        return `${principal.split(' ', 1)} goes on elsewhere: what comes under an old token commands nothing any more`
      const first = known?.device ?? device
      const alone = (known?.alone ?? true) && first === device
      if (kept <= highest && (!known || known.alone === alone)) return undefined
      if (device !== '' && !this.#mayWrite(device))
        return `${device} names more agents and leases than are kept: this one commands in a moment`
      this.#keep(db, principal, { token: Math.max(kept, highest), device: first, alone })
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
    try {
      db.exec(namedSchema)
      this.#known = readAll(db)
    } catch (error) {
      // It is locked as long as it is open: the next command opens it again.
      db.close()
      throw error
    }
    this.#db = db
    return db
  }

  #mayWrite(device: string): boolean {
    const nowMs = this.#deps.clock.nowMs()
    const bucket = this.#writes.get(device) ?? new Bucket(writes, nowMs)
    this.#writes.set(device, bucket)
    if (bucket.waitMs(1, nowMs) > 0) return false
    bucket.take(1, nowMs)
    return true
  }

  #keep(db: DatabaseSync, principal: string, known: Known): void {
    const gone = this.#known.has(principal) ? undefined : this.#pushedOut(known.device, kindOf(principal))
    const { token, device, alone } = known
    db.exec('BEGIN IMMEDIATE')
    try {
      const raisedMs = this.#deps.clock.nowMs()
      db.prepare('INSERT OR REPLACE INTO fence VALUES (?, ?, ?)').run(principal, token, raisedMs)
      db.prepare('INSERT OR REPLACE INTO named VALUES (?, ?, ?)').run(principal, device, Number(alone))
      for (const table of gone === undefined ? [] : ['fence', 'named'])
        db.prepare(`DELETE FROM ${table} WHERE principal = ?`).run(gone ?? '')
      db.exec('COMMIT')
    } catch (error) {
      if (db.isTransaction) db.exec('ROLLBACK')
      throw error
    }
    if (gone !== undefined) this.#known.delete(gone)
    this.#known.delete(principal)
    this.#known.set(principal, known)
  }

  /** What is forgotten for one more of this kind that `device` is the first to name. */
  #pushedOut(device: string, kind: string): string | undefined {
    const same = [...this.#known].filter(
      ([principal, known]) => known.device === device && kindOf(principal) === kind,
    )
    if (same.length < (device === '' ? most.own : most.ofOther)) return undefined
    const alone = same.filter(([, known]) => known.alone)
    const [oldest] = alone.length * 2 > same.length ? alone : same
    return oldest?.[0]
  }
}

/** Agents and leases are counted apart. */
const kindOf = (principal: string) => principal.slice(0, principal.indexOf(':'))

function readAll(db: DatabaseSync): Map<string, Known> {
  const columns = 'principal, token, device, alone'
  const rows = db
    .prepare(`SELECT ${columns} FROM fence LEFT JOIN named USING (principal) ORDER BY raisedMs`)
    .all()
  return new Map(
    rows.map(({ principal, token, device, alone }) => [
      String(principal),
      { token: Number(token), device: String(device ?? ''), alone: alone !== 0 },
    ]),
  )
}
