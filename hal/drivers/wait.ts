/** Waiting on the host's clock, as drivers do for conversions. */
import type { HostClock } from '../contract/host.ts'

/** Resolves after `delayMs`; rejects with the signal's reason when it aborts first. */
export function wait(clock: HostClock, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const onAbort = () => {
      cancel()
      reject(signal.reason)
    }
    const cancel = clock.after(delayMs, () => {
      signal.removeEventListener('abort', onAbort)
      resolve()
    })
    signal.addEventListener('abort', onAbort, { once: true })
  })
}
