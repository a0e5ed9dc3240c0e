/**
 * Which calls made use of a grant that counts them, and what people have answered: kept on the disk, so that a restart gives no agent a fresh rate, and a call that
 * is performed again after a crash is neither counted nor asked about twice.
 *
 * Invariants: [permit-6] a use is on the disk before what it allows is done; [permit-9] a clock that is set back frees no rate and blocks none
 * for longer than it lasts.
 */
import type { DatabaseSync } from 'node:sqlite'
import { openDatabaseFile } from '../../base/database-file.ts'
import type { Answered } from './approvals.ts'
import { rateMostMax } from './limits.ts'

const schema = `
  CREATE TABLE used (
    agent TEXT NOT NULL,
    capability TEXT NOT NULL,
    call TEXT NOT NULL,
    atMs REAL NOT NULL,
    approved INTEGER NOT NULL,
    PRIMARY KEY (agent, capability, call)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE answers (
    id TEXT PRIMARY KEY,
    answer TEXT NOT NULL,
    who TEXT NOT NULL,
    atMs REAL NOT NULL
  ) STRICT, WITHOUT ROWID;
`
/** The longest time that a rate counts in; as long a question may wait. */
const keptMs = 86_400_000

interface Use {
  readonly call: string
  atMs: number
  readonly approved: boolean
}

export class Uses implements Disposable {
  readonly #db: DatabaseSync
  readonly #byCapability = new Map<string, Use[]>()

  /** Every write is on the disk when it returns: there are as many as rates allow. Throws where the disk cannot be used. */
  static open(path: string, nowMs: number): { uses: Uses; recoveredFrom: string | undefined } {
    const file = { what: 'what agents have used', path, schema, version: 2, walPagesMax: 256 }
    const { db, recoveredFrom } = openDatabaseFile({ ...file, synchronous: 'full' }, nowMs)
    return { uses: new Uses(db, nowMs), recoveredFrom }
  }

  private constructor(db: DatabaseSync, nowMs: number) {
    this.#db = db
    db.prepare('DELETE FROM used WHERE atMs < ?').run(nowMs - keptMs)
    db.prepare('DELETE FROM answers WHERE atMs < ?').run(nowMs - 2 * keptMs)
    for (const row of db.prepare('SELECT * FROM used ORDER BY atMs').all()) {
      const use = { call: String(row['call']), atMs: Number(row['atMs']), approved: row['approved'] === 1 }
      this.#of(String(row['agent']), String(row['capability'])).push(use)
    }
  }

  /** When other calls than this one used it, milliseconds since the Unix epoch. */
  times(agent: string, capability: string, call: string, nowMs: number): readonly number[] {
    const uses = this.#of(agent, capability)
    // Before the clock was set back: as if just now.
    for (const use of uses) use.atMs = Math.min(use.atMs, nowMs)
    return uses.filter((use) => use.call !== call).map(({ atMs }) => atMs)
  }

  isApproved(agent: string, capability: string, call: string): boolean {
    return this.#of(agent, capability).some((use) => use.call === call && use.approved)
  }

  has(agent: string, capability: string, call: string): boolean {
    return this.#of(agent, capability).some((use) => use.call === call)
  }

  /** `approved`: by a person, for this call. */
  add(agent: string, capability: string, call: string, nowMs: number, approved = false): void {
    const uses = this.#of(agent, capability)
    if (this.has(agent, capability, call)) return
    uses.push({ call, atMs: nowMs, approved })
    this.#db
      .prepare('INSERT OR IGNORE INTO used VALUES (?, ?, ?, ?, ?)')
      .run(agent, capability, call, nowMs, Number(approved))
    while (uses.length > rateMostMax || (uses[0]?.atMs ?? nowMs) < nowMs - keptMs) {
      const [gone] = uses.splice(0, 1)
      if (!gone) break
      this.#db
        .prepare('DELETE FROM used WHERE agent = ? AND capability = ? AND call = ?')
        .run(agent, capability, gone.call)
    }
  }

  answer(id: string): Answered | undefined {
    const row = this.#db.prepare('SELECT answer, who FROM answers WHERE id = ?').get(id)
    return row && { answer: String(row['answer']), by: String(row['who']) }
  }

  keepAnswer(id: string, { answer, by }: Answered, nowMs: number): void {
    this.#db.prepare('DELETE FROM answers WHERE atMs < ?').run(nowMs - 2 * keptMs)
    this.#db.prepare('INSERT INTO answers VALUES (?, ?, ?, ?)').run(id, answer, by, nowMs)
  }

  [Symbol.dispose](): void {
    if (this.#db.isOpen) this.#db.close()
  }

  #of(agent: string, capability: string): Use[] {
    const key = `${agent} ${capability}`
    let uses = this.#byCapability.get(key)
    if (!uses) {
      uses = []
      this.#byCapability.set(key, uses)
    }
    return uses
  }
}
