/**
 * A lock on a file, held by one process at a time. It is SQLite's exclusive file lock: the kernel drops it when the
 * holder dies, so there is no stale lock to guess about (process ids repeat in containers).
 */
import { DatabaseSync } from 'node:sqlite'

const sqliteBusy = 5

/** Held until disposed; undefined while another process holds it. Throws SQLite's error for a file that cannot be used. */
export function tryFileLock(path: string): Disposable | undefined {
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(path, { timeout: 0 })
    database.exec('BEGIN EXCLUSIVE')
    const held = database
    return { [Symbol.dispose]: () => held.close() }
  } catch (error) {
    database?.close()
    if (error instanceof Error && 'errcode' in error && error.errcode === sqliteBusy) return undefined
    throw error
  }
}
