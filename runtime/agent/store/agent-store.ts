/**
 * What agents leave on the disk: their programs, the last image of each, the turns since, the calls that wait for an answer.
 *
 * Invariants: [agent-store-1] a turn, what it asked for, what it settled and whether it was the last are written together or not
 * at all; [agent-store-3] an image replaces the turns it includes in one step; [agent-store-4] a disk that is full refuses a turn
 * whole, and takes it when there is room again; [agent-store-6] no token is given twice, also where an agent was removed and came
 * back, and where the file was put aside: a token is never below the wall clock's milliseconds when it was given; [agent-store-7] the
 * guest that an agent began with is kept as long as the agent. The file itself: `store-file.ts`.
 */
import { type Call, type CallOp, type LogLine, turnLimits } from '../turn.ts'
import { agentOf, deleteAgent, insertAgent } from './agent-rows.ts'
import { agentsFile } from './agents-dir.ts'
import { Images } from './images.ts'
import { MoveStore, moveSchema } from './move-store.ts'
import { isStaying, Removals } from './removals.ts'
import { StoreFile } from './store-file.ts'
import type { AgentState, Beginning, StoredAgent, StoredTurn, WaitingCall } from './stored.ts'

export { agentsFile } from './agents-dir.ts'
export { StoreError } from './store-file.ts'
export type { Beginning, StoredAgent, StoredCall, StoredTurn, WaitingCall } from './stored.ts'

const schema = `
  CREATE TABLE program (
    hash TEXT PRIMARY KEY,
    bytes BLOB NOT NULL
  ) STRICT;
  CREATE TABLE guest (
    hash TEXT PRIMARY KEY,
    text TEXT NOT NULL
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
    restarts TEXT NOT NULL,
    guest TEXT NOT NULL REFERENCES guest (hash),
    device TEXT NOT NULL,
    lastCall INTEGER NOT NULL
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

export class AgentStore implements AsyncDisposable {
  readonly #file: StoreFile
  readonly #images: Images
  readonly removals: Removals
  /** What it keeps of agents that move. */
  readonly moves: MoveStore

  private constructor(file: StoreFile) {
    this.#file = file
    this.#images = new Images(file)
    this.removals = new Removals(file)
    this.moves = new MoveStore(file)
  }

  /** `recoveredFrom`: where a file that could not be trusted was put. Throws where the disk cannot be used. */
  static async open(
    { directory, bytesMax }: StoreOptions,
    nowMs: number,
  ): Promise<{ store: AgentStore; recoveredFrom?: string | undefined }> {
    const path = `${directory}/${agentsFile}`
    const { file, recoveredFrom } = await StoreFile.open(
      { what: 'what agents left', path, schema: `${schema}${moveSchema}`, version: 2, bytesMax },
      nowMs,
    )
    try {
      return { store: new AgentStore(file), recoveredFrom }
    } catch (error) {
      await file[Symbol.asyncDispose]()
      throw error
    }
  }

  /** Resolves when everything written before this call is on the disk. Throws StoreError `broken`, `closed`. */
  durable(): Promise<void> {
    return this.#file.durable()
  }

  program(hash: string): Uint8Array | undefined {
    return this.#file.get('SELECT bytes FROM program WHERE hash = ?', hash)?.['bytes'] as
      | Uint8Array
      | undefined
  }

  guest(hash: string): string | undefined {
    return this.#file.get('SELECT text FROM guest WHERE hash = ?', hash)?.['text'] as string | undefined
  }

  /** A new agent, or a stopped one that begins anew: what it had is gone. Gives it with its token. */
  begin(agent: Beginning, bundle: Uint8Array, guest: string): StoredAgent {
    return this.#file.transaction(() => {
      this.#file.run('UPDATE fence SET token = max(token + 1, ?)', Math.floor(agent.startedMs))
      const token = Number(this.#file.get('SELECT token FROM fence')?.['token'])
      return insertAgent(this.#file, { ...agent, token, device: '', lastCall: 0 }, bundle, guest)
    })
  }

  /** It, and all it left here but its token [agent-store-10]; its removal is over then. Throws StoreError: then it can be said again. */
  async remove(name: string): Promise<void> {
    await this.#images.drop(name)
    this.#file.transaction(() => deleteAgent(this.#file, name))
    this.#file.clearAway()
    this.removals.over(name)
  }

  agents(): StoredAgent[] {
    return this.#file.all(`SELECT * FROM agent WHERE ${isStaying} ORDER BY name`).map(agentOf)
  }

  agent(name: string): StoredAgent | undefined {
    const row = this.#file.get(`SELECT * FROM agent WHERE name = ? AND ${isStaying}`, name)
    return row && agentOf(row)
  }

  setState(name: string, state: AgentState, reason: string | undefined): void {
    this.#file.transaction(() => this.#setState(name, state, reason))
  }

  setGrants(name: string, grants: string): void {
    this.#file.transaction(() => this.#file.run('UPDATE agent SET grants = ? WHERE name = ?', grants, name))
  }

  /** Writes a turn; follow it with `durable()` before anything of it is done. Throws StoreError: then nothing of it is written. */
  commit({ agent, turn, nowMs, inputs, digest, asked, over, log, held, end }: CommittedTurn): void {
    this.#file.transaction(() => {
      this.#file.run(
        'INSERT INTO turn VALUES (?, ?, ?, ?, ?)',
        agent,
        turn,
        nowMs,
        JSON.stringify(inputs),
        digest,
      )
      const told = inputs.findLast((input) => input.kind === 'start' || input.kind === 'moved')
      this.#file.run(
        `UPDATE agent SET turn = ?, nowMs = ?, device = coalesce(?, device), lastCall = max(lastCall, ?)
         WHERE name = ?`,
        ...[turn, nowMs, told?.device ?? null, asked.at(-1)?.id ?? 0, agent],
      )
      for (const id of over) this.#file.run('DELETE FROM call WHERE agent = ? AND id = ?', agent, id)
      for (const { id, op, args, stream } of asked)
        this.#file.run(
          'INSERT INTO call VALUES (?, ?, ?, ?, ?, ?, ?)',
          ...[agent, id, op, JSON.stringify(args), stream ? 1 : 0, nowMs, held ? 0 : 1],
        )
      this.#log(agent, nowMs, log)
      if (!end) return
      this.#file.run('DELETE FROM call WHERE agent = ?', agent)
      this.#setState(agent, end.state, end.reason)
    })
  }

  log(agent: string, most: number): { atMs: number; level: string; text: string }[] {
    const rows = this.#file.all('SELECT * FROM log WHERE agent = ? ORDER BY seq DESC LIMIT ?', agent, most)
    return rows
      .reverse()
      .map((row) => ({ atMs: Number(row['atMs']), level: String(row['level']), text: String(row['text']) }))
  }

  /** Turns after the image, in order. */
  turns(agent: string): StoredTurn[] {
    return this.#file.all('SELECT * FROM turn WHERE agent = ? ORDER BY turn', agent).map((row) => ({
      turn: Number(row['turn']),
      nowMs: Number(row['nowMs']),
      inputs: JSON.parse(String(row['inputs'])),
      digest: String(row['digest']),
    }))
  }

  /** What waits for an answer, in the order in which it was asked. */
  calls(agent: string): WaitingCall[] {
    return this.#file.all('SELECT * FROM call WHERE agent = ? ORDER BY id', agent).map((row) => ({
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
    this.#file.transaction(() => this.#file.run('UPDATE call SET begun = 1 WHERE agent = ?', agent))
  }

  /** The turn after which the image was taken; 0 where there is none. */
  imageTurn(agent: string): number {
    return this.#images.turn(agent)
  }

  /** Size of its image; 0 where there is none. */
  imageBytes(agent: string): number {
    return this.#images.bytes(agent)
  }

  image(agent: string): Uint8Array | undefined {
    return this.#images.get(agent)
  }

  /** The same, and the control loop goes on meanwhile: for the life of the agent, which alone replaces it. */
  readImage(agent: string): Promise<Uint8Array | undefined> {
    return this.#images.read(agent)
  }

  /** Keeps the image of an agent after `turn`; the turns up to there are no longer needed. Throws StoreError: then the last one is kept. */
  keepImage(agent: string, turn: number, sealed: Uint8Array): Promise<void> {
    return this.#images.keep(agent, turn, sealed)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#file[Symbol.asyncDispose]()
  }

  #setState(name: string, state: AgentState, reason: string | undefined): void {
    this.#file.run('UPDATE agent SET state = ?, reason = ? WHERE name = ?', state, reason ?? null, name)
  }

  #log(agent: string, atMs: number, lines: readonly LogLine[]): void {
    if (lines.length === 0) return
    for (const { level, text } of lines)
      this.#file.run(
        'INSERT INTO log (agent, atMs, level, text) VALUES (?, ?, ?, ?)',
        ...[agent, atMs, level, text.slice(0, turnLimits.logCharsMax)],
      )
    const oldest = 'SELECT seq FROM log WHERE agent = ? ORDER BY seq DESC LIMIT 1 OFFSET ?'
    this.#file.run(`DELETE FROM log WHERE agent = ? AND seq <= (${oldest})`, agent, agent, logLinesMax)
  }
}
