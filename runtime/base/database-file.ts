/**
 * A database file of SQLite: opened, checked, and set aside when it cannot be trusted. A file that fails SQLite's own check,
 * or that another version wrote, is renamed and kept; the device goes on with a fresh one.
 */
import { chmodSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { messageOf } from './errors.ts'
import { makeDirectory } from './state-dir.ts'

/** Files set aside that are kept, newest first: enough to look into, too few to fill a disk. */
const setAsideMax = 3
/** A just-killed predecessor's locks are gone at once; longer means that another process runs here. */
const busyTimeoutMs = 1000
const sqliteCorrupt = 11
const sqliteNotADatabase = 26

export interface DatabaseFile {
  /** What it is, for errors: `the outbox`. */
  readonly what: string
  readonly path: string
  /** Statements that make a fresh one. `version` is kept in the file; another one sets the file aside. */
  readonly schema: string
  readonly version: number
  /**
   * `full`: a commit is on the disk when it returns (https://www.sqlite.org/pragma.html#pragma_synchronous). `normal`: when the
   * log beside the file was synced after it, which is the opener's to do.
   */
  readonly synchronous: 'full' | 'normal'
  /** The log is folded back into the file at so many pages of 4 KB, so that it cannot outgrow it. */
  readonly walPagesMax: number
}

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

/** Opens it for this process alone, in a directory for this user's eyes only. Throws when the disk, not the content, is at fault. */
export function openDatabaseFile(file: DatabaseFile, nowMs: number): OpenedFile {
  const { what, path } = file
  try {
    makeDirectory(dirname(path))
    // What is kept may be personal: also where the directory was there before.
    chmodSync(dirname(path), 0o700)
    try {
      return { db: openChecked(file) }
    } catch (error) {
      if (!(error instanceof Untrustworthy)) throw error
      const recoveredFrom = setAside(path, `${error.label}-${nowMs}`)
      return { db: openChecked(file), recoveredFrom }
    }
  } catch (error) {
    throw new Error(`cannot use ${what} ${path}: ${explain(error)}`, { cause: error })
  }
}

/** True when the database itself, not the disk below it, is broken. */
function isCorruption(error: unknown): boolean {
  const code = (error as { errcode?: unknown }).errcode
  return typeof code === 'number' && [sqliteCorrupt, sqliteNotADatabase].includes(code & 0xff)
}

/** SQLITE_FULL and SQLITE_IOERR: https://www.sqlite.org/rescode.html. A read-only disk is as good as a full one. */
const diskFaults = [8, 10, 13]

/** True when the disk did not take what was written, and may take it when there is room again. */
export function isDiskFault(error: unknown): boolean {
  const code = (error as { errcode?: unknown }).errcode
  return typeof code === 'number' && diskFaults.includes(code & 0xff)
}

function openChecked(file: DatabaseFile): DatabaseSync {
  const { path, synchronous, walPagesMax } = file
  const db = new DatabaseSync(path, { timeout: busyTimeoutMs })
  try {
    // Exclusive: a second process would do everything twice. It also needs no shared memory.
    db.exec('PRAGMA locking_mode = EXCLUSIVE')
    db.exec('PRAGMA journal_mode = WAL')
    db.exec(`PRAGMA synchronous = ${synchronous}`)
    db.exec(`PRAGMA wal_autocheckpoint = ${walPagesMax}`)
    checkContent(db, file)
    return db
  } catch (error) {
    db.close()
    if (isCorruption(error)) throw new Untrustworthy('corrupt', messageOf(error))
    throw error
  }
}

function checkContent(db: DatabaseSync, { schema, version: expected }: DatabaseFile): void {
  const version = Number(db.prepare('PRAGMA user_version').get()?.['user_version'])
  const tables = Number(db.prepare('SELECT count(*) AS n FROM sqlite_schema').get()?.['n'])
  if (version === 0 && tables === 0) {
    db.exec(`BEGIN IMMEDIATE; ${schema} PRAGMA user_version = ${expected}; COMMIT`)
    return
  }
  if (version !== expected) throw new Untrustworthy(`version-${version}`, `written by version ${version}`)
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
  const directory = dirname(path)
  const prefix = `${basename(path)}.`
  const kept = readdirSync(directory)
    .filter(
      (name) => name.startsWith(prefix) && /^(corrupt|version-\d+)-\d+$/.test(name.slice(prefix.length)),
    )
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
