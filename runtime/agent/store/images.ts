/**
 * The last image of each agent. One of some megabytes, written or deleted in one step, would hold the control loop for a tenth of a
 * second: what is above the first piece is written before, piece by piece, and what it replaces goes after, in the same way.
 *
 * Invariants: [agent-store-3] an image replaces the last one, and the turns it includes, in one step; [agent-store-9] the loop is given
 * back after each piece. Pieces that belong to no image (the power was cut) go when the file is opened.
 */
import { setImmediate as tick } from 'node:timers/promises'
import type { StoreFile } from './store-file.ts'

/** That of an agent without much memory is one piece. */
const pieceBytes = 256 * 1024

export class Images {
  readonly #file: StoreFile

  constructor(file: StoreFile) {
    this.#file = file
    // Later than the other tables, and so in files that were there before it.
    file.run(
      `CREATE TABLE IF NOT EXISTS piece (agent TEXT NOT NULL REFERENCES agent (name) ON DELETE CASCADE, turn INTEGER NOT NULL,
        at INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (agent, turn, at)) STRICT`,
    )
    file.run('DELETE FROM piece WHERE (agent, turn) NOT IN (SELECT agent, turn FROM image)')
  }

  /** The turn after which it was taken; 0 where there is none. */
  turn(agent: string): number {
    return Number(this.#file.get('SELECT turn FROM image WHERE agent = ?', agent)?.['turn'] ?? 0)
  }

  /** Its size; 0 where there is none. */
  bytes(agent: string): number {
    const rest =
      'SELECT sum(length(bytes)) FROM piece WHERE piece.agent = image.agent AND piece.turn = image.turn'
    const sql = `SELECT length(sealed) + coalesce((${rest}), 0) AS n FROM image WHERE agent = ?`
    return Number(this.#file.get(sql, agent)?.['n'] ?? 0)
  }

  /** In one step: whoever asks does not know whether it is replaced meanwhile. */
  get(agent: string): Uint8Array | undefined {
    const found = this.#found(agent)
    return (
      found && Buffer.concat([found.first, ...found.rest.map((at) => this.#piece(agent, found.turn, at))])
    )
  }

  /** A piece at a time: for whom alone replaces it. */
  async read(agent: string): Promise<Uint8Array | undefined> {
    const found = this.#found(agent)
    if (!found || found.rest.length === 0) return found?.first
    const whole = Buffer.alloc(this.bytes(agent))
    whole.set(found.first)
    for (const at of found.rest) {
      await tick()
      whole.set(this.#piece(agent, found.turn, at), at)
    }
    return whole
  }

  /** Keeps the image of an agent after `turn`; the turns up to there are no longer needed. Throws StoreError: then the last one is kept. */
  async keep(agent: string, turn: number, sealed: Uint8Array): Promise<void> {
    try {
      for (let at = pieceBytes; at < sealed.byteLength; at += pieceBytes) {
        const piece = sealed.subarray(at, at + pieceBytes)
        this.#step('INSERT OR REPLACE INTO piece VALUES (?, ?, ?, ?)', agent, turn, at, piece)
        await tick()
      }
      this.#file.transaction(() => {
        const first = sealed.subarray(0, pieceBytes)
        this.#file.run('INSERT OR REPLACE INTO image VALUES (?, ?, ?)', agent, turn, first)
        this.#file.run('DELETE FROM turn WHERE agent = ? AND turn <= ?', agent, turn)
      })
    } finally {
      await this.#tidy(agent)
    }
  }

  /** Before the agent goes: what is left of it is no more work than one without an image. */
  async drop(agent: string): Promise<void> {
    this.#step('DELETE FROM image WHERE agent = ?', agent)
    await this.#tidy(agent)
  }

  #found(agent: string) {
    const row = this.#file.get('SELECT turn, sealed FROM image WHERE agent = ?', agent)
    if (!row) return undefined
    const turn = Number(row['turn'])
    const rest = this.#file.all('SELECT at FROM piece WHERE agent = ? AND turn = ? ORDER BY at', agent, turn)
    return { turn, first: row['sealed'] as Uint8Array, rest: rest.map(({ at }) => Number(at)) }
  }

  /** Nothing of it where it was replaced. */
  #piece(agent: string, turn: number, at: number): Uint8Array {
    const sql = 'SELECT bytes FROM piece WHERE agent = ? AND turn = ? AND at = ?'
    return (this.#file.get(sql, agent, turn, at)?.['bytes'] ?? Buffer.of()) as Uint8Array
  }

  /** Pieces that belong to no image. */
  async #tidy(agent: string): Promise<void> {
    const strays = this.#file.all(
      'SELECT turn, at FROM piece WHERE agent = ? AND turn <> coalesce((SELECT turn FROM image WHERE agent = ?), -1)',
      ...[agent, agent],
    )
    // By its key: making the file anew meanwhile may number the rows anew.
    for (const { turn, at } of strays) {
      this.#step('DELETE FROM piece WHERE agent = ? AND turn = ? AND at = ?', agent, Number(turn), Number(at))
      await tick()
    }
  }

  #step(sql: string, ...values: Parameters<StoreFile['run']>[1][]): void {
    this.#file.transaction(() => this.#file.run(sql, ...values))
  }
}
