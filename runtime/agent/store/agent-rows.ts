/** The row of an agent in the database, written and read: by what begins agents and by what takes in those that come. */
import { createHash } from 'node:crypto'
import type { SQLOutputValue } from 'node:sqlite'
import { endRemoval, removalOf } from './removals.ts'
import type { StoreFile } from './store-file.ts'
import type { AgentState, StoredAgent } from './stored.ts'

/** In place of the one of that name, and of all it left. Within a transaction of the caller. */
export function insertAgent(
  file: StoreFile,
  agent: Omit<StoredAgent, 'guest'>,
  bundle: Uint8Array,
  guestText: string,
): StoredAgent {
  const { name, program, grants, state, reason, token, seed, turn, nowMs, startedMs } = agent
  const guest = createHash('sha256').update(guestText).digest('hex')
  file.run('INSERT OR IGNORE INTO program VALUES (?, ?)', program, bundle)
  file.run('INSERT OR IGNORE INTO guest VALUES (?, ?)', guest, guestText)
  file.run('DELETE FROM agent WHERE name = ?', name)
  // One that was being removed is gone with this, and its bytes when the file is cleared next.
  if (removalOf(file, name)) {
    endRemoval(file, name)
    file.toClearAway()
  }
  file.run(
    `INSERT INTO agent VALUES (${Array.from({ length: 15 }, () => '?').join(', ')})`,
    ...[name, program, grants, state, reason ?? null, token, seed, turn, nowMs, startedMs],
    ...[agent.restartsMax, JSON.stringify(agent.restarts), guest, agent.device, agent.lastCall],
  )
  forgetUnused(file)
  return { ...agent, guest }
}

/** All rows of it. Within a transaction of the caller. */
export function deleteAgent(file: StoreFile, name: string): void {
  file.run('DELETE FROM agent WHERE name = ?', name)
  forgetUnused(file)
  file.toClearAway()
}

/** Programs and guests that no agent has. */
function forgetUnused(file: StoreFile): void {
  file.run('DELETE FROM program WHERE hash NOT IN (SELECT program FROM agent)')
  file.run('DELETE FROM guest WHERE hash NOT IN (SELECT guest FROM agent)')
}

export function agentOf(row: Record<string, SQLOutputValue>): StoredAgent {
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
    guest: String(row['guest']),
    device: String(row['device']),
    lastCall: Number(row['lastCall']),
  }
}
