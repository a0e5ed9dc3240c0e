/**
 * What agents leave on the disk: their programs, the last image of each, the turns since, the calls that wait for an answer.
 *
 * Invariants: [agent-store-1] a turn, what it asked for and what it settled are written together or not at all;
 * [agent-store-2] `durable()` resolves when all that was written before is on the disk, and blocks nothing meanwhile;
 * [agent-store-3] an image replaces the turns it includes in one step.
 *
 * SQLite's log is synced here and not by each commit: one sync serves all turns that gathered while the last one ran, and it
 * runs beside the control loop (fdatasync in Node's thread pool), which an SD card would otherwise hold up for 20 ms a turn.
 * https://www.sqlite.org/wal.html: a commit whose frames are not whole in the log is no commit when the file is next opened.
 */
import { type FileHandle, open } from 'node:fs/promises'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { type OpenedFile, openDatabaseFile } from '../../base/database-file.ts'
import { type Call, type CallOp, type LogLine, type TurnInput, turnLimits } from '../turn.ts'

const schema = `
  CREATE TABLE program (
    hash TEXT PRIMARY KEY,
    bytes BLOB NOT NULL
  ) STRICT;
  CREATE TABLE agent (
    name TEXT PRIMARY KEY,
    program TEXT NOT NULL REFERENCES program (hash),
    grants TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    token INTEGER NOT NULL,
    seed INTEGER NOT NULL,
    turn INTEGER NOT NULL,
    nowMs REAL NOT NULL,
    startedMs REAL NOT NULL
  ) STRICT;
  CREATE TABLE image (
    agent TEXT PRIMARY KEY REFERENCES agent (name) ON DELETE CASCADE,
    turn INTEGER NOT NULL,
    sealed BLOB NOT NULL
  ) STRICT;
  CREATE TABLE turn (
    agent TEXT NOT NULL REFERENCES agent (name) ON DELETE CASCADE,
    turn INTEGER NOT NULL,
    nowMs REAL NOT NULL,
    inputs TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (agent, turn)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE call (
    agent TEXT NOT NULL REFERENCES agent (name) ON DELETE CASCADE,
    id INTEGER NOT NULL,
    op TEXT NOT NULL,
    args TEXT NOT NULL,
    stream INTEGER NOT NULL,
    askedMs REAL NOT NULL,
    PRIMARY KEY (agent, id)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE log (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    agent TEXT NOT NULL REFERENCES agent (name) ON DELETE CASCADE,
    atMs REAL NOT NULL,
    level TEXT NOT NULL,
    text TEXT NOT NULL
  ) STRICT;
  CREATE INDEX log_by_agent ON log (agent, seq);
`

export const agentStates = ['running', 'stopped', 'ended', 'failed'] as const
export type AgentState = (typeof agentStates)[number]

export interface StoredAgent {
  readonly name: string
  /** SHA-256 of its bundle, hex. */
  readonly program: string
  /** JSON of what it may do. */
  readonly grants: string
  readonly state: AgentState
  /** Why it is not running; what it returned where it ended. */
  readonly reason: string | undefined
  readonly token: number
  readonly seed: number
  /** Turns taken so far. */
  readonly turn: number
  /** What the agent last saw as now, milliseconds. It never goes back. */
  readonly nowMs: number
  readonly startedMs: number
}

export interface StoredTurn {
  readonly turn: number
  readonly nowMs: number
  readonly inputs: readonly TurnInput[]
  /** SHA-256 of the output: the same turn again must say the same. */
  readonly digest: string
}

export interface StoredCall extends Call {
  readonly askedMs: number
}

export interface CommittedTurn extends StoredTurn {
  readonly agent: string
  readonly asked: readonly Call[]
  /** Ids of calls that are answered or left. */
  readonly over: readonly number[]
  readonly log: readonly LogLine[]
}

/** Lines kept of each agent. */
const logLinesMax = 1_000
/** Where it all is, in its directory. */
export const agentsFile = 'agents.db'

export class AgentStore implements AsyncDisposable {
  readonly #db: DatabaseSync
  readonly #wal: FileHandle
  readonly #statements = new Map<string, StatementSync>()
  #syncing: Promise<void> | undefined
  #next: Promise<void> | undefined

  private constructor(db: DatabaseSync, wal: FileHandle) {
    this.#db = db
    this.#wal = wal
  }

  /** `recoveredFrom`: where a file that could not be trusted was put. Throws where the disk cannot be used. */
  static async open(
    directory: string,
    nowMs: number,
  ): Promise<{ store: AgentStore; recoveredFrom?: string | undefined }> {
    const path = `${directory}/${agentsFile}`
    const file = { what: 'what agents left', path, schema, version: 1, walPagesMax: 1_024 }
    const { db, recoveredFrom }: OpenedFile = openDatabaseFile({ ...file, synchronous: 'normal' }, nowMs)
    db.exec('PRAGMA foreign_keys = ON')
    // The log exists from the first write on.
    db.exec('CREATE TABLE IF NOT EXISTS opened (nowMs REAL) STRICT; DELETE FROM opened')
    db.prepare('INSERT INTO opened VALUES (?)').run(nowMs)
    const store = new AgentStore(db, await open(`${path}-wal`, 'r+'))
    await store.durable()
    return { store, recoveredFrom }
  }

  /** Resolves when everything written before this call is on the disk. Rejects where the disk refuses. */
  durable(): Promise<void> {
    if (!this.#syncing) {
      this.#syncing = this.#sync()
      return this.#syncing
    }
    // What was written since that sync began may have missed it: the next one serves all who ask meanwhile.
    this.#next ??= this.#syncing
      .catch(() => {})
      .then(() => {
        this.#next = undefined
        this.#syncing = this.#sync()
        return this.#syncing
      })
    return this.#next
  }

  async #sync(): Promise<void> {
    try {
      await this.#wal.datasync()
    } finally {
      this.#syncing = undefined
    }
  }

  addProgram(hash: string, bytes: Uint8Array): void {
    this.#run('INSERT OR IGNORE INTO program VALUES (?, ?)', hash, bytes)
  }

  program(hash: string): Uint8Array | undefined {
    return this.#get('SELECT bytes FROM program WHERE hash = ?', hash)?.['bytes'] as Uint8Array | undefined
  }

  /** A new agent, or a stopped one that begins anew: what it had is gone. */
  begin(agent: StoredAgent): void {
    this.#transaction(() => {
      this.#run('DELETE FROM agent WHERE name = ?', agent.name)
      const { name, program, grants, state, reason, token, seed, turn, nowMs, startedMs } = agent
      this.#run(
        'INSERT INTO agent VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
        ...[name, program, grants, state, reason ?? null, token, seed, turn, nowMs, startedMs],
      )
      this.#run('DELETE FROM program WHERE hash NOT IN (SELECT program FROM agent)')
    })
  }

  remove(name: string): void {
    this.#run('DELETE FROM agent WHERE name = ?', name)
  }

  agents(): StoredAgent[] {
    return this.#all('SELECT * FROM agent ORDER BY name').map(agentOf)
  }

  agent(name: string): StoredAgent | undefined {
    const row = this.#get('SELECT * FROM agent WHERE name = ?', name)
    return row && agentOf(row)
  }

  setState(name: string, state: AgentState, reason: string | undefined): void {
    this.#run('UPDATE agent SET state = ?, reason = ? WHERE name = ?', state, reason ?? null, name)
  }

  setGrants(name: string, grants: string): void {
    this.#run('UPDATE agent SET grants = ? WHERE name = ?', grants, name)
  }

  /** Writes a turn; follow it with `durable()` before anything of it is done. */
  commit({ agent, turn, nowMs, inputs, digest, asked, over, log }: CommittedTurn): void {
    this.#transaction(() => {
      this.#run('INSERT INTO turn VALUES (?, ?, ?, ?, ?)', agent, turn, nowMs, JSON.stringify(inputs), digest)
      this.#run('UPDATE agent SET turn = ?, nowMs = ? WHERE name = ?', turn, nowMs, agent)
      for (const id of over) this.#run('DELETE FROM call WHERE agent = ? AND id = ?', agent, id)
      for (const { id, op, args, stream } of asked) {
        const text = JSON.stringify(args)
        this.#run('INSERT INTO call VALUES (?, ?, ?, ?, ?, ?)', agent, id, op, text, stream ? 1 : 0, nowMs)
      }
      this.#log(agent, nowMs, log)
    })
  }

  addLog(agent: string, atMs: number, lines: readonly LogLine[]): void {
    this.#transaction(() => this.#log(agent, atMs, lines))
  }

  log(agent: string, most: number): { atMs: number; level: string; text: string }[] {
    const rows = this.#all('SELECT * FROM log WHERE agent = ? ORDER BY seq DESC LIMIT ?', agent, most)
    return rows
      .reverse()
      .map((row) => ({ atMs: Number(row['atMs']), level: String(row['level']), text: String(row['text']) }))
  }

  /** Turns after the image, in order. */
  turns(agent: string): StoredTurn[] {
    return this.#all('SELECT * FROM turn WHERE agent = ? ORDER BY turn', agent).map((row) => ({
      turn: Number(row['turn']),
      nowMs: Number(row['nowMs']),
      inputs: JSON.parse(String(row['inputs'])),
      digest: String(row['digest']),
    }))
  }

  calls(agent: string): StoredCall[] {
    return this.#all('SELECT * FROM call WHERE agent = ? ORDER BY id', agent).map((row) => ({
      id: Number(row['id']),
      op: String(row['op']) as CallOp,
      args: JSON.parse(String(row['args'])),
      ...(row['stream'] === 1 ? { stream: true as const } : {}),
      askedMs: Number(row['askedMs']),
    }))
  }

  image(agent: string): { readonly turn: number; readonly sealed: Uint8Array } | undefined {
    const row = this.#get('SELECT turn, sealed FROM image WHERE agent = ?', agent)
    return row && { turn: Number(row['turn']), sealed: row['sealed'] as Uint8Array }
  }

  /** Keeps the image of an agent after `turn`; the turns up to there are no longer needed. */
  keepImage(agent: string, turn: number, sealed: Uint8Array): void {
    this.#transaction(() => {
      this.#run('INSERT OR REPLACE INTO image VALUES (?, ?, ?)', agent, turn, sealed)
      this.#run('DELETE FROM turn WHERE agent = ? AND turn <= ?', agent, turn)
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#db.isOpen) return
    await this.durable().catch(() => {})
    await this.#wal.close()
    this.#db.close()
  }

  #log(agent: string, atMs: number, lines: readonly LogLine[]): void {
    if (lines.length === 0) return
    for (const { level, text } of lines)
      this.#run(
        'INSERT INTO log (agent, atMs, level, text) VALUES (?, ?, ?, ?)',
        ...[agent, atMs, level, text.slice(0, turnLimits.logCharsMax)],
      )
    const oldest = 'SELECT seq FROM log WHERE agent = ? ORDER BY seq DESC LIMIT 1 OFFSET ?'
    this.#run(`DELETE FROM log WHERE agent = ? AND seq <= (${oldest})`, agent, agent, logLinesMax)
  }

  #transaction(work: () => void): void {
    this.#db.exec('BEGIN IMMEDIATE')
    try {
      work()
      this.#db.exec('COMMIT')
    } catch (error) {
      this.#db.exec('ROLLBACK')
      throw error
    }
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql)
    if (!statement) {
      statement = this.#db.prepare(sql)
      this.#statements.set(sql, statement)
    }
    return statement
  }

  #run(sql: string, ...values: (string | number | null | Uint8Array)[]): void {
    this.#prepare(sql).run(...values)
  }
  #get(sql: string, ...values: (string | number)[]) {
    return this.#prepare(sql).get(...values)
  }
  #all(sql: string, ...values: (string | number)[]) {
    return this.#prepare(sql).all(...values)
  }
}

function agentOf(row: Record<string, unknown>): StoredAgent {
  return {
    name: String(row['name']),
    program: String(row['program']),
    grants: String(row['grants']),
    state: String(row['state']) as AgentState,
    reason: row['reason'] === null ? undefined : String(row['reason']),
    token: Number(row['token']),
    seed: Number(row['seed']),
    turn: Number(row['turn']),
    nowMs: Number(row['nowMs']),
    startedMs: Number(row['startedMs']),
  }
}
