/** Waiting to be stopped: by a signal, or by the end of standard input when a parent holds the other end. */

/** Resolves when the signal aborts, or, where supervised, when the parent that holds standard input is gone. */
export function untilStopped(signal: AbortSignal, supervised: boolean): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
    if (!supervised) return
    process.stdin.on('end', resolve).on('error', resolve).resume()
  })
}
