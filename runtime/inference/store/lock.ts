/** One fetch at a time per store, across processes. */
import { type Clock, sleep } from '../../base/clock.ts'
import { tryFileLock } from '../../base/file-lock.ts'
import { StoreError } from './store-error.ts'

/** How often a waiting process looks again. */
const pollMs = 100

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
  try {
    return tryFileLock(path)
  } catch (error) {
    throw new StoreError('disk', `${path} cannot be locked: make its folder writable, or delete that file`, {
      cause: error,
    })
  }
}
