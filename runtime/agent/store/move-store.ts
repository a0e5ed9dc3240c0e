/**
 * What a device keeps of agents that leave it and come to it. Each step of a move is one transaction, together with what it does to the
 * agent: so a device that is started again knows how far a move has come, and whose the agent is.
 *
 * [agent-store-8] An agent that was given away (`moved`) or comes (`arriving`) is not `running` before this file says so; what is
 * over is remembered, so that a message that comes late finds it over.
 */
import type { ShownLease } from '../../wire/lease.ts'
import { type Call, turnLimits } from '../turn.ts'
import { insertAgent } from './agent-rows.ts'
import { beginRemoval } from './removals.ts'
import type { StoreFile } from './store-file.ts'
import type { StoredAgent, StoredTurn, WaitingCall } from './stored.ts'

export const moveSchema = `
  CREATE TABLE move (
    id TEXT PRIMARY KEY,
    agent TEXT NOT NULL,
    peer TEXT NOT NULL,
    phase TEXT NOT NULL,
    was TEXT NOT NULL,
    token INTEGER NOT NULL,
    atMs REAL NOT NULL
  ) STRICT;
  CREATE TABLE luggage (
    agent TEXT PRIMARY KEY REFERENCES agent (name) ON DELETE CASCADE,
    bytes BLOB NOT NULL
  ) STRICT;
`

/**
 * Of the device that it leaves: `leaving`, then `stayed`, or `given` (from here on it is never run here), then `gone`.
 * Of the one it comes to: `arriving`, then `begun` or `dropped`. Of either: `seized`, where a person began it there by hand.
 * Of copies: `copied` at the device that has the agent, once the other may have one; at the other `kept`, then `dropped` or `seized`;
 * `reclaimed` where the first goes on with it although the other, which was not to have one any more, had begun it.
 * Whoever has the agent then is `closed`, once it knows that the other has nothing of it and never will.
 */
export type MovePhase =
  | 'leaving'
  | 'stayed'
  | 'given'
  | 'gone'
  | 'arriving'
  | 'begun'
  | 'dropped'
  | 'seized'
  | 'copied'
  | 'kept'
  | 'reclaimed'
  | 'closed'

export interface StoredMove {
  readonly id: string
  readonly agent: string
  /** The other device. */
  readonly peer: string
  readonly phase: MovePhase
  /** Whether it ran before, and will run again. */
  readonly was: 'running' | 'stopped'
  /** Under which it goes on; before that is decided, the one it had. */
  readonly token: number
  readonly atMs: number
}

/** An agent between two turns, whole. */
export interface Arrival {
  readonly agent: Omit<StoredAgent, 'guest'>
  readonly was: StoredMove['was']
  readonly bundle: Uint8Array
  readonly guest: string
  readonly image: { readonly turn: number; readonly sealed: Uint8Array } | undefined
  readonly turns: readonly StoredTurn[]
  readonly calls: readonly WaitingCall[]
  readonly log: readonly { readonly atMs: number; readonly level: string; readonly text: string }[]
  /** What else belongs to it, kept in other places once it is begun. */
  readonly luggage: Uint8Array
  /** What was recorded of it so far, where it goes along: kept in another place at once. */
  readonly recording?: Uint8Array | undefined
}

/**
 * Moves that are over and remembered, of each kind: more than come late. What brought an agent here, or left it here, is remembered until
 * the other device knows: whoever gave it away and hears that nobody knows of it takes it back.
 */
const over = [`'closed'`, `'dropped', 'gone'`]
const overMax = 256

export class MoveStore {
  readonly #file: StoreFile

  constructor(file: StoreFile) {
    this.#file = file
    // Later than the other tables, and so in files that were there before it.
    this.#file.run(
      `CREATE TABLE IF NOT EXISTS holder (agent TEXT NOT NULL REFERENCES agent (name) ON DELETE CASCADE,
        device TEXT NOT NULL, PRIMARY KEY (agent, device)) STRICT, WITHOUT ROWID`,
    )
    this.#file.run(
      `CREATE TABLE IF NOT EXISTS move_lease (id TEXT PRIMARY KEY REFERENCES move (id) ON DELETE CASCADE, lease TEXT NOT NULL) STRICT`,
    )
  }

  all(): StoredMove[] {
    return this.#file.all('SELECT * FROM move ORDER BY atMs').map(moveOf)
  }

  move(id: string): StoredMove | undefined {
    const row = this.#file.get('SELECT * FROM move WHERE id = ?', id)
    return row && moveOf(row)
  }

  /** The last one of an agent. */
  of(agent: string): StoredMove | undefined {
    const row = this.#file.get(
      // Not by the clock: that may have been set back.
      'SELECT * FROM move WHERE agent = ? ORDER BY rowid DESC LIMIT 1',
      agent,
    )
    return row && moveOf(row)
  }

  leaving(move: Omit<StoredMove, 'phase'>): void {
    this.#file.transaction(() => {
      this.#insert({ ...move, phase: 'leaving' })
      this.#state(move.agent, 'moving', `on its way to ${move.peer}`)
    })
  }

  /** It goes on here as before, also where it had been given away and the other has lost it: that is `closed`. */
  stayed(
    { id, agent, was, phase }: StoredMove,
    token: number,
    { atMs, reason }: { readonly atMs: number; readonly reason: string },
  ): void {
    this.#file.transaction(() => {
      this.#phase(id, phase === 'given' ? 'closed' : 'stayed', token)
      this.#own(agent, was, token, was === 'running' ? undefined : reason)
      this.#line(agent, atMs, 'error', reason)
    })
  }

  /** It is here, and the other device has nothing of it and never will. */
  closed({ id, token }: StoredMove): void {
    this.#file.transaction(() => this.#phase(id, 'closed', token))
  }

  /** Moves of which the other device is still to hear that the agent is here. */
  get unclosed(): number {
    const unclosed = `SELECT count(*) AS n FROM move WHERE phase IN ('stayed', 'begun', 'seized', 'reclaimed')`
    return Number(this.#file.get(unclosed)?.['n'])
  }

  given({ id, agent, peer }: StoredMove, token: number): void {
    this.#file.transaction(() => {
      this.#phase(id, 'given', token)
      this.#state(agent, 'moved', `given to ${peer}, which has not said yet that it goes on there`)
    })
  }

  /** It is elsewhere, or nowhere: what is here of it is to go. */
  over({ id, agent, token }: StoredMove, phase: 'gone' | 'dropped'): void {
    this.#file.transaction(() => {
      this.#phase(id, phase, token)
      beginRemoval(this.#file, { agent, runs: false })
    })
  }

  /** From here on the other device may have a copy, and begin it. `holds`: the one it has already. */
  copied(move: Omit<StoredMove, 'phase'>, holds: string | undefined): void {
    this.#file.transaction(() => {
      this.#file.run(
        `DELETE FROM move WHERE phase = 'copied' AND agent = ? AND peer = ? AND id <> ?`,
        ...[move.agent, move.peer, holds ?? ''],
      )
      this.#insert({ ...move, phase: 'copied' })
    })
  }

  /** The other device has no copy under this id. */
  uncopied(id: string): void {
    this.#file.transaction(() => this.#file.run(`DELETE FROM move WHERE id = ? AND phase = 'copied'`, id))
  }

  /** It went on with the other device, of which it was told too late to stop here: what is here of it goes, and its row says so. */
  wentOn({ id, agent, peer }: StoredMove, token: number, atMs: number, reason: string): void {
    this.#file.transaction(() => {
      this.#phase(id, 'gone', token)
      this.#file.run(`DELETE FROM move WHERE phase = 'copied' AND agent = ? AND peer = ?`, agent, peer)
      for (const table of ['image', 'piece', 'turn', 'call', 'luggage'])
        this.#file.run(`DELETE FROM ${table} WHERE agent = ?`, agent)
      this.#line(agent, atMs, 'error', reason)
      this.#state(agent, 'ended', reason)
    })
  }

  /** A copy, in place of the last one; `holders`: who else may have one. */
  keeping(move: Omit<StoredMove, 'phase'>, arrival: Arrival, holders: readonly string[] = []): void {
    this.#file.transaction(() => {
      this.#take({ ...move, phase: 'kept' }, arrival)
      for (const device of new Set(holders))
        this.#file.run('INSERT INTO holder VALUES (?, ?)', move.agent, device)
      this.#state(move.agent, 'standby', `a copy of what runs on ${move.peer}`)
    })
  }

  /** Bytes of the copies that are kept here, without that of `agent`. */
  bytesKept(agent: string): number {
    const sum = `SELECT coalesce(sum(length(sealed)), 0) AS n FROM image JOIN agent ON name = image.agent WHERE state = 'standby'
      AND name <> ? UNION ALL SELECT coalesce(sum(length(bytes)), 0) FROM luggage JOIN agent ON name = luggage.agent
      WHERE state = 'standby' AND name <> ? UNION ALL SELECT coalesce(sum(length(inputs)), 0) FROM turn
      JOIN agent ON name = turn.agent WHERE state = 'standby' AND name <> ?`
    return this.#file.all(sum, agent, agent, agent).reduce((all, { n }) => all + Number(n), 0)
  }

  /** Whether `device` may have a copy of what is kept here, or was begun from it, as the device whose it was has said. */
  mayHold(agent: string, device: string): boolean {
    return this.#file.get('SELECT 1 FROM holder WHERE agent = ? AND device = ?', agent, device) !== undefined
  }

  arriving(move: Omit<StoredMove, 'phase'>, arrival: Arrival): void {
    this.#file.transaction(() => {
      this.#take({ ...move, phase: 'arriving' }, arrival)
      this.#state(move.agent, 'arriving', `it comes from ${move.peer}, which has not let go of it yet`)
    })
  }

  /** In place of all that is here under its name. */
  #take(move: StoredMove, arrival: Arrival): void {
    const { agent, bundle, guest, image, turns, calls, log, luggage } = arrival
    const { name } = agent
    this.#file.run(`UPDATE move SET phase = 'dropped' WHERE phase = 'kept' AND agent = ?`, name)
    this.#insert(move)
    insertAgent(this.#file, agent, bundle, guest)
    if (image) this.#file.run('INSERT INTO image VALUES (?, ?, ?)', name, image.turn, image.sealed)
    for (const { turn, nowMs, inputs, digest } of turns)
      this.#file.run(
        'INSERT INTO turn VALUES (?, ?, ?, ?, ?)',
        ...[name, turn, nowMs, JSON.stringify(inputs), digest],
      )
    for (const { call, begun } of calls)
      this.#file.run(
        'INSERT INTO call VALUES (?, ?, ?, ?, ?, ?, ?)',
        ...callRow(name, call, call.askedMs, begun),
      )
    for (const { atMs, level, text } of log) this.#line(name, atMs, level, text)
    this.#file.run('INSERT INTO luggage VALUES (?, ?)', name, luggage)
  }

  /** Agents of which the luggage is here, and not unpacked. */
  packed(): string[] {
    return this.#file.all('SELECT agent FROM luggage ORDER BY agent').map(({ agent }) => String(agent))
  }

  /** In place of what it took along; what that was is in the file until `clearAway`. Throws StoreError. */
  repack(agent: string, bytes: Uint8Array): void {
    this.#file.transaction(() => {
      this.#file.run('UPDATE luggage SET bytes = ? WHERE agent = ?', bytes, agent)
      this.#file.toClearAway()
    })
  }

  /** Once for all that was packed anew, if anything was. Throws StoreError. */
  clearAway(): void {
    if (this.#file.isToClearAway) this.#file.clearAway()
  }

  luggage(agent: string): Uint8Array | undefined {
    return this.#file.get('SELECT bytes FROM luggage WHERE agent = ?', agent)?.['bytes'] as
      | Uint8Array
      | undefined
  }

  /** From now on it is this device's. */
  begun(
    { id, agent, was }: StoredMove,
    token: number,
    phase: 'begun' | 'seized' | 'reclaimed',
    lease?: ShownLease,
  ): void {
    this.#file.transaction(() => {
      this.#phase(id, phase, token)
      if (lease) this.#file.run('INSERT OR REPLACE INTO move_lease VALUES (?, ?)', id, JSON.stringify(lease))
      this.#own(agent, was, token, undefined)
      this.#file.run('DELETE FROM luggage WHERE agent = ?', agent)
    })
  }

  /** Under which a copy was begun; undefined: by a person. */
  lease(id: string): ShownLease | undefined {
    const lease = this.#file.get('SELECT lease FROM move_lease WHERE id = ?', id)?.['lease']
    return lease === undefined ? undefined : JSON.parse(String(lease))
  }

  /** Nothing where there is no such agent any more. */
  #line(agent: string, atMs: number, level: string, text: string): void {
    const line = 'INSERT INTO log (agent, atMs, level, text) SELECT name, ?, ?, ? FROM agent WHERE name = ?'
    this.#file.run(line, atMs, level, text.slice(0, turnLimits.logCharsMax), agent)
  }

  #own(agent: string, state: string, token: number, reason: string | undefined): void {
    this.#file.run('UPDATE agent SET token = ? WHERE name = ?', token, agent)
    this.#state(agent, state, reason)
    this.#file.run('UPDATE fence SET token = max(token, ?)', token)
  }

  #insert({ id, agent, peer, phase, was, token, atMs }: StoredMove): void {
    this.#file.run('INSERT INTO move VALUES (?, ?, ?, ?, ?, ?, ?)', id, agent, peer, phase, was, token, atMs)
    for (const phases of over) {
      const oldest = `SELECT id FROM move WHERE phase IN (${phases}) ORDER BY rowid DESC LIMIT -1 OFFSET ?`
      this.#file.run(`DELETE FROM move WHERE id IN (${oldest})`, overMax)
    }
  }

  #phase(id: string, phase: MovePhase, token: number): void {
    this.#file.run('UPDATE move SET phase = ?, token = ? WHERE id = ?', phase, token, id)
  }

  #state(agent: string, state: string, reason: string | undefined): void {
    this.#file.run('UPDATE agent SET state = ?, reason = ? WHERE name = ?', state, reason ?? null, agent)
  }
}

/** Of the table `call`. */
function callRow(agent: string, { id, op, args, stream }: Call, askedMs: number, begun: boolean) {
  return [agent, id, op, JSON.stringify(args), stream ? 1 : 0, askedMs, begun ? 1 : 0]
}

function moveOf(row: Record<string, unknown>): StoredMove {
  return {
    id: String(row['id']),
    agent: String(row['agent']),
    peer: String(row['peer']),
    phase: String(row['phase']) as MovePhase,
    was: row['was'] === 'running' ? 'running' : 'stopped',
    token: Number(row['token']),
    atMs: Number(row['atMs']),
  }
}
