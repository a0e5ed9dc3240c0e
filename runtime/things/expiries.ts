/**
 * Commands that expire: what was commanded for a while goes back when it is not commanded again in time, whatever has become of the agent
 * that did it: stopped, removed, failed, without its grant, on a device that was away. For things that are not attached to this machine this
 * is what [things-7] is for those that are. The file is opened by the first such command: a device without one has none.
 *
 * Invariants: [things-11] it is on the disk when and to what an entity goes back before the command is handed over, or it is not handed
 * over; [things-12] whatever is commanded later and done, by whomever, takes its place: what is refused changes nothing, and after what
 * failed both what went back before and what it brought itself go back, since nobody knows which is true; [things-13] what does not go back
 * is tried again, less and less often, and each time is told; what must not be repeated is looked for instead, and is `uncertain` once; of
 * an entity that is not in this home that is told once, and it goes back when it is there again.
 */
import { existsSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'
import { isDeepStrictEqual } from 'node:util'
import type { Cancel, Clock } from '../base/clock.ts'
import { openDatabaseFile } from '../base/database-file.ts'
import { messageOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import type { AuditEntry } from '../observe/audit-chain.ts'
import type { CommandOnce } from '../wire/remote-command.ts'
import { type Actuation, type ActuationRequest, actuationDefaults, type Expiring } from './actuation.ts'
import { commandOnce, type OnceRequest } from './once.ts'

const schema = `
  CREATE TABLE expiry (
    id INTEGER PRIMARY KEY,
    entity TEXT NOT NULL,
    principal TEXT NOT NULL,
    "to" TEXT NOT NULL,
    setMs REAL NOT NULL,
    afterMs REAL NOT NULL,
    sent INTEGER NOT NULL DEFAULT 0
  ) STRICT;
`
const again = { firstMs: 60_000, maxMs: 15 * 60_000 }
/** While another command of the entity is under way. */
const busyMs = 1_000
const unrecordedMax = 100

export interface ExpiriesDeps {
  readonly clock: Clock
  readonly log: Log
}

type Recording = (entry: AuditEntry) => Promise<void>

interface Expiry {
  readonly id: number
  readonly entity: string
  readonly principal: string
  readonly to: ActuationRequest['command']
  /** Going back may have been handed over. */
  sent: boolean
  /** It was told that its entity is not in this home. */
  missed?: boolean
  cancel: Cancel
}

/** A command that was handed over and has not ended. */
interface UnderWay {
  readonly request: ActuationRequest
  readonly before: readonly Expiry[]
  readonly added: Expiry | undefined
}

export class Expiries implements Expiring, Disposable {
  readonly #deps: ExpiriesDeps
  readonly #path: string
  /** Oldest first. */
  readonly #waiting = new Set<Expiry>()
  /** By entity: one at a time is handed over. */
  readonly #underWay = new Map<string, UnderWay>()
  /** Entities that are going back now. */
  readonly #going = new Set<string>()
  /** What goes back by itself is nobody's later command. */
  readonly #own = new WeakMap<ActuationRequest, Expiry>()
  readonly #stop = new AbortController()
  readonly #unrecorded: AuditEntry[] = []
  /** Null: there is none. Undefined: not known yet. */
  #recording: Recording | null | undefined
  #actuation: Pick<Actuation, 'run' | 'recheck' | 'knows'> | undefined
  #db: DatabaseSync | undefined

  /** Does no I/O. */
  constructor(deps: ExpiriesDeps, directory: string) {
    this.#deps = deps
    this.#path = `${directory}/expiries.db`
  }

  /** What expired while this device was away goes back at once; to be called when what there is can be commanded. */
  begin(actuation: Pick<Actuation, 'run' | 'recheck' | 'knows'>): void {
    this.#actuation = actuation
    try {
      if (!existsSync(this.#path)) return
      const nowMs = this.#deps.clock.nowMs()
      for (const row of this.#opened().prepare('SELECT * FROM expiry ORDER BY id').all()) {
        const afterMs = Number(row['afterMs'])
        // A clock that was set back does not make it longer.
        const leftMs = Math.min(afterMs, Number(row['setMs']) + afterMs - nowMs)
        const to = JSON.parse(String(row['to'])) as Expiry['to']
        const of = { entity: String(row['entity']), principal: String(row['principal']), to }
        this.#add({ id: Number(row['id']), ...of, sent: row['sent'] === 1 }, leftMs)
      }
    } catch (error) {
      this.#deps.log.error('what was to go back is not known', { reason: messageOf(error) })
    }
  }

  /** Where each going back is recorded, those before included; undefined: nowhere, and the log says so. */
  recordIn(recording: Recording | undefined): void {
    this.#recording = recording ?? null
    for (const entry of this.#unrecorded.splice(0)) this.#record(entry)
  }

  handedOver(request: ActuationRequest): string | undefined {
    const { entity, principal, expires } = request
    try {
      const own = this.#own.get(request)
      if (own) {
        if (!this.#waiting.has(own)) return 'it was commanded again in time'
        this.#mark(own, true)
        return undefined
      }
      const before = [...this.#waiting].filter((one) => one.entity === entity)
      const added = expires && this.#insert(entity, principal, expires)
      if (added || before.length > 0) this.#underWay.set(entity, { request, before, added })
      return undefined
    } catch (error) {
      return `that it is for a while only cannot be kept, so it is not done: ${messageOf(error)}`
    }
  }

  ended(request: ActuationRequest, outcome: 'done' | 'refused' | 'failed'): void {
    if (this.#stop.signal.aborted) return
    const own = this.#own.get(request)
    const underWay = this.#underWay.get(request.entity)
    try {
      // The hardware refused it: nothing was pressed.
      if (own?.sent && outcome === 'refused') this.#mark(own, false)
      if (underWay?.request !== request) return
      this.#underWay.delete(request.entity)
      const { before, added } = underWay
      if (outcome === 'done') this.#drop(before)
      else if (added && outcome === 'refused') this.#drop([added])
      // However often it fails: what was true before, and the last that may be.
      else if (added) this.#drop(before.slice(1))
    } catch (error) {
      const reason = messageOf(error)
      this.#deps.log.error('what need not go back is not kept', { entity: request.entity, reason })
    }
  }

  [Symbol.dispose](): void {
    this.#stop.abort(new Error('the device is stopping'))
    for (const { cancel } of this.#waiting) cancel()
    this.#waiting.clear()
    if (this.#db?.isOpen) this.#db.close()
  }

  #insert(
    entity: string,
    principal: string,
    { afterMs, to }: NonNullable<ActuationRequest['expires']>,
  ): Expiry {
    const { lastInsertRowid } = this.#opened()
      .prepare('INSERT INTO expiry (entity, principal, "to", setMs, afterMs) VALUES (?, ?, ?, ?, ?)')
      .run(entity, principal, JSON.stringify(to), this.#deps.clock.nowMs(), afterMs)
    return this.#add({ id: Number(lastInsertRowid), entity, principal, to, sent: false }, afterMs)
  }

  #add(what: Omit<Expiry, 'cancel'>, leftMs: number): Expiry {
    const expiry: Expiry = { ...what, cancel: () => {} }
    this.#waiting.add(expiry)
    this.#wait(expiry, leftMs)
    return expiry
  }

  #wait(expiry: Expiry, leftMs: number, waitMs = again.firstMs): void {
    expiry.cancel()
    expiry.cancel = this.#deps.clock.after(Math.max(0, leftMs), () => void this.#goBack(expiry, waitMs))
  }

  /** Never rejects. */
  async #goBack(expiry: Expiry, waitMs: number): Promise<void> {
    const { entity, principal, to, sent } = expiry
    if (!this.#actuation || this.#underWay.has(entity) || this.#going.has(entity)) {
      this.#wait(expiry, busyMs, waitMs)
      return
    }
    if (!this.#actuation.knows(entity)) {
      this.#tellMissing(expiry)
      this.#wait(expiry, waitMs, Math.min(2 * waitMs, again.maxMs))
      return
    }
    const request: OnceRequest = { entity, command: to, principal, ttlMs: actuationDefaults.ttlMs }
    this.#own.set(request, expiry)
    this.#going.add(entity)
    let result: CommandOnce
    try {
      result = await commandOnce(this.#actuation, request, { resumed: sent }, this.#stop.signal)
    } catch (error) {
      // A driver's bug, which must not end the device.
      result = { outcome: 'failed', reason: messageOf(error) }
    }
    this.#going.delete(entity)
    // Somebody has commanded it since then, or the device stops: that is on the disk.
    if (!this.#waiting.has(expiry) || this.#stop.signal.aborted) return
    this.#tell(expiry, result, waitMs)
    if (result.outcome === 'done' || result.outcome === 'uncertain') this.#forget(expiry)
    else this.#wait(expiry, waitMs, Math.min(2 * waitMs, again.maxMs))
  }

  #tell({ entity, principal, to: values }: Expiry, result: CommandOnce, waitMs: number): void {
    const { log } = this.#deps
    const to = tellable(values)
    const what = { entity, by: principal, to: JSON.stringify(to) }
    this.#record({ kind: 'expired', principal, about: entity, to, outcome: result.outcome })
    if (result.outcome === 'done') {
      log.warn('it was commanded for a while and not again: it went back', what)
      return
    }
    const more = { ...what, reason: result.reason }
    if (result.outcome === 'uncertain')
      log.error('it was commanded for a while; whether it went back is not known: look at it', more)
    else
      log.error('it was commanded for a while and does not go back', {
        ...{ ...more, againInS: waitMs / 1_000 },
      })
  }

  #tellMissing(expiry: Expiry): void {
    const { entity, principal, to: values, missed } = expiry
    if (missed) return
    expiry.missed = true
    const to = tellable(values)
    this.#record({ kind: 'expired', principal, about: entity, to, outcome: 'refused' })
    const what = { entity, by: principal, to: JSON.stringify(to) }
    const words =
      'it was commanded for a while and is not in this home now: it goes back when it is there again'
    this.#deps.log.warn(words, what)
  }

  #record(entry: AuditEntry): void {
    const { log } = this.#deps
    if (this.#recording === undefined && this.#unrecorded.length < unrecordedMax) {
      this.#unrecorded.push(entry)
      return
    }
    const recorded = this.#recording?.(entry) ?? Promise.reject(new Error('there is no audit log here'))
    recorded.catch((error) => log.error('what expired is not recorded', { reason: messageOf(error) }))
  }

  /** With all that would do the same once more: what failed in between was commanded before it went back. */
  #forget({ entity, to }: Expiry): void {
    const same = (one: Expiry) => one.entity === entity && isDeepStrictEqual(one.to, to)
    try {
      this.#drop([...this.#waiting].filter(same))
    } catch (error) {
      this.#deps.log.error('that it need not go back is not kept', { entity, reason: messageOf(error) })
    }
  }

  #drop(expiries: readonly Expiry[]): void {
    for (const expiry of expiries) {
      expiry.cancel()
      this.#waiting.delete(expiry)
    }
    for (const { id } of expiries) this.#opened().prepare('DELETE FROM expiry WHERE id = ?').run(id)
  }

  #mark(expiry: Expiry, sent: boolean): void {
    this.#opened()
      .prepare('UPDATE expiry SET sent = ? WHERE id = ?')
      .run(sent ? 1 : 0, expiry.id)
    expiry.sent = sent
  }

  #opened(): DatabaseSync {
    if (this.#db) return this.#db
    const file = { what: 'what goes back', path: this.#path, schema, version: 2 }
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

/** What the record and the log may hold: free text (an item on a list) is a person's. */
function tellable(values: Expiry['to']): AuditEntry[string] {
  const told = ([field, value]: [string, unknown]) =>
    typeof value === 'string' && !/^(state|action|.*_mode)$/.test(field) ? [field, '…'] : [field, value]
  return Object.fromEntries(Object.entries(values).map(told))
}
