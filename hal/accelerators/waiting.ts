/** Waits that end with their caller's signal. */
import type { HostClock } from '../contract/host.ts'
import { cancelled } from './accelerator-error.ts'

/** The step's result; throws `cancelled` when the signal aborts first. The step itself goes on. */
export async function withSignal<T>(step: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) throw cancelled()
  const { promise, reject } = Promise.withResolvers<never>()
  const onAbort = () => reject(cancelled())
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([step, promise])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

/** Resolves after `delayMs`, or as soon as the signal aborts. */
export async function pause(clock: HostClock, delayMs: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  const { promise, resolve } = Promise.withResolvers<void>()
  const cancel = clock.after(delayMs, resolve)
  const onAbort = () => resolve()
  signal.addEventListener('abort', onAbort, { once: true })
  await promise
  signal.removeEventListener('abort', onAbort)
  cancel()
}
