/**
 * One fetch at a time per store, across processes. The lock is SQLite's exclusive file lock: the kernel drops it when
 * the holder dies, so there is no stale lock to guess about (process ids repeat in containers).
 */
import { DatabaseSync } from 'node:sqlite'
import { type Clock, sleep } from '../../base/clock.ts'
import { StoreError } from './store-error.ts'

/** How often a waiting process looks again. */
const pollMs = 100
const sqliteBusy = 5

/** Holds the lock at `path` until disposed. `onWait` is called when another process holds it. */
export async function acquireLock(
  clock: Clock,
  path: string,
  signal: AbortSignal,
  onWait: () => void,
): Promise<Disposable> {
  let waiting = false
  for (;;) {
    signal.throwIfAborted()
    const held = tryLock(path)
    if (held) return held
    if (!waiting) onWait()
    waiting = true
    await sleep(clock, pollMs, signal)
  }
}

function tryLock(path: string): Disposable | undefined {
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(path, { timeout: 0 })
    database.exec('BEGIN EXCLUSIVE')
    const held = database
    return { [Symbol.dispose]: () => held.close() }
  } catch (error) {
    database?.close()
    if (error instanceof Error && 'errcode' in error && error.errcode === sqliteBusy) return undefined
    throw new StoreError('disk', `${path} cannot be locked: make its folder writable, or delete that file`, {
      cause: error,
    })
  }
}
