/**
 * Being told to stop: by SIGINT or SIGTERM, by the end of the channel from the process that wrapped this one, or, where
 * supervised, by the end of standard input, which a parent holds open. The first begins an orderly stop and the others
 * change nothing: Ctrl-C often arrives twice, from the terminal and from a parent. A stop that takes longer than its
 * limit is ended by force.
 */
import { CodedError } from './errors.ts'

/** Reason of the signal: whatever was under way ended because somebody wished it. */
export class StoppedError extends CodedError<'stopped'> {
  override readonly name = 'StoppedError'
}

export interface Stop {
  readonly signal: AbortSignal
  /** Also stops when standard input ends. Called before anything is opened: the parent may die meanwhile. */
  watchInput(): void
  /** Begins the stop from within, for example because nobody reads the output any more. */
  begin(why: string): void
}

/** Watches this process from now to its end. `onForce` says that it ends by force after `limitMs`. */
export function watchStop(limitMs: number, onForce: () => void): Stop {
  const controller = new AbortController()
  const begin = (why: string) => {
    if (controller.signal.aborted) return
    const force = () => {
      onForce()
      process.exit(1)
    }
    setTimeout(force, limitMs).unref()
    controller.abort(new StoppedError('stopped', why))
  }
  process.on('SIGINT', begin).on('SIGTERM', begin)
  process.once('disconnect', () => begin('the starting process is gone'))
  // Neither the channel nor the input keeps a process alive that has nothing else to do.
  process.channel?.unref()
  const watchInput = () => {
    const gone = () => begin('the parent is gone')
    process.stdin.once('end', gone).once('error', gone).resume()
    if ('unref' in process.stdin) process.stdin.unref()
  }
  return { signal: controller.signal, watchInput, begin }
}

/** True when `error` is, or was caused by, the stop behind `signal`. */
export function isStop(error: unknown, signal: AbortSignal): boolean {
  if (!signal.aborted) return false
  for (let at = error; at instanceof Error; at = at.cause)
    if (at === signal.reason || at.name === 'AbortError') return true
  return false
}

/** Resolves when the signal aborts. */
export function untilStopped(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
