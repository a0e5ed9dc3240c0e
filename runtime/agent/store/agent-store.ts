/**
 * What agents leave on the disk: their programs, the last image of each, the turns since, the calls that wait for an answer.
 *
 * Invariants: [agent-store-1] a turn, what it asked for, what it settled and whether it was the last are written together or not
 * at all; [agent-store-2] `durable()` resolves when all that was written before is on the disk, and blocks nothing meanwhile;
 * [agent-store-3] an image replaces the turns it includes in one step; [agent-store-4] a disk that is full refuses a turn whole,
 * and takes it when there is room again; [agent-store-5] after a sync that failed nothing more is written or promised: what the
 * kernel kept of it nobody knows, and a second sync may claim success (Rebello et al., "Can Applications Recover from fsync
 * Failures?", USENIX ATC 2020); [agent-store-6] no token is given twice, also where an agent was removed and came back.
 *
 * SQLite's log is synced here and not by each commit: one sync serves all turns that gathered while the last one ran, and it
 * runs beside the control loop (fdatasync in Node's thread pool), which an SD card would otherwise hold up for 20 ms a turn.
 * https://www.sqlite.org/wal.html: a commit whose frames are not whole in the log is no commit when the file is next opened.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { type OpenedFile, openDatabaseFile } from '../../base/database-file.ts'
import { syncDirectory } from '../../base/durable-file.ts'
import { CodedError, messageOf } from '../../base/errors.ts'
import { WalSync } from '../../base/wal-sync.ts'
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
    startedMs REAL NOT NULL,
    restartsMax INTEGER NOT NULL,
    restarts TEXT NOT NULL
  ) STRICT;
  CREATE TABLE fence (
    token INTEGER NOT NULL
  ) STRICT;
  INSERT INTO fence VALUES (0);
  CREATE TABLE opened (
    nowMs REAL NOT NULL
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
    begun INTEGER NOT NULL,
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

export type StoreErrorCode = 'full' | 'broken' | 'closed'
/** `full` is retryable: nothing was written, and there may be room later. */
export class StoreError extends CodedError<StoreErrorCode> {
  override readonly name = 'StoreError'
}

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
  /** Grows with each beginning, of any agent. */
  readonly token: number
  readonly seed: number
  /** Turns taken so far. */
  readonly turn: number
  /** What the agent last saw as now, milliseconds. It never goes back. */
  readonly nowMs: number
  readonly startedMs: number
  /** How often in an hour it begins anew where it fails. */
  readonly restartsMax: number
  /** When it did, in the last hour, milliseconds. */
  readonly restarts: readonly number[]
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

/** A call that waits. `begun`: it may have been asked of its service already. */
export interface WaitingCall {
  readonly call: StoredCall
  readonly begun: boolean
}

export interface CommittedTurn extends StoredTurn {
  readonly agent: string
  readonly asked: readonly Call[]
  /** Ids of calls that are answered or left. */
  readonly over: readonly number[]
  readonly log: readonly LogLine[]
  /** What it asked for is not performed yet: the agent is stopping. */
  readonly held: boolean
  /** It was the last: nothing of the agent waits any more. */
  readonly end?: { readonly state: 'ended' | 'failed'; readonly reason: string }
}

export interface StoreOptions {
  readonly directory: string
  /** Size of the file. More is refused as a full disk is. */
  readonly bytesMax: number
}

/** Lines kept of each agent. */
const logLinesMax = 1_000
const pageBytes = 4_096
/** Where it all is, in its directory. */
export const agentsFile = 'agents.db'

export class AgentStore implements AsyncDisposable {
  readonly #db: DatabaseSync
  readonly #sync: WalSync
  readonly #statements = new Map<string, StatementSync>()
  #refusal: StoreError | undefined
  #closing: Promise<void> | undefined

  private constructor(db: DatabaseSync, sync: WalSync) {
    this.#db = db
    this.#sync = sync
  }

  /** `recoveredFrom`: where a file that could not be trusted was put. Throws where the disk cannot be used. */
  static async open(
    { directory, bytesMax }: StoreOptions,
    nowMs: number,
  ): Promise<{ store: AgentStore; recoveredFrom?: string | undefined }> {
    const path = `${directory}/${agentsFile}`
    const file = { what: 'what agents left', path, schema, version: 1, walPagesMax: 1_024 }
    const { db, recoveredFrom }: OpenedFile = openDatabaseFile({ ...file, synchronous: 'normal' }, nowMs)
    try {
      db.exec('PRAGMA foreign_keys = ON')
      db.exec(`PRAGMA max_page_count = ${Math.ceil(bytesMax / pageBytes)}`)
      // The log exists from the first write on.
      db.exec('BEGIN IMMEDIATE; DELETE FROM opened')
      db.prepare('INSERT INTO opened VALUES (?)').run(nowMs)
      db.exec('COMMIT')
      const store = new AgentStore(db, await WalSync.open(path))
      await store.durable()
      await syncDirectory(directory)
      return { store, recoveredFrom }
    } catch (error) {
      db.close()
      throw error
    }
  }

  /** Resolves when everything written before this call is on the disk. Throws StoreError `broken`, `closed`. */
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

  program(hash: string): Uint8Array | undefined {
    return this.#get('SELECT bytes FROM program WHERE hash = ?', hash)?.['bytes'] as Uint8Array | undefined
  }

  /** A new agent, or a stopped one that begins anew: what it had is gone. Gives it with its token. */
  begin(agent: Omit<StoredAgent, 'token'>, bundle: Uint8Array): StoredAgent {
    return this.#transaction(() => {
      this.#run('UPDATE fence SET token = token + 1')
      const token = Number(this.#get('SELECT token FROM fence')?.['token'])
      const { name, program, grants, state, reason, seed, turn, nowMs, startedMs } = agent
      this.#run('INSERT OR IGNORE INTO program VALUES (?, ?)', program, bundle)
      this.#run('DELETE FROM agent WHERE name = ?', name)
      this.#run(
        'INSERT INTO agent VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
        ...[name, program, grants, state, reason ?? null, token, seed, turn, nowMs, startedMs],
        ...[agent.restartsMax, JSON.stringify(agent.restarts)],
      )
      this.#forgetPrograms()
      return { ...agent, token }
    })
  }

  /** It, and all it left but its token. */
  remove(name: string): void {
    this.#transaction(() => {
      this.#run('DELETE FROM agent WHERE name = ?', name)
      this.#forgetPrograms()
    })
  }

  agents(): StoredAgent[] {
    return this.#all('SELECT * FROM agent ORDER BY name').map(agentOf)
  }

  agent(name: string): StoredAgent | undefined {
    const row = this.#get('SELECT * FROM agent WHERE name = ?', name)
    return row && agentOf(row)
  }

  setState(name: string, state: AgentState, reason: string | undefined): void {
    this.#transaction(() => this.#setState(name, state, reason))
  }

  setGrants(name: string, grants: string): void {
    this.#transaction(() => this.#run('UPDATE agent SET grants = ? WHERE name = ?', grants, name))
  }

  /** Writes a turn; follow it with `durable()` before anything of it is done. Throws StoreError: then nothing of it is written. */
  commit({ agent, turn, nowMs, inputs, digest, asked, over, log, held, end }: CommittedTurn): void {
    this.#transaction(() => {
      this.#run('INSERT INTO turn VALUES (?, ?, ?, ?, ?)', agent, turn, nowMs, JSON.stringify(inputs), digest)
      this.#run('UPDATE agent SET turn = ?, nowMs = ? WHERE name = ?', turn, nowMs, agent)
      for (const id of over) this.#run('DELETE FROM call WHERE agent = ? AND id = ?', agent, id)
      for (const { id, op, args, stream } of asked)
        this.#run(
          'INSERT INTO call VALUES (?, ?, ?, ?, ?, ?, ?)',
          ...[agent, id, op, JSON.stringify(args), stream ? 1 : 0, nowMs, held ? 0 : 1],
        )
      this.#log(agent, nowMs, log)
      if (!end) return
      this.#run('DELETE FROM call WHERE agent = ?', agent)
      this.#setState(agent, end.state, end.reason)
    })
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

  /** What waits for an answer, in the order in which it was asked. */
  calls(agent: string): WaitingCall[] {
    return this.#all('SELECT * FROM call WHERE agent = ? ORDER BY id', agent).map((row) => ({
      call: {
        id: Number(row['id']),
        op: String(row['op']) as CallOp,
        args: JSON.parse(String(row['args'])),
        ...(row['stream'] === 1 ? { stream: true as const } : {}),
        askedMs: Number(row['askedMs']),
      },
      begun: row['begun'] === 1,
    }))
  }

  /** Of calls that were held: from now on they may have been asked of their services. */
  begun(agent: string): void {
    this.#transaction(() => this.#run('UPDATE call SET begun = 1 WHERE agent = ?', agent))
  }

  /** The turn after which the image was taken; 0 where there is none. */
  imageTurn(agent: string): number {
    return Number(this.#get('SELECT turn FROM image WHERE agent = ?', agent)?.['turn'] ?? 0)
  }

  image(agent: string): Uint8Array | undefined {
    return this.#get('SELECT sealed FROM image WHERE agent = ?', agent)?.['sealed'] as Uint8Array | undefined
  }

  /** Keeps the image of an agent after `turn`; the turns up to there are no longer needed. */
  keepImage(agent: string, turn: number, sealed: Uint8Array): void {
    this.#transaction(() => {
      this.#run('INSERT OR REPLACE INTO image VALUES (?, ?, ?)', agent, turn, sealed)
      this.#run('DELETE FROM turn WHERE agent = ? AND turn <= ?', agent, turn)
    })
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

  #setState(name: string, state: AgentState, reason: string | undefined): void {
    this.#run('UPDATE agent SET state = ?, reason = ? WHERE name = ?', state, reason ?? null, name)
  }

  #forgetPrograms(): void {
    this.#run('DELETE FROM program WHERE hash NOT IN (SELECT program FROM agent)')
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

  #transaction<T>(work: () => T): T {
    if (this.#refusal) throw this.#refusal
    try {
      this.#db.exec('BEGIN IMMEDIATE')
      const result = work()
      this.#db.exec('COMMIT')
      return result
    } catch (error) {
      // A disk that is full has rolled it back already.
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK')
      if (!isDiskFault(error)) throw error
      throw new StoreError('full', `the disk takes no more: ${messageOf(error)}`, {
        retryable: true,
        cause: error,
      })
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

/** SQLITE_FULL and SQLITE_IOERR: https://www.sqlite.org/rescode.html. A read-only disk is as good as a full one. */
const diskFaults = [8, 10, 13]

function isDiskFault(error: unknown): boolean {
  const code = (error as { errcode?: unknown }).errcode
  return typeof code === 'number' && diskFaults.includes(code & 0xff)
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
    restartsMax: Number(row['restartsMax']),
    restarts: JSON.parse(String(row['restarts'])),
  }
}
