/**
 * The outbox: events that must reach the broker, on disk until it acknowledged them. SQLite in WAL mode with
 * synchronous=FULL (https://www.sqlite.org/pragma.html#pragma_synchronous): `append` resolves only after the commit
 * is on the disk, so what the caller was told is safe survives a kill or a power cut. A commit blocks the calling thread
 * for as long as the disk's sync takes (under 3 ms on an SSD, tens on an SD card); nothing else here waits for the disk.
 * So an event that comes alone is committed at once, and after a commit of t ms the next one waits 3 t, or `groupMs` if
 * that is less, for others to share it: in a flood the disk gets at most a quarter of the thread's time, unless it is slow.
 *
 * Full: the oldest of the lowest priority goes first, never one of higher priority than the newcomer, and never an
 * alarm; otherwise the newcomer is refused.
 */
import type { DatabaseSync } from 'node:sqlite'
import type { Cancel, Clock } from '../base/clock.ts'
import { messageOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { LinkError } from './errors.ts'
import { openOutboxFile } from './outbox-file.ts'

/** Lowest first: the index is what the database stores. */
export const eventPriorities = ['metric', 'event', 'alarm'] as const
export type EventPriority = (typeof eventPriorities)[number]
const alarmRank = eventPriorities.indexOf('alarm')

export interface OutboxOptions {
  readonly directory: string
  /** Of all events together, as stored. A day of ordinary events of a home is under 10 MB. */
  readonly bytesMax?: number
  /** Longest that an event waits for others to share its commit; 0 to wait for nobody. */
  readonly groupMs?: number
  readonly groupEventsMax?: number
}

export interface OutboxEvent {
  /** Unique; also inside the payload, where receivers dedupe by it. */
  readonly id: string
  readonly topic: string
  readonly priority: EventPriority
  readonly payload: Uint8Array
}

export interface StoredEvent {
  /** Position: larger is later. Never used twice. */
  readonly seq: number
  readonly id: string
  readonly topic: string
  readonly payload: Uint8Array
}

export interface OutboxStats {
  readonly events: number
  readonly bytes: number
  /** Dropped to make room, since opening. */
  readonly dropped: number
  /** Refused for want of room, since opening. */
  readonly refused: number
}

interface Pending {
  readonly event: OutboxEvent
  readonly resolve: (seq: number) => void
  readonly reject: (error: LinkError) => void
}

const defaults = { bytesMax: 16 * 1024 * 1024, groupMs: 20, groupEventsMax: 256 }
/** Rest after a commit, as a multiple of how long it took. */
const restFactor = 3
/** What a row costs beside its texts and payload, so that a flood of tiny events is bounded too. */
const rowBytes = 64
const failureLogMs = 60_000
/** A removal need not be durable at once: lost, it costs a repetition. Waiting spares the flash a sync per event. */
const removalMs = 1000
/** Uncommitted payloads held in memory: reached, the commit happens at once. */
const pendingBytesMax = 1024 * 1024

interface Totals {
  /** Per priority. */
  readonly bytes: number[]
  readonly events: number
}

function prepare(db: DatabaseSync) {
  return {
    insert: db.prepare('INSERT INTO event (id, topic, priority, bytes, payload) VALUES (?, ?, ?, ?, ?)'),
    delete: db.prepare('DELETE FROM event WHERE seq = ? RETURNING priority, bytes'),
    read: db.prepare('SELECT seq, id, topic, payload FROM event WHERE seq > ? ORDER BY seq'),
    victims: db.prepare(
      `SELECT seq, bytes FROM event WHERE priority <= ? AND priority < ${alarmRank} ORDER BY priority, seq`,
    ),
  }
}

function totalsOf(db: DatabaseSync): Totals {
  const bytes = eventPriorities.map(() => 0)
  let events = 0
  const rows = db.prepare('SELECT priority, sum(bytes) AS bytes, count(*) AS n FROM event GROUP BY priority')
  for (const row of rows.all()) {
    bytes[Number(row['priority'])] = Number(row['bytes'])
    events += Number(row['n'])
  }
  return { bytes, events }
}

export class Outbox implements AsyncDisposable {
  /** Where an untrustworthy predecessor of the database was put, when opening found one. */
  readonly recoveredFrom: string | undefined
  readonly #clock: Clock
  readonly #log: Log
  readonly #db: DatabaseSync
  readonly #limits: typeof defaults
  readonly #statements: ReturnType<typeof prepare>
  readonly #listeners = new Set<() => void>()
  /** Bytes held per priority. */
  #bytes: number[]
  #events: number
  #dropped = 0
  #refused = 0
  #pending: Pending[] = []
  #pendingBytes = 0
  /** Acknowledged by the broker, still to be deleted: joins the next commit. */
  readonly #removed = new Set<number>()
  #cancelCommit: Cancel | undefined
  #commitDueMs = 0
  /** Until then the next commit waits for company. */
  #restUntilMs = 0
  #failures = 0
  #failureLoggedMs = Number.NEGATIVE_INFINITY
  #closed = false

  static async open(
    deps: { readonly clock: Clock; readonly log: Log },
    options: OutboxOptions,
    signal?: AbortSignal,
  ): Promise<Outbox> {
    signal?.throwIfAborted()
    const log = deps.log.named('outbox')
    const { db, recoveredFrom } = openOutboxFile(options.directory, deps.clock.nowMs())
    if (recoveredFrom) log.error('outbox was unreadable, set aside; starting empty', { file: recoveredFrom })
    return new Outbox(deps.clock, log, db, options, totalsOf(db), recoveredFrom)
  }

  private constructor(
    clock: Clock,
    log: Log,
    db: DatabaseSync,
    options: OutboxOptions,
    totals: Totals,
    recoveredFrom: string | undefined,
  ) {
    this.#clock = clock
    this.#log = log
    this.#db = db
    this.#limits = {
      bytesMax: options.bytesMax ?? defaults.bytesMax,
      groupMs: options.groupMs ?? defaults.groupMs,
      groupEventsMax: options.groupEventsMax ?? defaults.groupEventsMax,
    }
    this.recoveredFrom = recoveredFrom
    this.#statements = prepare(db)
    this.#bytes = totals.bytes
    this.#events = totals.events
  }

  /**
   * Takes an event. Resolves with its position once it is durable. Rejects with LinkError `outbox-full`, `storage`
   * (the disk refused the commit; the event was not taken) or `closed`.
   */
  append(event: OutboxEvent): Promise<number> {
    if (this.#closed) return Promise.reject(new LinkError('closed', 'the outbox is closed'))
    return new Promise((resolve, reject) => {
      this.#pending.push({ event, resolve, reject })
      this.#pendingBytes += event.payload.byteLength
      if (this.#pending.length >= this.#limits.groupEventsMax || this.#pendingBytes >= pendingBytesMax)
        this.#commit()
      else this.#scheduleCommit(Math.max(0, this.#restUntilMs - this.#clock.monotonicMs()))
    })
  }

  /** Up to `limit` durable events after position `afterSeq`, oldest first. */
  read(afterSeq: number, limit: number): StoredEvent[] {
    if (this.#closed) return []
    const found: StoredEvent[] = []
    for (const row of this.#statements.read.iterate(afterSeq)) {
      const seq = Number(row['seq'])
      if (this.#removed.has(seq)) continue
      found.push({
        seq,
        id: String(row['id']),
        topic: String(row['topic']),
        payload: row['payload'] as Uint8Array,
      })
      if (found.length === limit) break
    }
    return found
  }

  /** Forgets an event that the broker has acknowledged. After a crash it may be read once more. */
  remove(seq: number): void {
    if (this.#closed) return
    this.#removed.add(seq)
    if (this.#removed.size >= this.#limits.groupEventsMax) this.#commit()
    else this.#scheduleCommit(removalMs)
  }

  /** Calls `listener` after each commit that added events. */
  onAppend(listener: () => void): Cancel {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  stats(): OutboxStats {
    return {
      events: Math.max(0, this.#events - this.#removed.size),
      bytes: this.#bytesHeld(),
      dropped: this.#dropped,
      refused: this.#refused,
    }
  }

  /** Commits what is pending, folds the log back into the database and closes it. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return
    this.#commit()
    this.#closed = true
    this.#cancelCommit?.()
    this.#listeners.clear()
    this.#db.close()
  }

  /** Commits in `delayMs` at the latest. */
  #scheduleCommit(delayMs: number): void {
    const dueMs = this.#clock.monotonicMs() + delayMs
    if (this.#cancelCommit && this.#commitDueMs <= dueMs) return
    this.#cancelCommit?.()
    this.#commitDueMs = dueMs
    this.#cancelCommit = this.#clock.after(delayMs, () => this.#commit())
  }

  /** One transaction for everything that gathered. All of it becomes durable, or none. */
  #commit(): void {
    this.#cancelCommit?.()
    this.#cancelCommit = undefined
    const batch = this.#pending
    if (batch.length === 0 && this.#removed.size === 0) return
    this.#pending = []
    this.#pendingBytes = 0
    const startedMs = this.#clock.monotonicMs()
    const before = { bytes: [...this.#bytes], events: this.#events, dropped: this.#dropped }
    let outcomes: (number | LinkError)[]
    try {
      this.#db.exec('BEGIN IMMEDIATE')
      for (const seq of this.#removed) this.#deleteRow(seq)
      outcomes = batch.map(({ event }) => this.#insertRow(event))
      this.#db.exec('COMMIT')
    } catch (cause) {
      this.#bytes = before.bytes
      this.#events = before.events
      this.#dropped = before.dropped
      this.#giveUp(batch, cause)
      return
    }
    const endedMs = this.#clock.monotonicMs()
    this.#restUntilMs = endedMs + Math.min(this.#limits.groupMs, restFactor * (endedMs - startedMs))
    this.#removed.clear()
    this.#settle(batch, outcomes)
  }

  #settle(batch: readonly Pending[], outcomes: readonly (number | LinkError)[]): void {
    for (const [index, { resolve, reject }] of batch.entries()) {
      const outcome = outcomes[index]
      if (typeof outcome === 'number') resolve(outcome)
      else if (outcome) {
        this.#refused += 1
        reject(outcome)
      }
    }
    if (batch.length > 0) for (const listener of this.#listeners) listener()
  }

  #giveUp(batch: readonly Pending[], cause: unknown): void {
    try {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK')
    } catch (error) {
      this.#log.error('rollback failed', { reason: messageOf(error) })
    }
    const error = new LinkError('storage', `the outbox cannot write: ${messageOf(cause)}`, { cause })
    this.#failures += 1
    // A full disk fails every commit: one line a minute tells as much as thousands.
    const nowMs = this.#clock.monotonicMs()
    if (nowMs - this.#failureLoggedMs >= failureLogMs) {
      this.#failureLoggedMs = nowMs
      this.#log.error('outbox cannot write', { failures: this.#failures, reason: messageOf(cause) })
    }
    for (const { reject } of batch) reject(error)
  }

  #insertRow(event: OutboxEvent): number | LinkError {
    const rank = eventPriorities.indexOf(event.priority)
    const bytes = event.payload.byteLength + event.topic.length + event.id.length + rowBytes
    if (!this.#makeRoom(bytes, rank)) {
      const held = `${this.#events} events, ${this.#bytesHeld()} of ${this.#limits.bytesMax} bytes`
      return new LinkError('outbox-full', `no room for a ${event.priority} of ${bytes} bytes (${held})`)
    }
    const { lastInsertRowid } = this.#statements.insert.run(event.id, event.topic, rank, bytes, event.payload)
    this.#bytes[rank] = (this.#bytes[rank] ?? 0) + bytes
    this.#events += 1
    return Number(lastInsertRowid)
  }

  #makeRoom(bytes: number, rank: number): boolean {
    let missing = this.#bytesHeld() + bytes - this.#limits.bytesMax
    if (missing <= 0) return true
    const droppable = this.#bytes.slice(0, Math.min(rank + 1, alarmRank)).reduce((a, b) => a + b, 0)
    if (droppable < missing) return false
    const victims: number[] = []
    for (const row of this.#statements.victims.iterate(rank)) {
      victims.push(Number(row['seq']))
      missing -= Number(row['bytes'])
      if (missing <= 0) break
    }
    for (const seq of victims) this.#deleteRow(seq)
    this.#dropped += victims.length
    return true
  }

  #deleteRow(seq: number): void {
    const row = this.#statements.delete.get(seq)
    if (!row) return
    const rank = Number(row['priority'])
    this.#bytes[rank] = (this.#bytes[rank] ?? 0) - Number(row['bytes'])
    this.#events -= 1
  }

  #bytesHeld(): number {
    return this.#bytes.reduce((a, b) => a + b, 0)
  }
}
