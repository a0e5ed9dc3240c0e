/**
 * The outbox's database file: opened, checked, and set aside when it cannot be trusted. A file that fails SQLite's own
 * check, or that another version wrote, is renamed and kept; the device goes on with a fresh one.
 */
import { chmodSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { messageOf } from '../base/errors.ts'
import { makeDirectory } from '../base/state-dir.ts'
import { LinkError } from './errors.ts'

export const outboxFileName = 'outbox.db'
const schemaVersion = 1
/** Files set aside that are kept, newest first: enough to look into, too few to fill a disk. */
const setAsideMax = 3
/** A just-killed predecessor's locks are gone at once; longer means that another process runs here. */
const busyTimeoutMs = 1000
/** The log is folded back into the database at about 1 MB, so it cannot outgrow the outbox. */
const walPagesMax = 256
const sqliteCorrupt = 11
const sqliteNotADatabase = 26

const schema = `
  CREATE TABLE event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    topic TEXT NOT NULL,
    priority INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    payload BLOB NOT NULL
  ) STRICT;
  CREATE INDEX event_by_priority ON event (priority, seq);
  PRAGMA user_version = ${schemaVersion};
`

export interface OpenedFile {
  readonly db: DatabaseSync
  /** Where an untrustworthy predecessor was put. */
  readonly recoveredFrom?: string
}

class Untrustworthy extends Error {
  readonly label: string
  constructor(label: string, reason: string) {
    super(reason)
    this.label = label
  }
}

/** Opens `outbox.db` in `directory`. Throws LinkError `storage` when the disk, not the file's content, is at fault. */
export function openOutboxFile(directory: string, nowMs: number): OpenedFile {
  const path = join(directory, outboxFileName)
  try {
    makeDirectory(directory)
    // Events hold what was said: this user's eyes only, also where the directory was there before.
    chmodSync(directory, 0o700)
    try {
      return { db: openChecked(path) }
    } catch (error) {
      if (!(error instanceof Untrustworthy)) throw error
      const recoveredFrom = setAside(path, `${error.label}-${nowMs}`)
      return { db: openChecked(path), recoveredFrom }
    }
  } catch (error) {
    throw new LinkError('storage', `cannot use the outbox ${path}: ${explain(error)}`, { cause: error })
  }
}

/** True when the database itself, not the disk below it, is broken. */
function isCorruption(error: unknown): boolean {
  const code = (error as { errcode?: unknown }).errcode
  return typeof code === 'number' && [sqliteCorrupt, sqliteNotADatabase].includes(code & 0xff)
}

function openChecked(path: string): DatabaseSync {
  const db = new DatabaseSync(path, { timeout: busyTimeoutMs })
  try {
    // Exclusive: a second process on the same outbox would send everything twice. It also needs no shared memory.
    db.exec('PRAGMA locking_mode = EXCLUSIVE')
    db.exec('PRAGMA journal_mode = WAL')
    db.exec('PRAGMA synchronous = FULL')
    db.exec(`PRAGMA wal_autocheckpoint = ${walPagesMax}`)
    checkContent(db)
    return db
  } catch (error) {
    db.close()
    if (isCorruption(error)) throw new Untrustworthy('corrupt', messageOf(error))
    throw error
  }
}

function checkContent(db: DatabaseSync): void {
  const version = Number(db.prepare('PRAGMA user_version').get()?.['user_version'])
  const tables = Number(db.prepare('SELECT count(*) AS n FROM sqlite_schema').get()?.['n'])
  if (version === 0 && tables === 0) {
    db.exec(`BEGIN IMMEDIATE; ${schema} COMMIT`)
    return
  }
  if (version !== schemaVersion)
    throw new Untrustworthy(`version-${version}`, `written by version ${version}`)
  const verdict = String(db.prepare('PRAGMA quick_check(1)').get()?.['quick_check'])
  if (verdict !== 'ok') throw new Untrustworthy('corrupt', verdict)
}

function setAside(path: string, label: string): string {
  const target = `${path}.${label}`
  renameSync(path, target)
  // The log belongs to the file beside it: kept with it, never replayed into the fresh one.
  for (const suffix of ['-wal', '-shm']) {
    try {
      renameSync(`${path}${suffix}`, `${target}${suffix}`)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  }
  forgetOldest(path)
  return target
}

function forgetOldest(path: string): void {
  const directory = join(path, '..')
  const kept = readdirSync(directory)
    .filter((name) => /^outbox\.db\.(corrupt|version-\d+)-\d+$/.test(name))
    .sort((a, b) => timestampOf(b) - timestampOf(a))
  for (const name of kept.slice(setAsideMax)) {
    for (const suffix of ['', '-wal', '-shm']) rmSync(join(directory, name + suffix), { force: true })
  }
}

function timestampOf(name: string): number {
  return Number(name.slice(name.lastIndexOf('-') + 1))
}

function explain(error: unknown): string {
  const reason = messageOf(error)
  if (/database is locked/.test(reason)) return 'another process is using it'
  if (/unable to open|readonly|EACCES|EROFS|EPERM|ENOTDIR|EEXIST/.test(reason))
    return `the directory cannot be written (${reason})`
  return reason
}
