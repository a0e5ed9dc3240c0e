/**
 * What agents remember, in a file of its own (`memory.db`), so that it can be erased apart from all else: values under keys,
 * episodes with an index of their words, vectors of episodes, and the thoughts that are under way. Invariants: README.md.
 */
import { readdirSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { DatabaseSync } from 'node:sqlite'
import { setImmediate } from 'node:timers/promises'
import { openDatabaseFile } from '../../base/database-file.ts'
import { Erasure, openingBytesMax } from '../../base/erasure.ts'
import { WalSync } from '../../base/wal-sync.ts'
import type { Json, Privacy } from '../contract.ts'
import { asStoreError } from '../store/store-file.ts'
import { type PackedMemory, packRows, unpackRows } from './carry.ts'
import { bytesOf, MemoryError, memoryLimits, personOf, refuseKey, refuseLong } from './limits.ts'
import { Recall } from './recall.ts'
import { type Row, Statements, type Value } from './statements.ts'

const schema = `
  CREATE TABLE pair (
    agent TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    privacy TEXT NOT NULL,
    person TEXT,
    PRIMARY KEY (agent, key)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX pair_by_person ON pair (person) WHERE person IS NOT NULL;
  CREATE TABLE episode (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    agent TEXT NOT NULL,
    text TEXT NOT NULL,
    privacy TEXT NOT NULL,
    about TEXT,
    person TEXT,
    tsMs REAL NOT NULL
  ) STRICT;
  CREATE INDEX episode_by_agent ON episode (agent, seq);
  CREATE INDEX episode_by_person ON episode (person) WHERE person IS NOT NULL;
  CREATE TABLE vector (seq INTEGER PRIMARY KEY, agent TEXT NOT NULL, bytes BLOB NOT NULL) STRICT;
  CREATE INDEX vector_by_agent ON vector (agent);
  CREATE VIRTUAL TABLE words USING fts5(
    text, content='episode', content_rowid='seq', tokenize="unicode61 remove_diacritics 2"
  );
  INSERT INTO words (words, rank) VALUES ('secure-delete', 1);
  CREATE TRIGGER episode_added AFTER INSERT ON episode BEGIN
    INSERT INTO words (rowid, text) VALUES (new.seq, new.text);
  END;
  CREATE TRIGGER episode_erased AFTER DELETE ON episode BEGIN
    INSERT INTO words (words, rowid, text) VALUES ('delete', old.seq, old.text);
    DELETE FROM vector WHERE seq = old.seq;
  END;
  CREATE TABLE performed (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    agent TEXT NOT NULL,
    call TEXT NOT NULL,
    result TEXT NOT NULL,
    UNIQUE (agent, call)
  ) STRICT;
  CREATE TABLE thought (
    agent TEXT NOT NULL,
    call TEXT NOT NULL,
    step INTEGER NOT NULL,
    entry TEXT NOT NULL,
    PRIMARY KEY (agent, call, step)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE reply (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    agent TEXT NOT NULL,
    key TEXT NOT NULL,
    answer TEXT NOT NULL,
    UNIQUE (agent, key)
  ) STRICT;
  CREATE TABLE thought_end (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    agent TEXT NOT NULL,
    call TEXT NOT NULL,
    result TEXT NOT NULL
  ) STRICT;
`

/** Which call writes: `call` is the same when it is performed again after a crash, and of no other call of that agent. */
export interface Writer {
  readonly agent: string
  readonly call: string
}
export interface Labels {
  readonly privacy: Privacy
  /** The person it is about. */
  readonly about?: string | undefined
}
interface Held {
  keys: number
  episodes: number
  bytes: number
}

const fileName = 'memory.db'
/** Episodes that are erased without a stop. */
const episodesSlice = 4
/** Thoughts of one agent that ended of which its own disk may not know yet: many times those that are under way at once. */
const thoughtEndsMax = 64
/** The same of its answers to others: as many as may wait for one. Who asked for the most makes room. */
const repliesMax = 64
const askerOfReply = "substr(key, 1, instr(key, '/'))"

export class MemoryStore implements AsyncDisposable {
  readonly recall: Recall
  readonly #db: DatabaseSync
  readonly #path: string
  readonly #sync: WalSync
  readonly #erasure: Erasure
  readonly #sql: Statements
  readonly #held = new Map<string, Held>()
  readonly #closing = new AbortController()

  private constructor(db: DatabaseSync, path: string, sync: WalSync, erasure: Erasure) {
    this.#db = db
    this.#sql = new Statements(db)
    this.recall = new Recall(this.#sql)
    this.#path = path
    this.#sync = sync
    this.#erasure = erasure
  }

  /** `recoveredFrom`: where a file that could not be trusted was put. Throws where the disk cannot be used. */
  static async open(
    directory: string,
    nowMs: number,
  ): Promise<{ readonly store: MemoryStore; readonly recoveredFrom?: string | undefined }> {
    const path = join(directory, fileName)
    const file = { what: 'what agents remember', path, schema, version: 1, walPagesMax: 1_024 }
    const { db, recoveredFrom } = openDatabaseFile({ ...file, synchronous: 'normal' }, nowMs)
    try {
      // The log exists from the first write on.
      db.exec('CREATE TABLE IF NOT EXISTS opened (nowMs REAL) STRICT; DELETE FROM opened')
      db.prepare('INSERT INTO opened VALUES (?)').run(nowMs)
      const erasure = Erasure.open(db)
      const store = new MemoryStore(db, path, await WalSync.open(path), erasure)
      // What was being erased as the power was cut. A disk that is full still: another time.
      if (store.#erasure.isMarked) await store.clear(openingBytesMax).catch(() => {})
      return { store, recoveredFrom }
    } catch (error) {
      db.close()
      throw asStoreError(error)
    }
  }

  /** Aborts when it is closed: whoever waits to write here waits no longer. */
  get closing(): AbortSignal {
    return this.#closing.signal
  }

  /** Resolves when everything written before this call is on the disk. */
  durable(): Promise<void> {
    return this.#sync.durable()
  }

  get(agent: string, key: string): { readonly value: Json; readonly privacy: Privacy } | undefined {
    const row = this.#sql.get('SELECT value, privacy FROM pair WHERE agent = ? AND key = ?', agent, key)
    return row && { value: JSON.parse(String(row['value'])), privacy: row['privacy'] as Privacy }
  }

  /** Throws MemoryError `limit`, `bad-request`. */
  set(writer: Writer, key: string, value: Json, { privacy, about }: Labels): void {
    const { agent } = writer
    refuseKey(key)
    const text = JSON.stringify(value)
    refuseLong('a value', bytesOf(text), memoryLimits.valueBytesMax)
    const person = personOf(about)
    this.#once(writer, () => {
      const before = this.#sql.get('SELECT value FROM pair WHERE agent = ? AND key = ?', agent, key)
      const bytes = bytesOf(text) - (before ? bytesOf(String(before['value'])) : -bytesOf(key))
      this.#room(agent, { keys: before ? 0 : 1, episodes: 0, bytes })
      this.#sql.run('INSERT OR REPLACE INTO pair VALUES (?, ?, ?, ?, ?)', agent, key, text, privacy, person)
      return null
    })
  }

  delete(writer: Writer, key: string): void {
    const { agent } = writer
    this.#once(writer, () => {
      this.#sql.run('DELETE FROM pair WHERE agent = ? AND key = ?', agent, key)
      return null
    })
    this.#held.delete(agent)
  }

  keys(agent: string, prefix: string): string[] {
    const sql = 'SELECT key FROM pair WHERE agent = ? AND substr(key, 1, length(?)) = ? ORDER BY key'
    return this.#sql.all(sql, agent, prefix, prefix).map(({ key }) => String(key))
  }

  /** Appends. The same call again gives the same id and appends nothing. Throws MemoryError `limit`, `bad-request`. */
  note(writer: Writer, text: string, { privacy, about }: Labels, tsMs: number): string {
    const { agent } = writer
    refuseLong('a text', bytesOf(text), memoryLimits.textBytesMax)
    const person = personOf(about)
    return String(
      this.#once(writer, () => {
        this.#room(agent, { keys: 0, episodes: 1, bytes: bytesOf(text) })
        const sql =
          'INSERT INTO episode (agent, text, privacy, about, person, tsMs) VALUES (?, ?, ?, ?, ?, ?)'
        return this.#sql.run(sql, agent, text, privacy, about ?? null, person, tsMs)
      }),
    )
  }

  /**
   * Erases what one agent remembers about a person, a few rows at a time. Returns how much went; the same call again gives the same
   * number. Bytes of it may be left in the file until `clear`.
   */
  async forget(writer: Writer, about: string): Promise<number> {
    const { agent } = writer
    const { where, values } = aboutWhom(about, agent)
    const first = this.#performed(writer) ? 0 : await this.#eraseEpisodes(where, values)
    const went = Number(this.#once(writer, () => first + this.#forget(about, agent)))
    this.#held.delete(agent)
    return went
  }

  /** Erases what every agent here remembers about a person: it is then in no page of the file and not in its log. Throws StoreError. */
  async forgetEverywhere(about: string): Promise<number> {
    const { where, values } = aboutWhom(about)
    const first = await this.#eraseEpisodes(where, values)
    const went = first + this.#transaction(() => this.#forget(about))
    this.#held.clear()
    await this.clear(openingBytesMax)
    return went
  }

  /** Erases all that an agent left; it can be said again where that was cut short. Throws StoreError. */
  async remove(agent: string): Promise<void> {
    await this.#erase(agent)
    await this.clear()
  }

  /** Throws StoreError: what was erased stays marked, and is cleared the next time; so does a file that is too large to hold all else up. */
  async clear(bytesMax?: number): Promise<void> {
    if (!this.#db.isOpen) return
    // Files that could not be trusted were put aside with everything in them.
    const aside = `${basename(this.#path)}.`
    for (const name of readdirSync(dirname(this.#path)))
      if (name.startsWith(aside)) rmSync(join(dirname(this.#path), name))
    try {
      this.#erasure.clear(bytesMax)
    } catch (error) {
      throw asStoreError(error)
    }
  }

  /** All that an agent left, for another device. */
  pack(agent: string): PackedMemory {
    return packRows((sql) => this.#sql.all(sql, agent))
  }

  /** In place of what there is of it here. */
  async unpack(agent: string, packed: PackedMemory): Promise<void> {
    await this.#erase(agent)
    // One that comes for the first time left nothing.
    if (this.#erasure.isMarked) await this.clear()
    this.#transaction(() => unpackRows(packed, agent, (sql, ...values) => this.#sql.run(sql, ...values)))
    this.#held.delete(agent)
  }

  // Thoughts under way: what a model said and what its tools gave, in order

  thought({ agent, call }: Writer): Json[] {
    const sql = 'SELECT step, entry FROM thought WHERE agent = ? AND call = ? ORDER BY step'
    const rows = this.#sql.all(sql, agent, call)
    if (rows.every(({ step }, at) => step === at)) return rows.map(({ entry }) => JSON.parse(String(entry)))
    // Its beginning was forgotten with somebody: what it did afterwards means nothing.
    this.#sql.run('DELETE FROM thought WHERE agent = ? AND call = ?', agent, call)
    return []
  }

  keepThought({ agent, call }: Writer, step: number, entry: Json): void {
    this.#sql.run(
      'INSERT OR REPLACE INTO thought VALUES (?, ?, ?, ?)',
      agent,
      call,
      step,
      JSON.stringify(entry),
    )
  }

  /** Its steps go; how it ended is kept, for when nobody was told before the power went. */
  endThought({ agent, call }: Writer, result: Json): void {
    this.#transaction(() => {
      this.#sql.run('DELETE FROM thought WHERE agent = ? AND call = ?', agent, call)
      const text = JSON.stringify(result)
      this.#sql.run('INSERT INTO thought_end (agent, call, result) VALUES (?, ?, ?)', agent, call, text)
      const oldest = 'SELECT seq FROM thought_end WHERE agent = ? ORDER BY seq DESC LIMIT 1 OFFSET ?'
      this.#sql.run(
        `DELETE FROM thought_end WHERE agent = ? AND seq <= (${oldest})`,
        agent,
        agent,
        thoughtEndsMax,
      )
    })
  }

  thoughtEnd({ agent, call }: Writer): Json | undefined {
    const row = this.#sql.get('SELECT result FROM thought_end WHERE agent = ? AND call = ?', agent, call)
    return row && JSON.parse(String(row['result']))
  }

  /** Steps of thoughts that an earlier run of the agent left. */
  dropThoughts(agent: string, askedBeforeMs: number): void {
    const askedMs = "CAST(substr(call, instr(call, '@') + 1) AS REAL)"
    this.#sql.run(`DELETE FROM thought WHERE agent = ? AND ${askedMs} < ?`, agent, askedBeforeMs)
  }

  // Answers of an agent to others, for when the power goes before these are told

  /** The first answer to a call stands. */
  keepReply(agent: string, key: string, answer: Json): void {
    const text = JSON.stringify(answer)
    refuseLong('an answer', bytesOf(text), memoryLimits.valueBytesMax)
    this.#transaction(() => {
      this.#sql.run('INSERT OR IGNORE INTO reply (agent, key, answer) VALUES (?, ?, ?)', agent, key, text)
      const isFull = '(SELECT COUNT(*) FROM reply WHERE agent = ?) > ?'
      const oldest = `SELECT MIN(seq) FROM reply WHERE agent = ? GROUP BY ${askerOfReply} ORDER BY COUNT(*) DESC, MIN(seq) LIMIT 1`
      this.#sql.run(`DELETE FROM reply WHERE ${isFull} AND seq = (${oldest})`, agent, repliesMax, agent)
    })
  }

  reply(agent: string, key: string): Json | undefined {
    const row = this.#sql.get('SELECT answer FROM reply WHERE agent = ? AND key = ?', agent, key)
    return row && JSON.parse(String(row['answer']))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new Error('the device is stopping'))
    if (!this.#db.isOpen) return
    await this.#sync.close()
    this.#db.close()
  }

  async #erase(agent: string): Promise<void> {
    await this.#eraseEpisodes('agent = ?', [agent])
    this.#transaction(() => {
      for (const table of ['pair', 'performed', 'thought', 'thought_end', 'reply'])
        this.#delete(`${table} WHERE agent = ?`, agent)
    })
    this.#held.delete(agent)
  }

  #forget(about: string, agent?: string): number {
    const { where, values } = aboutWhom(about, agent)
    let went = 0
    for (const table of ['pair', 'episode']) went += this.#delete(`${table} WHERE ${where}`, ...values)
    // What a thought holds is not known by person; one that is under way begins anew after a crash.
    const also = agent === undefined ? '' : ' WHERE agent = ?'
    for (const table of ['thought', 'thought_end', 'reply'])
      this.#delete(`${table}${also}`, ...values.slice(1))
    return went
  }

  /** An episode takes its words out of the index with it, which takes a fraction of a millisecond: a few, and then others. */
  async #eraseEpisodes(where: string, values: readonly (string | null)[]): Promise<number> {
    const few = `SELECT seq FROM episode WHERE ${where} LIMIT ${episodesSlice}`
    let went = 0
    for (let some = -1; some !== 0; went += some) {
      await setImmediate()
      some = this.#transaction(() => this.#delete(`episode WHERE seq IN (${few})`, ...values))
    }
    return went
  }

  /** How many rows went, whose bytes are to be cleared away. Within a transaction of the caller. */
  #delete(from: string, ...values: Value[]): number {
    const went = Number(this.#sql.prepare(`DELETE FROM ${from}`).run(...values).changes)
    if (went > 0) this.#erasure.mark()
    return went
  }

  #performed({ agent, call }: Writer): Row | undefined {
    return this.#sql.get('SELECT result FROM performed WHERE agent = ? AND call = ?', agent, call)
  }

  /** Does what a call asks for, unless it was done before: then only says again how it ended. */
  #once({ agent, call }: Writer, work: () => Json): Json {
    return this.#transaction(() => {
      const before = this.#performed({ agent, call })
      if (before) return JSON.parse(String(before['result']))
      const result = work()
      this.#sql.run(
        'INSERT INTO performed (agent, call, result) VALUES (?, ?, ?)',
        agent,
        call,
        JSON.stringify(result),
      )
      const oldest = 'SELECT seq FROM performed WHERE agent = ? ORDER BY seq DESC LIMIT 1 OFFSET ?'
      const { performedMax } = memoryLimits
      this.#sql.run(
        `DELETE FROM performed WHERE agent = ? AND seq <= (${oldest})`,
        agent,
        agent,
        performedMax,
      )
      return result
    })
  }

  #room(agent: string, more: Held): void {
    const held = this.#heldBy(agent)
    const all = {
      keys: held.keys + more.keys,
      episodes: held.episodes + more.episodes,
      bytes: held.bytes + more.bytes,
    }
    const { keysMax, episodesMax, bytesMax } = memoryLimits
    for (const [what, is, most, grows] of [
      ['keys', all.keys, keysMax, more.keys],
      ['episodes', all.episodes, episodesMax, more.episodes],
      ['bytes', all.bytes, bytesMax, more.bytes],
    ] as const)
      if (grows > 0 && is > most)
        throw new MemoryError('limit', `${agent} would remember ${is} ${what}, more than the ${most} it may`)
    this.#held.set(agent, all)
  }

  #heldBy(agent: string): Held {
    const known = this.#held.get(agent)
    if (known) return known
    const count = (sql: string) => this.#sql.get(sql, agent) ?? {}
    const pairs = count(
      'SELECT count(*) AS n, sum(octet_length(key) + octet_length(value)) AS bytes FROM pair WHERE agent = ?',
    )
    const texts = count('SELECT count(*) AS n, sum(octet_length(text)) AS bytes FROM episode WHERE agent = ?')
    const bytes = Number(pairs['bytes'] ?? 0) + Number(texts['bytes'] ?? 0)
    return { keys: Number(pairs['n']), episodes: Number(texts['n']), bytes }
  }

  #transaction<T>(work: () => T): T {
    const held = new Map(this.#held)
    try {
      this.#db.exec('BEGIN IMMEDIATE')
      const result = work()
      this.#db.exec('COMMIT')
      return result
    } catch (error) {
      // A disk that is full has rolled it back already.
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK')
      this.#held.clear()
      for (const [agent, one] of held) this.#held.set(agent, one)
      throw asStoreError(error)
    }
  }
}

/** Rows about a person, of one agent or of all. */
function aboutWhom(about: string, agent?: string) {
  const person = personOf(about)
  if (agent === undefined) return { where: 'person = ?', values: [person] }
  return { where: 'person = ? AND agent = ?', values: [person, agent] }
}
