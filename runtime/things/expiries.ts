/**
 * Commands that expire: what was commanded for a while goes back when it is not commanded again in time, whatever has become of the agent
 * that did it: stopped, removed, failed, without its grant, on a device that was away. For things that are not attached to this machine this
 * is what [things-7] is for those that are. The file is opened by the first such command: a device without one has none.
 *
 * Invariants: [things-11] it is on the disk when and to what an entity goes back before the command is handed over, or it is not handed
 * over; [things-12] whatever is commanded later, by whomever, takes its place; [things-13] what does not go back is tried again, less and
 * less often, and each time is told.
 */
import { existsSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'
import type { Cancel, Clock } from '../base/clock.ts'
import { openDatabaseFile } from '../base/database-file.ts'
import { messageOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { AuditEntry } from '../observe/audit-chain.ts'
import type { Actuation, ActuationRequest, Expiring } from './actuation.ts'

const schema = `
  CREATE TABLE expiry (
    entity TEXT PRIMARY KEY,
    principal TEXT NOT NULL,
    "to" TEXT NOT NULL,
    setMs REAL NOT NULL,
    afterMs REAL NOT NULL
  ) STRICT, WITHOUT ROWID;
`
const again = { firstMs: 60_000, maxMs: 15 * 60_000 }

export interface ExpiriesDeps {
  readonly clock: Clock
  readonly log: Log
  /** Of each going back what came of it. Where there is nothing to record in, undefined. */
  readonly record: (entry: AuditEntry) => Promise<void> | undefined
}

interface Expiry {
  readonly entity: string
  readonly principal: string
  readonly to: ActuationRequest['command']
  readonly cancel: Cancel
}

export class Expiries implements Expiring, Disposable {
  readonly #deps: ExpiriesDeps
  readonly #path: string
  readonly #waiting = new Map<string, Expiry>()
  /** What goes back by itself is nobody's later command. */
  readonly #own = new WeakSet<ActuationRequest>()
  readonly #stop = new AbortController()
  #actuation: Pick<Actuation, 'run'> | undefined
  #db: DatabaseSync | undefined

  /** Does no I/O. */
  constructor(deps: ExpiriesDeps, directory: string) {
    this.#deps = deps
    this.#path = `${directory}/expiries.db`
  }

  /** What expired while this device was away goes back at once; to be called when what there is can be commanded. */
  begin(actuation: Pick<Actuation, 'run'>): void {
    this.#actuation = actuation
    try {
      if (!existsSync(this.#path)) return
      const nowMs = this.#deps.clock.nowMs()
      for (const row of this.#opened().prepare('SELECT * FROM expiry').all()) {
        const afterMs = Number(row['afterMs'])
        // A clock that was set back does not make it longer.
        const leftMs = Math.min(afterMs, Number(row['setMs']) + afterMs - nowMs)
        const to = JSON.parse(String(row['to'])) as Expiry['to']
        this.#wait({ entity: String(row['entity']), principal: String(row['principal']), to }, leftMs)
      }
    } catch (error) {
      this.#deps.log.error('what was to go back is not known', { reason: messageOf(error) })
    }
  }

  handedOver(request: ActuationRequest): string | undefined {
    if (this.#own.has(request)) return undefined
    const { entity, principal, expires } = request
    if (!expires) {
      if (this.#waiting.has(entity)) this.#forget(entity)
      return undefined
    }
    const { afterMs, to } = expires
    try {
      this.#opened()
        .prepare('INSERT OR REPLACE INTO expiry VALUES (?, ?, ?, ?, ?)')
        .run(entity, principal, JSON.stringify(to), this.#deps.clock.nowMs(), afterMs)
    } catch (error) {
      return `that it is for a while only cannot be kept, so it is not done: ${messageOf(error)}`
    }
    this.#wait({ entity, principal, to }, afterMs)
    return undefined
  }

  [Symbol.dispose](): void {
    this.#stop.abort(new Error('the device is stopping'))
    for (const { cancel } of this.#waiting.values()) cancel()
    this.#waiting.clear()
    if (this.#db?.isOpen) this.#db.close()
  }

  #wait(what: Omit<Expiry, 'cancel'>, leftMs: number, waitMs = again.firstMs): void {
    const { entity } = what
    this.#waiting.get(entity)?.cancel()
    const cancel = this.#deps.clock.after(Math.max(0, leftMs), () => void this.#goBack(expiry, waitMs))
    const expiry: Expiry = { ...what, cancel }
    this.#waiting.set(entity, expiry)
  }

  async #goBack(expiry: Expiry, waitMs: number): Promise<void> {
    const { entity, principal, to } = expiry
    const request: ActuationRequest = { entity, command: to, principal }
    this.#own.add(request)
    const report = await this.#actuation?.run(request, this.#stop.signal)
    // Somebody has commanded it since then, or the device stops: that is on the disk.
    if (!report || this.#waiting.get(entity) !== expiry || this.#stop.signal.aborted) return
    const { outcome, evidence } = report
    const what = { entity, by: principal, to: JSON.stringify(to) }
    this.#deps
      .record({ kind: 'expired', principal, about: entity, outcome })
      ?.catch((error) => this.#deps.log.error('what expired is not recorded', { reason: messageOf(error) }))
    if (outcome === 'done') {
      this.#deps.log.warn('it was commanded for a while and not again: it went back', what)
      this.#forget(entity)
      return
    }
    this.#deps.log.error('it was commanded for a while and does not go back', {
      ...{ ...what, reason: evidence.reason ?? outcome, againInS: waitMs / 1_000 },
    })
    this.#wait(expiry, waitMs, Math.min(2 * waitMs, again.maxMs))
  }

  #forget(entity: string): void {
    this.#waiting.get(entity)?.cancel()
    this.#waiting.delete(entity)
    try {
      this.#opened().prepare('DELETE FROM expiry WHERE entity = ?').run(entity)
    } catch (error) {
      this.#deps.log.error('that it need not go back is not kept', { entity, reason: messageOf(error) })
    }
  }

  #opened(): DatabaseSync {
    if (this.#db) return this.#db
    const file = { what: 'what goes back', path: this.#path, schema, version: 1 }
    const { db, recoveredFrom } = openDatabaseFile(
      { ...file, synchronous: 'full', walPagesMax: 64 },
      this.#deps.clock.nowMs(),
    )
    if (recoveredFrom)
      this.#deps.log.error('what was to go back could not be read: it begins anew', { recoveredFrom })
    this.#db = db
    return db
  }
}
