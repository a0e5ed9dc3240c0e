/**
 * Agents that are being removed. That one is to go is one small row, on the disk before anything of it goes: where the power is cut
 * or the disk is full midway, what is left goes at the next try, or when the device starts. Nobody sees the agent meanwhile.
 *
 * [agent-store-11] what was begun to be removed never runs again, and goes whole.
 */
import type { StoreFile } from './store-file.ts'

/** `name` is of none that is being removed. */
export const isStaying = 'name NOT IN (SELECT agent FROM removal)'

export interface Removal {
  readonly agent: string
  /** Its recorded runs go as well: not those of one that goes on elsewhere. */
  readonly runs: boolean
}

export class Removals {
  readonly #file: StoreFile

  constructor(file: StoreFile) {
    this.#file = file
    // Later than the other tables, and so in files that were there before it.
    file.run('CREATE TABLE IF NOT EXISTS removal (agent TEXT PRIMARY KEY, runs INTEGER NOT NULL) STRICT')
  }

  all(): Removal[] {
    const rows = this.#file.all('SELECT agent, runs FROM removal ORDER BY agent')
    return rows.map(({ agent, runs }) => ({ agent: String(agent), runs: runs === 1 }))
  }

  of(agent: string): Removal | undefined {
    return removalOf(this.#file, agent)
  }

  /** Throws StoreError. */
  begin(removal: Removal): void {
    this.#file.transaction(() => beginRemoval(this.#file, removal))
  }

  /** Nothing is left of it. Throws StoreError. */
  over(agent: string): void {
    this.#file.transaction(() => endRemoval(this.#file, agent))
  }
}

export function removalOf(file: StoreFile, agent: string): Removal | undefined {
  const row = file.get('SELECT runs FROM removal WHERE agent = ?', agent)
  return row && { agent, runs: row['runs'] === 1 }
}

/** Within a transaction of the caller. */
export function beginRemoval(file: StoreFile, { agent, runs }: Removal): void {
  file.run('INSERT OR REPLACE INTO removal VALUES (?, ?)', agent, runs ? 1 : 0)
}

/** Within a transaction of the caller. */
export function endRemoval(file: StoreFile, agent: string): void {
  file.run('DELETE FROM removal WHERE agent = ?', agent)
}
