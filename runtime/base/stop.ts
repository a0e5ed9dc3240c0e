/** Waiting to be stopped: by a signal, or by the end of standard input when a parent holds the other end. */

/** Resolves when the signal aborts, or, where supervised, when the parent that holds standard input is gone. */
export function untilStopped(signal: AbortSignal, supervised: boolean): Promise<void> {
  return new Promise((resolve) => {
    const finish = () => {
      signal.removeEventListener('abort', finish)
      // A pipe that is still read would keep this process alive.
      if (supervised) process.stdin.destroy()
      resolve()
    }
    if (signal.aborted) return finish()
    signal.addEventListener('abort', finish, { once: true })
    if (supervised) process.stdin.once('end', finish).once('error', finish).resume()
  })
}
